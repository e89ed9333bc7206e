"""The real command on a disk that fails: full, read-only, gone, damaged."""

import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import killing
import pytest
from killing import Moment, differences, live

from perdure.checkpoint._read import read_checkpoint

pytestmark = pytest.mark.skipif(os.name != "posix", reason="limits and signals of POSIX")

ARGUMENTS = (
    "--data digits --method er --memory 100 --draw 10 --model-option hidden=100, --seeds 1 --batch-size 10 --epochs 2 "
    "--eval-every 0 --checkpoint-every 8 --checkpoint-minutes 0 --keep-checkpoints 3 --quiet --json"
)
LEARN = f"run {ARGUMENTS} --out {killing.RUN}"
RESUME = f"resume {killing.RUN} --quiet --json"
MIDDLE = 250  # of about 900 operations on files
CHECKPOINTS = Path(killing.RUN) / "checkpoints" / "er-seed0"


@pytest.fixture(name="alone", scope="module")
def _alone(tmp_path_factory):
    """A run left alone."""
    folder = tmp_path_factory.mktemp("alone")
    life = live(LEARN, folder)
    assert (life.code, life.err) == (0, "")
    assert life.operations > 2 * MIDDLE
    return folder


@pytest.fixture(name="killed", scope="module")
def _killed(tmp_path_factory):
    """A run killed in the middle, with three checkpoints."""
    folder = tmp_path_factory.mktemp("killed")
    assert live(LEARN, folder, Moment("", MIDDLE, 0.05)).code == -9
    assert len(checkpoints(folder / CHECKPOINTS)) >= 3
    return folder


def checkpoints(folder):
    return sorted(path for path in folder.iterdir() if path.name[0].isdigit())


def stopped(life, *words):
    """Learning was given up in one line, and told how to go on."""
    assert life.code == 1, life.err
    assert life.out == ""
    first, *others = life.err.splitlines()
    assert first.startswith("cannot save a checkpoint in run/checkpoints/er-seed0: "), life.err
    for word in words:
        assert word in first
    return others


def goes_on(alone, folder):
    """What was saved before loads, and the end is that of the run left alone."""
    life = live(RESUME, folder)
    assert life.code == 0, life.err
    assert differences(alone, folder) == []


def test_a_full_disk_stops_learning_and_leaves_what_was_saved(alone, tmp_path):
    life = live(LEARN, tmp_path, limit=(MIDDLE, 0, 20_000))
    others = stopped(life, "File too large", "the last good one is 0000", "make room or permit writing")
    assert others[0] == "to go on: perdure resume run"
    goes_on(alone, tmp_path)


def test_a_disk_full_from_the_start_is_said_before_anything_is_learnt(tmp_path):
    life = live(LEARN, tmp_path, limit=(1, 0, 20_000))
    stopped(life, "File too large", "there is none yet")


def test_a_disk_full_for_a_while_does_not_stop_who_says_continue(alone, tmp_path):
    life = live(f"{LEARN} --on-checkpoint-error continue", tmp_path, limit=(MIDDLE, MIDDLE + 40, 20_000))
    assert life.code == 0, life.err
    assert "File too large: learning goes on without" in life.err
    assert differences(alone, tmp_path) == []


@pytest.fixture(name="small_disk")
def _small_disk(tmp_path):
    """A file system of two megabytes."""
    disk = tmp_path / "disk"
    disk.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", disk], capture_output=True, text=True)
    if mounted.returncode:
        pytest.skip(f"mounting is not permitted here: {mounted.stderr.strip()}")
    yield disk
    subprocess.run(["umount", disk], check=True)


def fill(disk):
    with (disk / "filler").open("wb", buffering=0) as file:
        try:
            while True:
                file.write(bytes(4096))
        except OSError:
            return


def fill_for_a_while(disk):
    """Until the command has noticed."""
    fill(disk)
    said = killing.printed(disk, "err")
    deadline = time.monotonic() + 60
    while not said.read_text() and time.monotonic() < deadline:
        time.sleep(0.01)
    (disk / "filler").unlink()


@pytest.mark.parametrize("what", ["stop", "continue"])
def test_a_small_disk_that_fills_up(alone, small_disk, what):
    line = f"{LEARN} --on-checkpoint-error {what}"
    if what == "continue":
        life = live(line, small_disk, Moment("", MIDDLE, 0.0), then=lambda: fill_for_a_while(small_disk))
        assert life.code == 0, life.err
        assert "No space left on device: learning goes on without" in life.err
        assert differences(alone, small_disk) == []
        return
    life = live(line, small_disk, Moment("", MIDDLE, 0.0), then=lambda: fill(small_disk))
    (small_disk / "filler").unlink()
    stopped(life, "No space left on device", "the last good one is 0000")
    goes_on(alone, small_disk)


@pytest.mark.parametrize("what", ["stop", "continue"])
def test_the_folder_of_checkpoints_is_taken_away(alone, tmp_path, what):
    folder = tmp_path / CHECKPOINTS
    line = f"{LEARN} --on-checkpoint-error {what}"
    life = live(line, tmp_path, Moment("", MIDDLE, 0.0), then=lambda: folder.rename(tmp_path / "x"))
    if what == "stop":
        others = stopped(life, "No such file or directory", "there is none yet")
        assert others[0] == "to go on: perdure resume run"
        assert (tmp_path / "run" / "config.yaml").exists()
        assert all(read_checkpoint(path).position for path in checkpoints(tmp_path / "x"))
    else:
        assert life.code == 0, life.err
        assert "No such file or directory: learning goes on without" in life.err
        assert differences(alone, tmp_path) == []


@pytest.mark.parametrize("what", ["stop", "continue"])
def test_the_folder_is_made_read_only(alone, tmp_path, what):
    if os.geteuid() == 0 and sys.platform != "linux":
        pytest.skip("permissions do not bind root here")
    folder = tmp_path / CHECKPOINTS
    line = f"{LEARN} --on-checkpoint-error {what}"
    life = live(line, tmp_path, Moment("", MIDDLE, 0.0), then=lambda: folder.chmod(0o500), bound=os.geteuid() == 0)
    folder.chmod(0o700)
    if what == "stop":
        stopped(life, "Permission denied", "the last good one is 0000")
        goes_on(alone, tmp_path)
    else:
        assert life.code == 0, life.err
        assert "Permission denied: learning goes on without" in life.err
        assert "cannot remove old checkpoints from run/checkpoints/er-seed0: Permission denied" in life.err
        left = [name for name in differences(alone, tmp_path) if not name.startswith("left over: checkpoints/")]
        assert left == []


def cut(checkpoint):
    path = checkpoint / "tensors.safetensors"
    path.write_bytes(path.read_bytes()[:-100])
    return path


def flip(checkpoint):
    path = checkpoint / "state.json"
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    return path


def lose_manifest(checkpoint):
    (checkpoint / "manifest.json").unlink()
    return checkpoint


def cut_rows(checkpoint):
    manifest = json.loads((checkpoint / "manifest.json").read_text())
    path = checkpoint.parent / "rows" / list(manifest["rows"])[-1]
    path.write_bytes(path.read_bytes()[:-1])
    return path


@pytest.mark.parametrize("damage", [cut, flip, lose_manifest, cut_rows])
def test_a_damaged_checkpoint_is_named_and_the_one_before_is_used(alone, killed, tmp_path, damage):
    shutil.copytree(killed / killing.RUN, tmp_path / killing.RUN)
    path = damage(checkpoints(tmp_path / CHECKPOINTS)[-1])
    life = live(RESUME, tmp_path)
    assert life.code == 0, life.err
    (said,) = [line for line in life.err.splitlines() if "the one before it is tried" in line]
    assert str(path.relative_to(tmp_path)) in said
    assert differences(alone, tmp_path) == []


def test_if_all_are_damaged_that_is_said_and_learning_begins_anew(alone, killed, tmp_path):
    shutil.copytree(killed / killing.RUN, tmp_path / killing.RUN)
    for checkpoint in checkpoints(tmp_path / CHECKPOINTS):
        cut(checkpoint)
    life = live(RESUME, tmp_path)
    assert life.code == 0, life.err
    for checkpoint in checkpoints(killed / CHECKPOINTS):
        assert checkpoint.name in life.err
    assert "no checkpoint in run/checkpoints/er-seed0 is whole: there is nothing to go on from" in life.err
    assert differences(alone, tmp_path) == []
