"""Skipped batches and rollbacks in words, and where they stand on the page."""

import re
from dataclasses import replace

import pytest

from perdure.evaluation import Incident
from perdure.report import compare, incidents, write
from perdure.report._incidents import reasons, rollback_note


def skipped(number):
    return Incident("skipped", "classes 2 3", number, f"batch {number} of pass 1: <b>NaN</b> in x")


def rolled_back(number):
    return Incident("rollback", "classes 4 5", number, f"step {number}: the loss is not finite")


@pytest.fixture(name="records")
def _records(simulate):
    calm = [simulate(m, s) for m in ("er", "finetune") for s in range(2)]
    first = replace(calm[0], num_skipped=1200, incidents=[skipped(i) for i in range(20)])
    second = replace(calm[1], num_skipped=1, num_rollbacks=2, incidents=[skipped(7), rolled_back(8), rolled_back(9)])
    return [first, second, *calm[2:]]


def test_in_the_terminal(records):
    assert incidents(compare(records)) == [
        "er: seed 0 skipped 1,200 batches; seed 1 skipped 1 batch and was rolled back twice"
    ]
    assert incidents(compare(records[2:])) == []


def test_the_first_reasons_of_each_kind(records):
    assert reasons(records[0]) == [*(skipped(i).text for i in range(3)), "and 1,197 more"]
    assert reasons(records[1]) == [rolled_back(8).text, rolled_back(9).text, skipped(7).text]
    assert reasons(replace(records[1], num_rollbacks=5))[2] == "and 3 more"
    assert reasons(records[2]) == []


def test_who_was_rolled_back_is_a_note(records):
    assert rollback_note(compare(records)) == "Rolled back after diverging, then on at a lower learning rate: er."
    assert rollback_note(compare([records[0], *records[2:]])) == ""


def test_on_the_page(records, tmp_path):
    page = write(records, tmp_path / "page.html", notes=["a"]).read_text()
    notes = re.search(r'<ul class="notes">(.*?)</ul>', page, re.S)[1]
    assert "Rolled back after diverging, then on at a lower learning rate: er." in notes
    section = re.search(r'<section id="wrong">(.*?)</section>', page, re.S)[1]
    assert section.count('<div class="story">') == 2
    assert "Seed 0 skipped 1,200 batches." in section
    assert "Seed 1 skipped 1 batch and was rolled back twice." in section
    assert "batch 0 of pass 1: &lt;b&gt;NaN&lt;/b&gt; in x" in section
    assert "and 1,197 more" in section
    assert 'href="#wrong"' in page
    rows = re.findall(r"<tr><th scope=\"row\">.*?</tr>", page)
    assert [("skipped" in row, "rolled back" in row) for row in rows] == [(True, False), (True, True)] + [
        (False,) * 2
    ] * 2


def test_where_all_went_well_there_is_nothing(records, tmp_path):
    page = write(records[2:], tmp_path / "page.html").read_text()
    assert "What went wrong" not in page
    assert "#wrong" not in page
