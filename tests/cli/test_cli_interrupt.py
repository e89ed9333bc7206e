"""Signals, kills and locks between real processes: nothing is lost, and the end is that of a run left alone."""

import json
import shlex
import signal
import subprocess
import sys
import time

import pytest

LINE = (
    "run --data digits --method er,der_pp --seeds 1 --memory 100 --batch-size 5 --epochs {} --eval-every 40 --threads 1"
)
TIMES = ("train_seconds", "evaluation_seconds")

SLOW = """
import os, time
from pathlib import Path
from torch import nn

class Slow(nn.Sequential):
    def forward(self, x):
        if self.training and os.environ.get("SLOW") == "forward" and Path("a").exists():
            Path("forward").touch()
            time.sleep(60)
        return super().forward(x)

def make():
    if os.environ.get("SLOW") == "make" and list(Path("a").glob("records/*")):
        Path("make").touch()
        time.sleep(60)
    return Slow(nn.Flatten(), nn.Linear(64, 10))
"""


@pytest.fixture(name="start")
def _start(tmp_path):
    """Start the command in a process of its own, in the folder of the test."""
    processes = []

    def start(line):
        words = line if isinstance(line, list) else line.split()
        process = subprocess.Popen(
            [sys.executable, "-m", "perdure", *words],
            cwd=tmp_path,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        processes.append(process)
        return process

    yield start
    for process in processes:
        process.kill()
        process.communicate()


def wait_for(found, process):
    deadline = time.monotonic() + 60
    while not found():
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline
        time.sleep(0.005)


def newest(folder):
    """The highest update that a checkpoint under ``folder`` was saved at."""
    return max((int(p.parent.name.split("-")[-1]) for p in folder.glob("*/0*/manifest.json")), default=-1)


def numbers(text):
    """Scores without the name of the folder and what depends on the machine."""
    scores = json.loads(text)
    for method in scores["methods"].values():
        for name in ("train_seconds", "evaluation_seconds", "energy_joules", "peak_memory_bytes"):
            del method[name]
    del scores["run"]
    return scores


def test_terminated_killed_resumed_and_left_alone_are_the_same(cli, start, tmp_path):
    line = LINE.format(4)
    alone = cli(f"{line} --json --quiet --out alone")
    assert (alone.code, alone.err) == (0, "")

    first = start(f"{line} --checkpoint-every 10 --out a")
    wait_for(lambda: newest(tmp_path / "a" / "checkpoints") >= 100, first)
    refused = cli("resume a")
    assert (refused.code, refused.out) == (2, "")
    assert f"a is in use by process {first.pid}" in refused.err
    first.send_signal(signal.SIGTERM)
    out, err = first.communicate(timeout=60)
    assert (first.returncode, out) == (143, "")
    assert err.splitlines() == ["interrupted", "to go on: perdure resume a"]
    assert not (tmp_path / "a" / "owner.json").exists()

    reached = newest(tmp_path / "a" / "checkpoints")
    second = start(shlex.split(err.splitlines()[-1].removeprefix("to go on: perdure ")))
    wait_for(lambda: newest(tmp_path / "a" / "checkpoints") > reached, second)
    second.kill()
    second.communicate()
    number, _, update = max(p.parent.name for p in tmp_path.glob("a/checkpoints/er-seed0/0*/manifest.json")).split("-")
    assert int(number) <= int(update) // 10 + 4  # it went on; to begin anew takes twice as many

    code, out, err = cli("resume a --json --quiet")
    assert code == 0
    assert err.splitlines() == [err.strip()]
    assert err.startswith(f"a was left by process {second.pid} on ")
    assert numbers(out) == numbers(alone.out)
    assert numbers((tmp_path / "a" / "scores.json").read_text()) == numbers(alone.out)
    for record in (tmp_path / "alone" / "records").iterdir():
        ours, theirs = (json.loads((tmp_path / run / "records" / record.name).read_text()) for run in ("a", "alone"))
        for name in TIMES:
            assert ours["cost"].pop(name) > 0
            theirs["cost"].pop(name)
        for found in (ours, theirs):
            del found["cost"]["energy_joules"], found["cost"]["peak_memory_bytes"]
            for spent in found["spent"]:
                del spent["train_seconds"]
        assert ours == theirs
    assert all(len(sums) == 1 for m in numbers(out)["methods"].values() for sums in [set(m["weights_sha256"])])
    checkpoints = sorted((tmp_path / "a").glob("checkpoints/*/*/manifest.json"))
    assert [path.parent.parent.name for path in checkpoints] == ["der_pp-seed0", "er-seed0"]


def test_a_second_interrupt_leaves_at_once_and_own_code_must_be_named(cli, start, tmp_path, monkeypatch):
    (tmp_path / "slow_nets.py").write_text(SLOW)
    monkeypatch.setenv("SLOW", "forward")
    line = "run --data digits --method finetune --experiences 2 --batch-size 200 --seeds 2 --eval-every 0"
    process = start(f"{line} --model slow_nets:make --inputs unit --out a")
    wait_for((tmp_path / "forward").exists, process)
    started = time.monotonic()
    process.send_signal(signal.SIGINT)
    time.sleep(0.2)
    assert process.poll() is None  # the update goes on
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=60)
    assert (process.returncode, out) == (130, "")
    assert time.monotonic() - started < 40  # it does not wait for the update, nor for a page
    hint = "to go on: perdure resume a --allow-import slow_nets:make"
    assert err.splitlines() == ["interrupted", hint]
    assert not (tmp_path / "a" / "owner.json").exists()

    refused = cli("resume a")
    assert (refused.code, refused.out) == (2, "")
    assert refused.err.splitlines() == [refused.err.strip()]
    assert "'slow_nets:make', which may run code" in refused.err
    assert cli("resume a --allow-import slow_nets:other").code == 2
    assert "slow_nets" not in sys.modules

    monkeypatch.setenv("SLOW", "make")  # outside of learning
    (tmp_path / "forward").unlink()
    process = start(shlex.split(hint.removeprefix("to go on: perdure ")))
    wait_for((tmp_path / "make").exists, process)
    process.send_signal(signal.SIGTERM)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 143
    assert "finetune" in out
    assert err.splitlines()[-3:-1] == ["interrupted; what was complete is kept", hint]
    assert not (tmp_path / "a" / "owner.json").exists()
    assert json.loads((tmp_path / "a" / "scores.json").read_text())["interrupted"]

    monkeypatch.setenv("SLOW", "")
    code, out, _ = cli("resume a --allow-import slow_nets:make --json")
    assert code == 0
    assert json.loads(out)["methods"]["finetune"]["seeds"] == [0, 1]
    sys.modules.pop("slow_nets")
