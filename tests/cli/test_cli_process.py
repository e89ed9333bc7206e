"""The command as a process: help without PyTorch, signals, pipes."""

import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from perdure.cli._folder import create_folder

PERDURE = [sys.executable, "-m", "perdure"]


@pytest.mark.parametrize(
    "line", ["--help", "run --help", "resume --help", "methods --help", "--version", "ruun", "run --epoch 3"]
)
def test_usage_needs_no_pytorch(line):
    code = f"import sys, perdure.cli; perdure.cli.main({line.split()!r}); print(*sorted(sys.modules))"
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    modules = set(out.splitlines()[-1].split())
    assert "perdure.cli" in modules
    assert not modules & {"torch", "numpy", "rich", "sklearn", "matplotlib", "pyarrow"}


def test_help_explains(cli):
    code, out, err = cli("--help")
    assert (code, err) == (0, "")
    for word in ("run", "resume", "methods", "data", "report", "compare", "examples:", "exit codes:"):
        assert word in out
    code, out, _ = cli("run --help")
    assert code == 0
    assert "examples:" in out
    assert "exit codes:" in out
    code, out, _ = cli("resume --help")
    assert code == 0
    assert "examples:" in out
    assert "--allow-import" in out
    assert cli("").code == 2
    code, _, err = cli("comparee x")
    assert code == 2
    assert "did you mean compare?" in err


def test_console_script_and_signal(tmp_path):
    """Ctrl-C after the first record: 130, and what was complete is kept."""
    script = Path(sys.executable).with_name("perdure")
    command = [str(script)] if script.exists() else PERDURE
    line = "run --data digits --method finetune,er --memory 100 --seeds 500 --eval-every 0 --model linear --out a"
    process = subprocess.Popen(
        [*command, *line.split()], cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    deadline = time.monotonic() + 60
    while not list(tmp_path.glob("a/records/*.json")) and time.monotonic() < deadline:
        time.sleep(0.02)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "Traceback" not in err
    assert "what was complete is kept" in err
    assert "finetune" in out
    assert sorted(p.name for p in (tmp_path / "a").iterdir()) == [
        "checkpoints",
        "config.yaml",
        "environment.json",
        "lock",
        "records",
        "report.html",
        "scores.json",
    ]
    assert not list(tmp_path.glob("a/**/*.part"))


def test_a_closed_pipe_is_no_error():
    process = subprocess.Popen([*PERDURE, "methods", "--json"], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    process.stdout.close()
    assert process.stderr.read() == b""
    process.stderr.close()
    process.wait()


def test_folders_of_runs_that_start_together_differ(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with ThreadPoolExecutor(8) as pool:
        made = list(pool.map(lambda _: create_folder(None, "data/sales.csv", "task-free", ["er"]), range(40)))
    assert len(set(made)) == 40
    assert all(folder.name.startswith("sales-task-free-er-") for folder in made)
