"""The lock on a folder, between real processes."""

import json
import os
import socket
import subprocess
import sys

import pytest

from perdure.checkpoint import FolderLock, Locked

HOLD = """
import sys, time
from pathlib import Path
from perdure.checkpoint._lock import FolderLock
with FolderLock(Path(sys.argv[1]), print):
    print("held", flush=True)
    time.sleep(60)
"""

COUNT = """
import sys, time
from pathlib import Path
from perdure.checkpoint._lock import FolderLock, Locked
folder, done = Path(sys.argv[1]), 0
print("ready", flush=True)
input()  # so that all start together
while done < 20:
    try:
        with FolderLock(folder, print):
            number = int((folder / "number").read_text())
            time.sleep(0.001)
            (folder / "number").write_text(str(number + 1))
            done += 1
    except Locked:
        time.sleep(0.001)
"""


@pytest.fixture(name="holder")
def _holder(tmp_path):
    process = subprocess.Popen([sys.executable, "-c", HOLD, str(tmp_path)], stdout=subprocess.PIPE, text=True)
    assert process.stdout.readline() == "held\n"
    yield process
    process.kill()
    process.communicate()


def test_a_second_process_is_kept_out_until_the_first_dies(tmp_path, holder):
    said = []
    with pytest.raises(Locked) as kept_out, FolderLock(tmp_path, said.append):
        pass
    text = str(kept_out.value)
    assert f"{tmp_path} is in use by process {holder.pid} on {socket.gethostname()}, since 20" in text
    assert text.endswith(f": wait until it ends, stop it (kill {holder.pid}), or choose another folder")
    assert said == []

    holder.kill()
    holder.wait()
    with FolderLock(tmp_path, said.append):
        assert json.loads((tmp_path / "owner.json").read_text())["pid"] == os.getpid()
    assert len(said) == 1
    assert f"left by process {holder.pid} on {socket.gethostname()}, since 20" in said[0]
    assert said[0].endswith("which has died: taken over")

    with FolderLock(tmp_path, said.append):
        pass
    assert len(said) == 1
    assert sorted(path.name for path in tmp_path.iterdir()) == ["lock"]


def test_one_at_a_time(tmp_path):
    (tmp_path / "number").write_text("0")
    command = [sys.executable, "-c", COUNT, str(tmp_path)]
    many = [subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) for _ in range(3)]
    assert [process.stdout.readline() for process in many] == ["ready\n"] * 3
    for process in many:
        process.stdin.write("go\n")
        process.stdin.flush()
    for process in many:
        process.communicate(timeout=120)
    assert [process.returncode for process in many] == [0, 0, 0]
    assert (tmp_path / "number").read_text() == "60"


def test_the_same_process_is_kept_out_too(tmp_path):
    with FolderLock(tmp_path, print):
        with pytest.raises(Locked, match=f"process {os.getpid()} on"), FolderLock(tmp_path, print):
            pass
        (tmp_path / "inner").mkdir()
        with FolderLock(tmp_path / "inner", print):
            pass


def test_an_error_inside_lets_go(tmp_path):
    with pytest.raises(ZeroDivisionError), FolderLock(tmp_path, print):
        _ = 1 / 0
    with FolderLock(tmp_path, pytest.fail):
        pass


def test_a_folder_that_goes_away_is_let_go_of(tmp_path):
    folder = tmp_path / "run"
    folder.mkdir()
    with FolderLock(folder, print):
        (folder / "owner.json").unlink()
        (folder / "lock").unlink()
        folder.rmdir()
    assert not folder.exists()
    with pytest.raises(FileNotFoundError, match="moved or removed"), FolderLock(folder, print):
        pass
    assert not folder.exists()


def test_an_owner_within_a_folder_that_was_taken_over_is_not_told_again(tmp_path):
    (tmp_path / "inner").mkdir()
    for folder in (tmp_path, tmp_path / "inner"):
        (folder / "owner.json").write_text('{"pid": 1, "host": "a", "started": "then"}')
    said = []
    with FolderLock(tmp_path, said.append), FolderLock(tmp_path / "inner", said.append):
        pass
    assert said == [f"{tmp_path} was left by process 1 on a, since then, which has died: taken over"]


@pytest.mark.parametrize(
    "content", [b"", b"\xff", b"[]", b'{"pid": 1e999}', b'{"pid": "x"}', b'{"pid": 1}', b"[" * 3000, b" " * 10_000]
)
def test_what_does_not_name_an_owner(tmp_path, content):
    (tmp_path / "owner.json").write_bytes(content)
    said = []
    with FolderLock(tmp_path, said.append):
        pass
    assert said == [f"{tmp_path} was left by another process, which has died: taken over"]


def test_what_strangers_left(tmp_path):
    (tmp_path / "owner.json").write_text(json.dumps({"pid": 7, "host": "a\x1b]0;b\nc" * 99, "started": "now"}))
    said = []
    with FolderLock(tmp_path, said.append):
        pass
    assert said[0].isprintable()
    assert len(said[0]) < len(str(tmp_path)) + 200
    (tmp_path / "lock").unlink()
    victim = tmp_path / "victim"
    victim.write_text("mine")
    (tmp_path / "lock").symlink_to(victim)
    with pytest.raises(ValueError, match="lock is no plain file"), FolderLock(tmp_path, print):
        pass
    (tmp_path / "lock").unlink()
    (tmp_path / "owner.json").symlink_to(victim)
    with FolderLock(tmp_path, said.append):
        pass
    assert victim.read_text() == "mine"


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_folder_that_is_read_only(tmp_path):
    tmp_path.chmod(0o500)
    try:
        with pytest.raises(OSError, match="lock"), FolderLock(tmp_path, print):
            pass
    finally:
        tmp_path.chmod(0o700)
