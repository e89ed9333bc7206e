"""``perdure cite`` prints what the pages of the methods say.

``python tests/docs/test_references.py`` writes the package's references from the pages, and says which pages are
missing.
"""

import re
import sys
from pathlib import Path

import pytest

import perdure
from perdure.cli import main
from perdure.cli._cite import references

ROOT = Path(__file__).parents[2]
PAGES = ROOT / "docs" / "methods"
FILE = ROOT / "src" / "perdure" / "methods" / "references.bib"


def of_pages() -> dict[str, str]:
    """The entry on each method's page."""
    found = {}
    for page in sorted(PAGES.glob("*.md")):
        blocks = re.findall(r"^```bibtex\n(.*?)\n```$", page.read_text(encoding="utf-8"), flags=re.M | re.S)
        if len(blocks) == 1:
            found[page.stem] = blocks[0]
    return found


def written(entries: dict[str, str]) -> str:
    """The file: methods that share a paper share its entry."""
    of_entry: dict[str, list[str]] = {}
    for name, entry in sorted(entries.items()):
        of_entry.setdefault(entry, []).append(name)
    return "\n".join(f"{', '.join(names)}\n{entry}\n" for entry, names in of_entry.items())


def test_every_method_has_a_reference_and_every_reference_a_method():
    missing = {info.name for info in perdure.list_methods()} ^ references().keys()
    assert not missing, f"{', '.join(sorted(missing))}: write docs/methods/NAME.md, then python {Path(__file__).name}"


def test_references_are_those_of_the_pages():
    pages, package = of_pages(), references()
    changed = sorted(name for name in pages.keys() | package.keys() if pages.get(name) != package.get(name))
    assert not changed, f"{', '.join(changed)}: page and package differ: run python tests/docs/test_references.py"
    assert FILE.read_text(encoding="utf-8") == written(pages)


def test_one_key_stands_for_one_entry():
    keys = [re.match(r"@\w+\{([\w-]+),\n", entry)[1] for entry in dict.fromkeys(references().values())]
    assert len(set(keys)) == len(keys)


def test_cite_prints_each_entry_once_in_the_order_asked(capsys):
    assert main(["cite", "er", "der_pp", "der"]) == 0
    printed = capsys.readouterr().out
    assert re.findall(r"^@\w+\{(\w+),$", printed, flags=re.M) == ["chaudhry2019tiny", "buzzega2020dark"]
    assert printed == f"{references()['er']}\n\n{references()['der']}\n"
    assert main(["cite", "--all"]) == 0
    assert capsys.readouterr().out.count("\n@") + 1 == len(set(references().values()))


@pytest.mark.parametrize(
    ("line", "words"),
    [("der_p", "unknown method 'der_p': did you mean der_pp?"), ("", "name one or several"), ("--al", "--all")],
)
def test_what_is_unknown_is_told_in_one_line(capsys, line, words):
    assert main(["cite", *line.split()]) == 2
    printed = capsys.readouterr()
    assert words in printed.err
    assert (printed.out, len(printed.err.splitlines())) == ("", 1)


if __name__ == "__main__":
    FILE.write_text(written(of_pages()), encoding="utf-8")
    without = sorted({info.name for info in perdure.list_methods()} - of_pages().keys())
    sys.exit(f"no page with one BibTeX block: {', '.join(without)}" if without else 0)
