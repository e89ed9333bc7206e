"""The program that reproduces published numbers: its rule, its data, and that nothing is lost or run twice."""

import importlib
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import yaml

import perdure

PROGRAM = Path(__file__).parents[2] / "benchmarks" / "accuracy"
TOY = {
    "title": "A toy",
    "source": "nobody",
    "about": "Digits.",
    "seeds": 1,
    "build": {
        "stream": {"data": "digits", "experiences": 5, "examples_per_experience": 40},
        "model": {"name": "mlp", "hidden": [8], "normalize": [0.1, 0.2]},
        "optimizer": {"name": "SGD", "lr": 0.1},
        "run": {"batch_size": 10},
    },
    "rows": {
        "none": {
            "label": "none",
            "build": {"method": "finetune"},
            "published": {"class-incremental": {"mean": 19, "tolerance": 2}},
        },
        "replay": {
            "label": "replay",
            "build": {
                "parts": [{"part": "terms.CrossEntropy", "draw": {"name": "replay", "size": 8}, "current": True}],
                "memory": {"name": "PerExperience", "capacity": 20},
            },
            "published": {"task-incremental": {"mean": 80, "std": 2, "n": 4}},
        },
    },
}


@pytest.fixture
def module(monkeypatch):
    monkeypatch.syspath_prepend(str(PROGRAM))
    return importlib.import_module


@pytest.fixture
def home(tmp_path):
    folder = tmp_path / "benchmarks" / "accuracy"
    (folder / "protocols").mkdir(parents=True)
    write(folder, TOY)
    return folder


def write(home: Path, protocol: dict) -> None:
    (home / "protocols" / "toy.yaml").write_text(yaml.safe_dump(protocol))


def changed(path: str, value: object) -> dict:
    """The toy with one entry changed."""
    copy = json.loads(json.dumps(TOY))
    *outer, last = path.split("/")
    inner = copy
    for key in outer:
        inner = inner[key]
    inner[last] = value
    return copy


def start(home: Path, *arguments: str) -> subprocess.Popen:
    environment = os.environ | {"PERDURE_ACCURACY": str(home), "OMP_NUM_THREADS": "1"}
    command = [sys.executable, str(PROGRAM), *arguments]
    return subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def call(home: Path, *arguments: str) -> tuple[int, str, str]:
    process = start(home, *arguments)
    out, err = process.communicate()
    return process.returncode, out, err


def results(home: Path) -> dict[str, dict]:
    return {str(p.relative_to(home / "results")): json.loads(p.read_text()) for p in home.glob("results/**/*.json")}


@pytest.mark.parametrize(
    ("values", "reason", "verdict"),
    [
        ([90.0, 90.2, 89.8, 90.0, 90.0], "", "reproduced"),
        ([91.0, 91.2, 90.8, 91.0, 91.0], "", "not yet"),  # too good is as wrong
        ([89.0, 89.2, 88.8, 89.0, 89.0], "of the weather", "differs because of the weather"),
        ([90.0, 90.2, 89.8, 90.0, 90.0], "of the weather", "reproduced"),
        ([90.0, 90.2, 89.8, 90.0], "of the weather", "not yet: 4 of 5 seeds"),
        ([], "", "not yet: 0 of 5 seeds"),
    ],
)
def test_the_rule_is_two_sided_and_takes_five_seeds(module, values, reason, verdict):
    spread = module("protocol").Published(mean=90.0, std=0.5, n=10)  # 3 sqrt(.025 + .004) = 0.51
    tolerance = module("protocol").Published(mean=90.0, tolerance=0.6)
    for published in (spread, tolerance):
        assert module("verdicts").judge(published, values, reason).text == verdict


def test_three_standard_errors_of_the_difference(module):
    published = module("protocol").Published(mean=0.0, std=3.0, n=9)
    verdict = module("verdicts").judge(published, [8.0, 8.0, 10.0, 12.0, 12.0])
    assert verdict.allowed == pytest.approx(3 * (9 / 9 + 4 / 5) ** 0.5)
    assert verdict.text == "not yet"


def test_protocols_name_methods_and_options_that_exist(module):
    methods = {info.name: dict(info.options) for info in perdure.list_methods()}
    protocols = module("protocol").read_protocols(PROGRAM / "protocols")
    for job in module("protocol").jobs(protocols, [0]):
        if "method" in job.spec and job.spec["method"] in methods:
            assert job.spec.get("options", {}).keys() <= methods[job.spec["method"]].keys(), job.name
        assert job.spec["stream"]["data"] == "mnist"


def test_a_damaged_protocol_is_told_in_one_line(home):
    write(home, changed("rows/none/published", {"class-incremental": {"mean": 19, "tolerance": 2, "std": 1}}))
    code, _, err = call(home, "--list")
    assert code == 2
    assert "toy.yaml: rows/none/published" in err
    assert len(err.splitlines()) == 1
    write(home, changed("rows/none/labels", "x"))
    assert "rows/none/labels" in call(home, "--list")[2]
    write(home, TOY)
    assert "nothing is called so" in call(home, "--only", "tory")[2]


def test_what_is_done_is_not_run_again_and_a_changed_row_is(home):
    assert call(home, "--jobs", "2")[0] == 0
    first = results(home)
    assert len(first) == 2
    one = first["toy/none/class-incremental/seed-0.json"]
    assert one["numbers"].keys() == {"accuracy"}
    assert one["updates"] == 20
    assert {"seconds", "processor_seconds", "versions", "fingerprint"} <= one.keys()
    assert "| none | class-incremental | 19 (tolerance 2) |" in (home.parents[1] / "docs/reproduction.md").read_text()

    (home / "results/toy/none/class-incremental/seed-0.json").unlink()
    write(home, changed("rows/replay/label", "other words"))
    code, _, err = call(home)
    assert (code, "1 of 2 runs are done" in err, results(home).keys()) == (0, True, first.keys())
    again = results(home)["toy/none/class-incremental/seed-0.json"]
    assert again["numbers"] == first["toy/none/class-incremental/seed-0.json"]["numbers"]

    write(home, changed("rows/none/build/run", {"batch_size": 20}))
    _, out, err = call(home, "--list")
    assert "0 of 1  toy/none/class-incremental\n  1 of 1  toy/replay/task-incremental\n" in out
    assert "1 of 2 runs are done" in err


def test_ctrl_c_loses_the_runs_in_progress_only(home):
    long = changed("rows/none/build/run", {"batch_size": 10, "updates": 1_000_000})
    write(home, long)
    process = start(home, "--jobs", "2")
    deadline = time.monotonic() + 120
    while not results(home) and time.monotonic() < deadline:
        time.sleep(0.1)
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "interrupted: 1 runs in progress are lost" in err
    assert [p.name for p in home.glob("results/**/*.json")] == ["seed-0.json"]
    assert not list(home.glob("results/**/*.part"))


def test_a_run_that_fails_is_told_and_the_others_go_on(home):
    write(home, changed("rows/none/build/optimizer", {"lr": -1.0}))
    code, _, err = call(home)
    assert code == 1
    assert "toy/none/class-incremental seed 0: failed with exit code 1" in err
    assert "Invalid learning rate" in err
    assert list(results(home)) == ["toy/replay/task-incremental/seed-0.json"]
