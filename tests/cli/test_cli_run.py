"""``perdure run``: what it writes, and that the numbers are those of the library."""

import json
import math
import signal
import sys

import pytest
import torch
import yaml

import perdure
from perdure import Record
from perdure._interrupts import Interrupted
from perdure._random import addressed_default
from perdure.datasets import load
from perdure.nn import Normalize, mlp
from perdure.streams import class_incremental


def test_a_run_folder_is_complete(cli, tmp_path):
    code, out, err = cli("run --data digits --method finetune,er --memory 100 --seeds 2 --eval-every 0 --out runs/a")
    assert code == 0
    folder = tmp_path / "runs" / "a"
    files = sorted(p.relative_to(folder).as_posix() for p in folder.rglob("*") if p.is_file())
    assert sum(name.endswith("manifest.json") for name in files) == 4  # of the last checkpoint of each
    assert [name for name in files if not name.startswith("checkpoints/")] == [
        "config.yaml",
        "environment.json",
        "lock",
        "records/er-seed0.json",
        "records/er-seed1.json",
        "records/finetune-seed0.json",
        "records/finetune-seed1.json",
        "report.html",
        "scores.json",
    ]
    assert "er" in out
    assert "finetune" in out
    assert "\x1b" not in out + err
    assert len(err.splitlines()) == 5  # one line a run, one for the page
    environment = json.loads((folder / "environment.json").read_text())
    assert environment["torch"] == torch.__version__
    assert environment["git"] is None
    assert yaml.safe_load((folder / "config.yaml").read_text())["setting"] == "class-incremental"


def test_the_record_is_the_library_s(cli):
    line = "run --data digits --method er --memory 60 --seeds 7, --epochs 2 --lr 0.1 --option draw=20 --quiet --out a"
    assert cli(line).code == 0
    record = Record.read(_only("a"))

    data = load("digits")
    stream = class_incremental(data.train, data.test, experiences=5, seed=7, name="digits")
    normalize = Normalize.fit(batch.x for batch in stream.experiences[0].data.batches(1024))
    with addressed_default(7, "model"):
        model = mlp((1, 8, 8), 10, normalize=normalize)
    learner = perdure.build("er", model, lambda params: torch.optim.SGD(params, lr=0.1), memory=60, draw=20, seed=7)
    expected = perdure.run(learner, stream, epochs=2, batch_size=10, seed=7)
    assert _numbers(record) == _numbers(expected)
    assert record.cost.memory_bytes == expected.cost.memory_bytes


def test_updates_end_an_experience(cli):
    assert cli("run --data digits --method er --seeds 1 --updates 40 --quiet --out a").code == 0
    record = Record.read(_only("a", 0))
    assert record.changes == [0, 40, 80, 120, 160]
    assert (record.updates, record.cost.updates, len(record.curve.updates)) == (40, 200, len(record.curve.accuracy))
    assert "batches of 10, 40 updates" in record.notes[-2]
    assert cli("run --config a/config.yaml --out b").code == 0
    assert _numbers(Record.read(_only("b", 0))) == _numbers(record)
    assert cli("resume b").code == 0


def test_json_is_what_is_saved_and_what_the_records_say(cli, tmp_path):
    code, out, err = cli("run --data digits --method finetune,joint --seeds 2 --model linear --json --quiet --out a")
    assert (code, err) == (0, "")
    result = json.loads(out)
    assert result == json.loads((tmp_path / "a" / "scores.json").read_text())
    assert result["methods"]["joint"]["upper_bound"]
    finals = [Record.read(tmp_path / "a" / "records" / f"finetune-seed{s}.json").accuracy[-1] for s in (0, 1)]
    means = [math.fsum(row) / len(row) for row in finals]
    found = result["methods"]["finetune"]["accuracy"]
    assert found["values"] == pytest.approx(means)
    assert found["mean"] == pytest.approx(sum(means) / 2)
    # the 97.5 % quantile of Student's t with 1 degree of freedom is 12.706
    assert found["half_width"] == pytest.approx(12.7062 * abs(means[0] - means[1]) / 2, rel=1e-4)
    assert [(d["first"], d["second"], d["seeds"]) for d in result["differences"]] == [("joint", "finetune", [0, 1])]


@pytest.mark.parametrize(
    "extra", ["", "--order shuffled --blurry 0.8", "--transform permuted --option label_smoothing=0.1"]
)
def test_the_saved_configuration_gives_the_same_records(cli, quick, extra):
    assert cli(f"{quick} --seeds 3,1 --model mlp {extra} --out a").code == 0
    assert cli("run --config a/config.yaml --out b").code == 0
    for seed in (1, 3):
        first, second = (Record.read(_only(run, seed)) for run in "ab")
        assert _numbers(first) == _numbers(second)
        assert first.notes == second.notes


def test_flags_override_the_file_which_overrides_the_defaults(cli, tmp_path):
    (tmp_path / "c.yaml").write_text(
        "data: digits\nmethod: [er]\nepochs: 3\nlr: 0.2\noption: {draw: 5, er: {forward: separate}}\n"
    )
    code, out, _ = cli("run --epochs 4 --config c.yaml --option draw=6 --print-config")
    found = yaml.safe_load(out)
    assert code == 0
    assert (found["epochs"], found["lr"], found["batch_size"]) == (4, 0.2, 10)
    assert found["option"] == {"draw": 6, "er": {"forward": "separate"}}


def test_runs_without_a_name_get_one_each(cli, quick, tmp_path):
    for _ in range(2):
        assert cli(quick).code == 0
    names = sorted(p.name for p in (tmp_path / "runs").iterdir())
    assert [name[-2:] for name in names] == ["-1", "-2"]
    assert all(name.startswith("digits-class-incremental-finetune-20") for name in names)


def test_options_go_to_the_methods_that_have_them(cli, quick):
    line = f"{quick},er,der_pp --memory 40 --draw 8 --option der_pp.alpha=0.3 --option der_pp.draw=4 --json --out a"
    result = json.loads(cli(line).out)
    updates = result["methods"]["finetune"]["updates"]["mean"]
    samples = result["methods"]["finetune"]["processed"]["mean"]
    assert result["methods"]["er"]["processed"]["mean"] == samples + 8 * (updates - 1)
    assert result["methods"]["der_pp"]["processed"]["mean"] == samples + 2 * 4 * (updates - 1)
    assert any("alpha" in note for note in Record.read(_only("a", method="der_pp")).notes)


@pytest.mark.parametrize(
    ("options", "setting", "names"),
    [
        ("--setting domain-incremental", "domain-incremental", ["classes 0 1 2 3 4", "classes 5 6 7 8 9"]),
        ("--setting task-incremental", "task-incremental", ["classes 0 1 2 3 4", "classes 5 6 7 8 9"]),
        ("--setting task-free --repeat 0.5", "task-free", ["classes 0 1 2 3 4", "classes 1 … 9 (8)"]),
        ("--transform rotated", "domain-incremental", ["rotated 0°", "rotated 90°"]),
        ("--order 9,8,7,6,5,4,3,2,1,0", "class-incremental", ["classes 9 8 7 6 5", "classes 4 3 2 1 0"]),
        ("--order shuffled", "class-incremental", ["classes 4 3 6 5 2", "classes 1 9 8 7 0"]),
    ],
)
def test_settings(cli, quick, options, setting, names):
    assert cli(f"{quick} {options} --out a").code == 0
    record = Record.read(_only("a"))
    assert (record.setting, record.experiences) == (setting, names)


def test_methods_are_paired(cli, quick, monkeypatch):
    """At one seed all methods start from the same weights; another seed has others."""
    seen = []
    build = perdure.build

    def spy(name, model, *args, seed, **kwargs):
        seen.append((name, seed, torch.cat([p.detach().flatten() for p in model.parameters()]).clone()))
        return build(name, model, *args, seed=seed, **kwargs)

    monkeypatch.setattr(perdure, "build", spy)
    assert cli(f"{quick},er --model mlp --seeds 2 --out a").code == 0
    runs = seen[2:]  # after the check
    assert [(name, seed) for name, seed, _ in runs] == [("finetune", 0), ("er", 0), ("finetune", 1), ("er", 1)]
    assert torch.equal(runs[0][2], runs[1][2])
    assert torch.equal(runs[2][2], runs[3][2])
    assert not torch.equal(runs[0][2], runs[2][2])


def test_one_method_failing_leaves_the_others(cli, quick, tmp_path, monkeypatch):
    build = perdure.build

    def broken(name, *args, **kwargs):
        learner = build(name, *args, **kwargs)
        if name == "er" and kwargs["seed"] == 0:
            monkeypatch.setattr(learner, "end", lambda: 1 / 0)
        return learner

    monkeypatch.setattr(perdure, "build", broken)
    code, out, err = cli(f"{quick},er,der --seeds 2 --json --out a")
    assert code == 1
    assert sorted(p.stem for p in (tmp_path / "a" / "records").iterdir()) == [
        "der-seed0",
        "der-seed1",
        "finetune-seed0",
        "finetune-seed1",
    ]
    assert json.loads(out)["failures"] == ["er, seed 0 failed: ZeroDivisionError: division by zero"]
    assert "er, seed 0 failed" in err
    assert "Traceback" not in err


def test_nothing_is_kept_where_nothing_was_completed(cli, quick, tmp_path, monkeypatch):
    monkeypatch.setattr(perdure, "run", lambda *args, **kwargs: 1 / 0)
    code, out, err = cli(f"{quick} --out a --debug")
    assert (code, out) == (1, "")
    assert "Traceback" in err
    assert list(tmp_path.iterdir()) == []


def test_an_interrupt_keeps_what_is_complete(cli, quick, tmp_path, monkeypatch):
    run, calls = perdure.run, []

    def interrupted(*args, **kwargs):
        calls.append(1)
        if len(calls) == 3:
            raise Interrupted(signal.SIGINT)
        return run(*args, **kwargs)

    monkeypatch.setattr(perdure, "run", interrupted)
    code, out, err = cli(f"{quick},er --seeds 2 --json --out a")
    assert code == 130
    assert json.loads(out)["interrupted"]
    assert sorted(p.stem for p in (tmp_path / "a" / "records").iterdir()) == ["er-seed0", "finetune-seed0"]
    assert (tmp_path / "a" / "report.html").exists()
    assert err.splitlines()[-3:-1] == ["interrupted; what was complete is kept", "to go on: perdure resume a"]


MODULE = """
import torch
from torch import nn

def small(width: int = 8, classes: int = 10):
    return nn.Sequential(nn.Flatten(), nn.Linear(64, width), nn.ReLU(), nn.Linear(width, classes))

def normed():
    return nn.Sequential(nn.Flatten(), nn.Linear(64, 16), nn.BatchNorm1d(16), nn.Linear(16, 10))

class Forgetful(torch.optim.SGD):
    pass

number = 3
"""


def test_own_models_and_optimizers(cli, quick, tmp_path):
    (tmp_path / "ownnets.py").write_text(MODULE)
    own = f"{quick} --model ownnets:small --model-option width=5"
    assert cli(f"{own} --head 3 --optimizer ownnets:Forgetful --lr 0.1 --out a").code == 0
    assert Record.read(_only("a")).cost.parameters == 64 * 5 + 5 + 5 * 10 + 10
    assert cli(f"{own} --features-from 2 --inputs unit --out b").code == 0
    assert cli(f"{quick} --model ownnets:normed --out n").code == 0
    bad = {
        "--model-option widthh=5": "no option 'widthh': did you mean width?",
        "--model-option width=wide": "Expected a <class 'int'>",
        "--model ownnets:smaall": "no 'smaall' in ownnets: did you mean small?",
        "--model ownnet:small": "no module 'ownnet'",
        "--model ownnets:number": "is a int: name a class or a function",
        "--head 7": "no submodule '7'",
        "--model-option classes=10 --head 1 --model ownnets:small --features-from 2": "leave --features-from out",
    }
    for options, message in bad.items():
        code, _, err = cli(f"{own} {options} --out c")
        assert code == 2
        assert message in err
    sys.modules.pop("ownnets")


def test_optimizers_and_schedulers(cli, quick):
    line = f"{quick} --optimizer adamw --optimizer-option weight_decay=0.1"
    line += " --scheduler steplr --scheduler-option step_size=5"
    assert cli(f"{line} --out a").code == 0
    note = Record.read(_only("a")).notes[1]
    assert note.startswith("Model linear, optimizer adamw (weight_decay 0.1), scheduler steplr (step_size 5)")
    code, _, err = cli(f"{line} --optimizer-option momentum=0.9")
    assert (code, err.splitlines()) == (2, [err.strip()])
    assert "--optimizer adamw has no option 'momentum'" in err


def test_kinds_of_memory(cli, quick):
    scores = []
    for kind in ("", "reservoir", "class-balanced", "ring"):
        assert cli(f"{quick.replace('finetune', 'er')} {kind and '--memory-kind'} {kind} --out m{kind}").code == 0
        record = Record.read(_only(f"m{kind}"))
        assert f"memory of 500 exemplars{kind and f' ({kind})'}" in record.notes[1]
        scores.append(repr(record.accuracy))
    assert scores[0] == scores[1]
    assert len(set(scores)) == 3
    code, _, err = cli(f"{quick} --memory-kind rings")
    assert code == 2
    assert "reservoir, class-balanced or ring" in err


def test_images_can_be_augmented(cli, quick):
    line = "run --data digits --method finetune --seeds 1 --eval-every 0"
    assert cli(f"{line} --out plain").code == 0
    assert cli(f"{line} --augment crop,flip --out augmented").code == 0
    assert cli(f"{line} --augment crop,flip --out again").code == 0
    plain, augmented, again = (Record.read(_only(run)).accuracy for run in ("plain", "augmented", "again"))
    assert repr(plain) != repr(augmented) == repr(again)
    code, _, err = cli(f"{line} --augment flipp")
    assert (code, err.splitlines()) == (2, [err.strip()])
    assert "did you mean flip?" in err


def _only(run, seed=None, method=""):
    from pathlib import Path

    (path,) = Path(run, "records").glob(f"{method}*seed{'' if seed is None else seed}*.json")
    return path


def _numbers(record):
    found = record.to_json()
    return {name: found[name] for name in ("accuracy", "curve", "changes", "experiences", "setting", "data", "epochs")}
