"""The real command, killed at random moments and resumed, ends bit for bit as if it had been left alone.

The moments come from addressed random streams; ``FAULTS_SEED`` draws others. ``make soak`` does it at length.
"""

import json
import os
import signal

import killing
import pytest

SEED = int(os.environ.get("FAULTS_SEED", "0"))
KILLS = 5

pytestmark = pytest.mark.skipif(os.name != "posix", reason="SIGKILL")


@pytest.mark.parametrize("name", killing.METHODS)
def test_killed_again_and_again(tmp_path, name):
    arguments = f"{killing.COMMON} {killing.METHODS[name]}"
    alone = killing.live(f"run {arguments} --out {killing.RUN}", tmp_path / "alone")
    assert alone.code == 0, alone.err
    scores = json.loads(alone.out)
    (method,) = scores["methods"].values()
    assert len(method["weights_sha256"][0]) == 64

    moments = killing.draw_moments(SEED, name, alone)
    tally = killing.torment(arguments, tmp_path, tmp_path / "alone", moments, KILLS, f"FAULTS_SEED={SEED}")
    assert sum(tally.kills.values()) == KILLS, tally
    assert set(tally.kills) == set(killing.KINDS), tally
    assert tally.completed >= 1


def test_the_harness_kills_at_the_operation_it_says(tmp_path):
    """Else the tests above could pass without a kill inside a write."""
    moment = killing.Moment("", 12, None)
    arguments = f"{killing.COMMON} {killing.METHODS['er']}"
    life = killing.live(f"run {arguments} --out {killing.RUN}", tmp_path, moment)
    assert life.code == -signal.SIGKILL
    assert life.operations == 0


def test_the_harness_sees_what_differs(tmp_path):
    for name, accuracy in (("a", 0.5), ("b", 0.5 + 2**-50)):
        records = tmp_path / name / killing.RUN / "records"
        records.mkdir(parents=True)
        (records / "er-seed0.json").write_text(json.dumps({"accuracy": [[accuracy]], "cost": {"seconds": accuracy}}))
        (tmp_path / name / killing.RUN / "scores.json").write_text("{}")
        page = f'<p><script type="application/json" id="data">[{accuracy}]</script>'
        (tmp_path / name / killing.RUN / "report.html").write_text(page)
        killing.printed(tmp_path / name, "out").write_text("{}")
    (tmp_path / "b" / killing.RUN / ".x.part").touch()
    found = killing.differences(tmp_path / "a", tmp_path / "b")
    assert [text.partition(":")[0] for text in found] == [
        "left over",
        "files ['.x.part']",
        "er-seed0.json",
        "report.html",
    ]
    assert "er-seed0.json: /accuracy/0/0: 0.5 alone, 0.50000" in found[2]
    assert killing.differences(tmp_path / "a", tmp_path / "a") == []
