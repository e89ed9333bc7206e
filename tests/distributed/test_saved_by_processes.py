"""A checkpoint saved by two processes loads in one, and the other way round."""

import importlib.util
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

import perdure
from perdure.checks._state import difference, snapshot

HERE = Path(__file__).parent


def two_ranks():
    spec = importlib.util.spec_from_file_location("two_ranks", HERE / "two_ranks.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_saved_by_one_learnt_by_two_saved_by_two_loaded_by_one(tmp_path):
    ranks = two_ranks()
    alone = ranks.make(1, 0.0)
    ranks.learn(alone, 0)
    perdure.save(tmp_path / "one", alone, {"experience": 1})
    ranks.learn(alone, 1)

    env = os.environ | {"OMP_NUM_THREADS": "1", "GLOO_SOCKET_IFNAME": "lo"}
    command = [sys.executable, str(HERE / "saving_ranks.py")]
    processes = [
        subprocess.Popen(
            [*command, str(rank), "2", str(tmp_path)],
            env=env,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        for rank in range(2)
    ]
    try:
        said = [process.communicate(timeout=120)[0] for process in processes]
    finally:
        for process in processes:
            process.kill()
    assert [process.returncode for process in processes] == [0, 0], "\n".join(said)

    files = sorted(path.name for path in (tmp_path / "all").iterdir())
    assert files == ["manifest.json", "state.1.json", "state.json", "tensors.1.safetensors", "tensors.safetensors"]
    learner = ranks.make(4, 0.0)
    assert perdure.load(tmp_path / "all", learner) == {"experience": 2}
    state = snapshot(learner)
    merged = torch.load(tmp_path / "model.pt", weights_only=True)
    assert difference(merged, state["model"]) is None
    assert difference(torch.load(tmp_path / "memory.pt", weights_only=True), state["parts"]["Reservoir"]) is None
    ranks.check_same(alone.state_dict(), state)  # and all is as one process learns it

    other = tmp_path / "all" / "tensors.1.safetensors"
    other.write_bytes(other.read_bytes()[:-1])
    with pytest.raises(ValueError, match=r"tensors.1.safetensors is damaged"):
        perdure.load(tmp_path / "all", ranks.make(4, 0.0))
