"""``perdure run`` under torchrun: one process killed, all started again, the same end; then without torchrun."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

TORCHRUN = ["torch.distributed.run", "--standalone", "--nproc-per-node", "2"]


@pytest.fixture(name="start")
def _start(tmp_path):
    """Starts a command as a process in the folder of the test."""
    random = [(i * 37 % 101, i * 53 % 97, i * 71 % 89) for i in range(400)]
    lines = [f"{a},{b},{c},{'wxyz'[i % 4]}" for i, (a, b, c) in enumerate(random)]
    (tmp_path / "t.csv").write_text("\n".join(["a,b,c,kind", *lines]))
    env = os.environ | {"OMP_NUM_THREADS": "1"}
    started = []

    def start(*command):
        process = subprocess.Popen(
            [sys.executable, "-m", *command],
            cwd=tmp_path, env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )  # fmt: skip
        started.append(process)
        return process

    yield start
    for process in started:
        process.kill()
        process.wait()


OPTIONS = (
    "--data t.csv --target kind --experiences 2 --model linear --method finetune,er --memory 40 --seeds 1 "
    "--batch-size 8 --epochs 60 --checkups none --eval-every 0 --checkpoint-every 100 --json"
)
RUN = ["perdure", "run", *OPTIONS.split()]


def workers(process):
    """The processes that torchrun has started, by their ranks."""
    found = {}
    listed = subprocess.run(["ps", "-o", "pid=", "--ppid", str(process.pid)], capture_output=True, text=True)
    for pid in map(int, listed.stdout.split()):
        try:
            said = Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")
            named = dict(item.split(b"=", 1) for item in said if b"=" in item)
            found[int(named[b"RANK"])] = pid
        except (OSError, KeyError):
            continue
    return found


def newest(run):
    """The number and the update of the last checkpoint of er."""
    names = [path.parent.name.split("-") for path in run.glob("checkpoints/er-seed0/0*/manifest.json")]
    return max(((int(number), int(update)) for number, _, update in names), default=(0, 0))


@pytest.mark.skipif(not Path("/proc").exists(), reason="looks processes up in /proc")
def test_one_process_is_killed_and_the_end_is_the_same(start, tmp_path):
    whole = start(*TORCHRUN, "-m", *RUN, "--out", "whole")
    out, err = whole.communicate(timeout=300)
    assert whole.returncode == 0, err
    wanted = json.loads(out)["methods"]  # printed once
    assert json.loads((tmp_path / "whole" / "environment.json").read_text())["processes"] == 2

    killed = start(*TORCHRUN, "--max-restarts", "1", "-m", *RUN, "--out", "killed")
    deadline = time.monotonic() + 200
    while newest(tmp_path / "killed")[1] < 1000:
        assert killed.poll() is None, killed.communicate()[1]
        assert time.monotonic() < deadline
        time.sleep(0.01)
    complete = (tmp_path / "killed/records/finetune-seed0.json").stat().st_mtime_ns
    os.kill(workers(killed)[1], signal.SIGKILL)
    out, err = killed.communicate(timeout=300)
    assert killed.returncode == 0, err
    found = json.loads(out)["methods"]
    for method in ("finetune", "er"):
        for name in ("weights_sha256", "accuracy", "processed"):
            assert found[method][name] == wanted[method][name]
    assert (tmp_path / "killed/records/finetune-seed0.json").stat().st_mtime_ns == complete
    number, update = newest(tmp_path / "killed")
    assert number <= update // 100 + 4  # it went on; to begin anew takes ten more

    refused = start(*TORCHRUN, "-m", *RUN, "--jobs", "2", "--out", "jobs")
    assert "--jobs starts processes of its own" in refused.communicate(timeout=100)[1]
    assert refused.returncode == 1  # torchrun's own
