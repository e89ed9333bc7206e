"""``--jobs``: what is learnt in several processes is what is learnt in one, whatever happens to them."""

import json
import os
import shlex
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch

from perdure._peak_memory import peak_memory_bytes
from perdure.cli import _jobs
from perdure.cli._jobs import processes, read_jobs, with_threads
from perdure.cli._options import Options
from perdure.cli._progress import Progress

PERDURE = [sys.executable, "-m", "perdure"]
LONG = (
    "run --data digits --model linear --method er,finetune --memory 50 --seeds 1 --batch-size 2 --epochs 5 "
    "--checkups none --eval-every 0 --checkpoint-every 20 --out a"
)


@pytest.fixture(autouse=True)
def _threads():
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


def learnt(folder):
    """What is in the records, but for what depends on the machine."""
    found = {}
    for path in sorted(Path(folder, "records").iterdir()):
        record = json.loads(path.read_text())
        for name in ("train_seconds", "evaluation_seconds", "energy_joules", "peak_memory_bytes"):
            del record["cost"][name]
        for spent in record["spent"]:
            del spent["train_seconds"]
        found[path.name] = record
    return found


def test_the_numbers_are_those_of_one_process_and_a_failure_is_its_own(cli, quick):
    line = f"{quick} --method er,ewc,finetune --seeds 2 --memory 50 --option er.lr=1e38"
    side, one = (cli(f"{line} --jobs {n} --out {name}") for n, name in ((2, "side"), (1, "one")))
    assert (side.code, one.code) == (1, 1)
    assert len(learnt("side")) == 4
    assert learnt("side") == learnt("one")
    assert Path("side/config.yaml").read_text() == Path("one/config.yaml").read_text()
    assert "\nthreads: 1\n" in Path("side/config.yaml").read_text()
    assert "2 processes with 1 thread each" in side.err
    assert "processes" not in one.err
    failed = [line for line in side.err.splitlines() if "failed: Diverged" in line]
    assert failed[0].startswith("er, seed 0 failed")
    assert [line for line in one.err.splitlines() if "failed: Diverged" in line] == failed[:1]
    for name in ("ewc     ", "finetune"):
        assert all(f"{name}  seed {seed}  accuracy" in side.err for seed in (0, 1))
    scores = json.loads(Path("side/scores.json").read_text())
    assert scores["failures"] == failed
    assert not Path("side/live").exists()


def wait_for(found, process):
    deadline = time.monotonic() + 200
    while not found():
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline
        time.sleep(0.01)


def children(pid):
    return [int(p) for p in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def wait_for_the_end_of(pids):
    deadline = time.monotonic() + 20
    while any(Path(f"/proc/{pid}/cmdline").exists() for pid in pids):
        assert time.monotonic() < deadline
        time.sleep(0.02)


def working():
    """The method and seed of each process that has saved something, by its number."""
    return {
        json.loads(path.read_text())["pid"]: path.parent.name for path in Path("a/checkpoints").glob("*/owner.json")
    }


def saved(name):
    """The updates after which there are checkpoints."""
    return max(
        (int(p.parent.name.split("-")[-1]) for p in Path("a/checkpoints", name).glob("0*/manifest.json")), default=0
    )


def start(line):
    return subprocess.Popen([*PERDURE, *shlex.split(line)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


@pytest.mark.skipif(sys.platform != "linux", reason="looks at processes as Linux shows them")
def test_killed_interrupted_left_alone_and_resumed_with_other_jobs(cli):
    with start(f"{LONG} --jobs 2") as process:
        wait_for(lambda: len(working()) == 2 and all(map(saved, working().values())), process)
        victim, name = next(iter(working().items()))
        assert victim in children(process.pid)
        os.kill(victim, signal.SIGKILL)
        method, seed = name.split("-seed")
        told = f"{method}, seed {seed} failed: its process ended with signal 9: perdure resume goes on from its last"
        assert any(line.startswith(told) for line in process.stderr)
        other = next(n for n in ("er-seed0", "finetune-seed0") if n != name)
        before = saved(other)
        wait_for(lambda: saved(other) > before + 20, process)  # the other one learns on
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=120)
    assert (process.returncode, out) == (130, "")
    told = err.splitlines()
    assert told[-3:] == ["interrupted", "to go on: perdure resume a", "1 failed: see above (--debug shows where)"]
    assert "Traceback" not in err
    reached = {name: saved(name), other: saved(other)}
    assert min(reached.values()) > 0

    with start("resume a --jobs 2") as process:
        wait_for(lambda: len(working()) == 2 and all(saved(n) > reached[n] for n in reached), process)
        orphans = children(process.pid)
        assert len(orphans) == 2
        process.kill()
        process.communicate()
    wait_for_the_end_of(orphans)

    assert cli("resume a --quiet").code == 0
    assert cli(f"{LONG} --threads 1 --quiet".replace("--out a", "--out alone")).code == 0
    assert learnt("a") == learnt("alone")


@pytest.mark.skipif(sys.platform != "linux", reason="looks at processes as Linux shows them")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupt_while_all_is_checked_leaves_nothing(cli, number):
    with start(f"{LONG} --jobs 2") as process:
        wait_for(lambda: len(children(process.pid)) == 2, process)
        begun = children(process.pid)
        process.send_signal(number)
        assert process.communicate(timeout=120) == ("", "perdure: interrupted\n")
    assert process.returncode == 128 + number
    wait_for_the_end_of(begun)
    assert not Path("a").exists()


@pytest.mark.skipif(sys.platform != "linux", reason="looks at processes as Linux shows them")
def test_a_process_that_is_told_to_end_while_it_loads_ends_without_a_word():
    command = [sys.executable, "-m", "perdure.cli._run_worker"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        wait_for(lambda: "libtorch" in Path(f"/proc/{process.pid}/maps").read_text(), process)
        process.terminate()
        assert process.communicate(timeout=60) == (b"", b"")
    assert process.returncode == -signal.SIGTERM


def test_resume_tells_of_other_threads_only_where_there_are(cli, quick):
    for line, told in (("--jobs 1", []), ("--threads 2", ["a was begun with threads 2 (now 1)"])):
        assert cli(f"{quick} --method finetune {line} --out a").code == 0
        Path("a/records/finetune-seed0.json").unlink()
        if told:
            config = Path("a/config.yaml")
            config.write_text(config.read_text().replace("threads: 2", "threads: null"))
        torch.set_num_threads(2)
        again = cli("resume a --jobs 1")
        assert again.code == 0
        assert [line.partition(": ")[0] for line in again.err.splitlines() if "bits may differ" in line] == told
        shutil.rmtree("a")


def test_how_many():
    said = []
    options = with_threads(Options(data="digits", method=["er"]), 2)
    assert options.threads == 1
    assert with_threads(Options(threads=3), 2).threads == 3
    assert with_threads(Options(), None).threads is None
    assert processes(None, 9, Options(), said.append) == 1
    assert processes(4, 9, options, said.append) == 4
    assert processes(4, 3, options, said.append) == 3
    assert said == ["4 processes with 1 thread each", "3 processes with 1 thread each"]
    assert 1 <= processes("auto", 2, options, said.append) <= 2
    assert processes("auto", 10**6, options, said.append) <= os.cpu_count()
    said.clear()
    assert processes("auto", 9, Options(device="cuda"), said.append) == 1
    assert said == ["--jobs auto on cuda: one process, as several would share its memory; --jobs 2 runs two"]
    assert processes(2, 9, Options(device="cuda"), said.append) == 2
    assert (read_jobs("auto"), read_jobs("3"), read_jobs(None)) == ("auto", 3, None)


def test_memory_that_those_started_hold_already_is_not_counted_twice(monkeypatch):
    class Started:
        def held_bytes(self):
            return 2 * peak_memory_bytes()

    monkeypatch.setattr(_jobs, "_cores", lambda: 4)
    monkeypatch.setattr(_jobs, "_available_bytes", lambda: peak_memory_bytes() + 10**6)
    assert processes("auto", 9, Options(), [].append) == 1
    assert processes("auto", 9, Options(), [].append, Started()) == 3


@pytest.mark.parametrize("command", ["run --data digits --method er", "resume .", "tune --data digits --method er"])
@pytest.mark.parametrize("jobs", ["0", "-1", "two", "1.5"])
def test_bad_numbers_are_one_line(cli, command, jobs):
    code, out, err = cli(f"{command} --jobs={jobs}")
    assert (code, out) == (2, "")
    assert err == f"perdure: --jobs {jobs}: expected a whole number of at least 1, or auto\n"


@pytest.mark.parametrize("command", ["run", "resume", "tune", "reproduce"])
def test_help_tells(cli, command):
    assert "--jobs N|auto" in cli(f"{command} --help").out


def test_each_that_learns_has_a_row():
    progress = Progress(quiet=True)
    progress.expect(3, ["er", "finetune"])
    rows = [progress.begin(method, 0) for method in ("er", "finetune")]
    assert [task.description for task in progress.bar.tasks] == ["1/3  er        seed 0", "2/3  finetune  seed 0"]
    rows[0].close()
    rows[0].close()
    assert [task.description for task in progress.bar.tasks] == ["2/3  finetune  seed 0"]
