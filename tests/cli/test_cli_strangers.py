"""Run folders and configurations from strangers: no code runs, nothing outside is touched, refusals are one line."""

import json
import os
import sys

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from perdure import Record
from perdure.cli._config import read_config, resolve_config
from perdure.cli._options import FIELDS, Options
from perdure.cli._read import read_record
from perdure.cli._trust import refuse_named_code

EVIL = "from pathlib import Path\nPath('ran').touch()\nclass X:\n    def __init__(self, *a, **k): pass\n"


@pytest.fixture(name="foreign")
def _foreign(cli, quick, tmp_path, monkeypatch):
    """A run in ``a`` with one method missing, and code beside it that can be imported."""
    assert cli(f"{quick} --out a").code == 0
    (tmp_path / "evil.py").write_text(EVIL)
    (tmp_path / "a" / "evil.py").write_text(EVIL)
    monkeypatch.syspath_prepend(tmp_path)
    config = yaml.safe_load((tmp_path / "a" / "config.yaml").read_text()) | {"method": ["finetune", "er"]}

    def write(**changed):
        (tmp_path / "a" / "config.yaml").write_text(yaml.safe_dump(config | changed))

    write()
    yield write
    sys.modules.pop("evil", None)
    sys.modules.pop("a.evil", None)


def refused(cli, tmp_path, *words, line="resume a"):
    code, out, err = cli(line)
    assert (code, out) == (2, "")
    assert err.splitlines() == [err.strip()]
    assert err.startswith("perdure: ")
    for word in words:
        assert word in err
    assert not (tmp_path / "ran").exists()
    assert not any("evil" in name for name in sys.modules)
    assert not (tmp_path / "a" / "owner.json").exists()


SPEC = {"class_path": "evil.X", "init_args": {}}


@pytest.mark.parametrize(
    "changed",
    [
        {"model": "evil:X"},
        {"model": "a.evil:X"},
        {"optimizer": "evil.X"},
        {"scheduler": "evil:X"},
        {"optimizer_option": {"momentum": SPEC}},
        {"optimizer_option": {"momentum": "evil.X"}},
        {"optimizer_option": {"momentum": "{class_path: evil.X}"}},
        {"scheduler": "steplr", "scheduler_option": {"step_size": [[SPEC]]}},
        {"model_option": {"hidden": SPEC}},
        {"model_option": {"evil.X": 3}},
        {"option": {"er": {"forward": SPEC}}},
        {"option": SPEC},
        {"model": {"class_path": "evil.X"}},
    ],
    ids=str,
)
def test_code_that_the_user_has_not_named_is_not_imported(cli, foreign, tmp_path, changed):
    foreign(**changed)
    refused(cli, tmp_path, "a/config.yaml names ", "evil", "which may run code: if you trust it, add --allow-import ")


@pytest.mark.parametrize(
    "changed",
    [{"order": [SPEC]}, {"order": "[{class_path: evil.X}]"}, {"data": SPEC}, {"seeds": [SPEC]}, {"lr": SPEC}],
    ids=str,
)
def test_what_should_be_words_and_numbers_is_nothing_else(cli, foreign, tmp_path, changed):
    foreign(**changed)
    (name,) = changed
    refused(cli, tmp_path, f"a/config.yaml: {name}: ", "expected ")
    refused(cli, tmp_path, f"{name}: ", line="resume a --allow-import evil.X")


def test_what_the_user_names_is_imported(cli, foreign, tmp_path):
    foreign(optimizer="evil:X")
    assert cli("resume a --allow-import evil:X").code == 2  # X is no optimizer; but its module ran
    assert (tmp_path / "ran").exists()


def test_methods_do_not_lead_out_of_the_folder(cli, foreign, tmp_path):
    (tmp_path / "er-seed0.json").write_text("{}")
    for name in ("../../er", "/etc/passwd", "a/../../er"):
        foreign(method=[name])
        refused(cli, tmp_path, "unknown method")
    assert (tmp_path / "er-seed0.json").read_text() == "{}"


@pytest.mark.parametrize("where", ["records", "checkpoints", "records/er-seed0.json", "report.html", "x/y", "lock"])
@pytest.mark.parametrize("kind", ["link", "pipe"])
def test_links_and_odd_files_are_refused_by_name(cli, foreign, tmp_path, where, kind):
    victim = tmp_path / "victim"
    victim.write_text("mine")
    path = tmp_path / "a" / where
    path.parent.mkdir(exist_ok=True)
    if path.is_dir():
        path.rename(tmp_path / "moved")
    path.unlink(missing_ok=True)
    if kind == "link":
        path.symlink_to(tmp_path / "moved" if (tmp_path / "moved").exists() else victim)
    else:
        os.mkfifo(path)
    refused(cli, tmp_path, f"a/{where} is ", "remove it")
    if where != "lock":
        refused(cli, tmp_path, f"a/{where} is ", line="compare a")
        refused(cli, tmp_path, f"a/{where} is ", line="report a")
    assert victim.read_text() == "mine"


BOMB = "a: &a [x, x]\nb: &b [*a, *a]\nc: [*b, *b]\n"


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (BOMB.encode(), "alias"),
        (b"data: digits\nmethod: er\n#" + b"x" * 1_000_000, "more than 1,000,000 bytes"),
        (b"option: " + b"[" * 5000, "nested too deeply"),
        (b"data: !!python/object/apply:os.system ['touch ran']\n", "not YAML"),
        (b"\x00", "not YAML"),
        (b"data: digits\nmethod: er\nseeds: 1000000000\n", "10,000 at most"),
        (b"data: digits\nmethod: er\nseeds: [true]\n", "expected how many"),
        (b"data: digits\nmethod: er\ncheckpoint_minutes: .inf\n", "expected a number of at least 0"),
        (b"data: digits\nmethod: er\noptimizer: null\n", "optimizer: None"),
        (b"method: er\n", "--data is missing"),
        (b"data: digits\n'x\\e[2J': 1\n", "unknown option"),
    ],
    ids=["bomb", "large", "deep", "object", "nul", "seeds", "boolean", "infinite", "null", "missing", "escape"],
)
def test_configurations_that_are_none(cli, foreign, tmp_path, content, words):
    (tmp_path / "a" / "config.yaml").write_bytes(content)
    refused(cli, tmp_path, "a/config.yaml", words)
    refused(cli, tmp_path, words, line="run --config a/config.yaml --out b")
    assert not (tmp_path / "b").exists()


def test_what_is_no_run(cli, tmp_path):
    (tmp_path / "a").mkdir()
    refused(cli, tmp_path, "a is not the folder of a run: there is no config.yaml")
    assert list((tmp_path / "a").iterdir()) == []
    refused(cli, tmp_path, "no such folder", line="resume b")
    refused(cli, tmp_path, "required: run", line="resume")


def test_a_record_does_not_steer_the_terminal(cli, foreign, tmp_path):
    path = tmp_path / "a" / "records" / "finetune-seed0.json"
    found = json.loads(path.read_text())
    path.write_text(json.dumps(found | {"data": "a\x1b]0;b\x07c\ud800", "notes": ["\x1b[2J"]}))
    code, out, err = cli("compare a")
    assert code == 0
    assert "\x1b" not in out + err
    assert "\x1b" not in cli("resume a").out


def outcome(read):
    """What ``read`` returns, or None if it refuses in one line."""
    try:
        return read()
    except ValueError as error:
        lines = str(error).splitlines()
    assert len(lines) == 1
    return None


def configured(path):
    found = read_config(path)
    refuse_named_code(found, (), "it")
    return resolve_config(found, path)


LEAVES = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8)
VALUES = st.recursive(
    LEAVES | st.sampled_from(["digits", "er", "1e3", "[1,2]", "{a: 1}", 10**400, -1, "evil.X", SPEC]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)
CONFIGS = st.dictionaries(st.sampled_from(sorted(FIELDS)), VALUES, max_size=5)
LETTERS = st.text("!{}[]:,-&*?|>'\"\n abint#%@<=.0129_~", max_size=40)


@given(content=st.binary(max_size=60) | LETTERS.map(str.encode) | CONFIGS.map(lambda c: json.dumps(c).encode()))
def test_any_configuration_is_options_or_one_line(tmp_path_factory, content):
    path = tmp_path_factory.getbasetemp() / "any.yaml"
    path.write_bytes(content)
    found = outcome(lambda: configured(path))
    assert found is None or isinstance(found, Options)
    assert "evil" not in sys.modules


@pytest.fixture(name="good", scope="module")
def _good():
    """A record as JSON."""
    cost = {"train_seconds": 1.5, "evaluation_seconds": 0.5, "updates": 4, "samples": 8, "processed": 8}
    return {
        "method": "er",
        "seed": 0,
        "data": "d",
        "setting": "class-incremental",
        "experiences": ["a", "b"],
        "accuracy": [[None, None], [1.0, None], [0.5, 1.0]],
        "curve": {"updates": [2, 4], "accuracy": [[1.0, None], [0.5, 1.0]]},
        "changes": [0, 2],
        "cost": cost | {"memory_bytes": 0, "parameters": 10},
    }


@given(data=st.data())
def test_any_record_is_one_that_can_be_shown_or_one_line(tmp_path_factory, good, data):
    from perdure import report

    path = tmp_path_factory.getbasetemp() / "any.json"
    changed = dict(good)
    for name in data.draw(
        st.sets(st.sampled_from([*good, "epochs", "num_skipped", "incidents"]), min_size=1, max_size=2)
    ):
        changed[name] = data.draw(VALUES)
    path.write_text(json.dumps(changed))
    found = outcome(lambda: read_record(path))
    if found is not None:
        report.compare([found])


def test_the_good_record_is_good(tmp_path, good):
    (tmp_path / "a.json").write_text(json.dumps(good))
    assert isinstance(read_record(tmp_path / "a.json"), Record)


@given(content=st.binary(max_size=40))
def test_any_bytes_are_no_record(tmp_path_factory, content):
    path = tmp_path_factory.getbasetemp() / "bytes.json"
    path.write_bytes(content)
    assert outcome(lambda: read_record(path)) is None
