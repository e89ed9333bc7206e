"""Checkpoints of each released format load and go on, or are refused with what to do. See README.md beside."""

import json
import platform
import sys
from pathlib import Path

import pytest
import torch
from torch.optim import lr_scheduler

import perdure
from perdure import Batch
from perdure.checkpoint import weights_sha256
from perdure.checkpoint._manifest import FORMAT
from perdure.checks._state import difference, snapshot
from perdure.nn import mlp

HERE = Path(__file__).parent
FEATURES, CLASSES = 6, 4
SAVED, MORE = 30, 40  # updates before the checkpoint, and after it
TOLERANCE = 1e-3  # of logits around 1, on other machines


def build(seed: int) -> perdure.ContinualLearner:
    """ER on a tiny network, with momentum, a schedule and a memory."""
    torch.manual_seed(seed)
    return perdure.build(
        "er",
        mlp((FEATURES,), CLASSES, hidden=(8,)),
        lambda params: torch.optim.SGD(params, lr=0.05, momentum=0.9),
        memory=16,
        draw=4,
        seed=seed,
        scheduler=lambda optimizer: lr_scheduler.OneCycleLR(optimizer, 0.1, 200),
    )


def batch(number: int, size: int = 8) -> Batch:
    """Exact on every machine: whole numbers divided by a power of two."""
    rows = torch.arange(number * size, (number + 1) * size)
    y = rows % CLASSES
    noise = (rows[:, None] * 37 + torch.arange(FEATURES) * 101) % 64
    return Batch((noise + 64 * (torch.arange(FEATURES) == y[:, None])) / 64, y)


def machine() -> dict[str, str]:
    """What bits depend on."""
    return {
        "torch": torch.__version__,
        "machine": platform.machine(),
        "instructions": torch.backends.cpu.get_cpu_capability(),
    }


def end(learner: perdure.ContinualLearner) -> dict[str, object]:
    """Go on, and say what came of it."""
    for number in range(SAVED, SAVED + MORE):
        learner.observe(batch(number))
    logits = learner.logits(batch(1000).x)
    return {**machine(), "weights_sha256": weights_sha256(learner), "logits": logits.tolist()}


def make(folder: Path) -> None:
    """Write a golden checkpoint of the present format, and what comes of it."""
    learner = build(0)
    with perdure.Checkpoints(folder, minutes=None, keep=1) as checkpoints:
        for number in range(SAVED):
            learner.observe(batch(number))
            if number + 1 in (SAVED // 3, 2 * SAVED // 3, SAVED):  # rows laid over rows
                checkpoints.save(learner, {"updates": number + 1}, number + 1)
        checkpoints.finish()
    (folder / "lock").unlink()
    saved = weights_sha256(learner)
    expected = json.dumps({"saved_weights_sha256": saved, **end(learner)}, indent=1)
    folder.with_suffix(".json").write_text(expected + "\n")


READ = sorted(HERE.glob("format-*.json"))


@pytest.mark.parametrize("path", READ, ids=lambda path: path.stem)
def test_a_checkpoint_of_a_released_format_loads_and_goes_on(path):
    expected = json.loads(path.read_text())
    learner = build(1)
    assert perdure.load(path.with_suffix(""), learner) == {"updates": SAVED}
    assert weights_sha256(learner) == expected["saved_weights_sha256"]

    found = end(learner)
    if {key: expected[key] for key in machine()} == machine():
        assert found["weights_sha256"] == expected["weights_sha256"]
    torch.testing.assert_close(
        torch.tensor(found["logits"]), torch.tensor(expected["logits"]), atol=TOLERANCE, rtol=TOLERANCE
    )


def test_the_present_format_is_among_them():
    assert f"format-{FORMAT}" in [path.stem for path in READ]


def test_format_1_is_refused_with_what_to_do():
    learner = build(1)
    before = snapshot(learner)
    with pytest.raises(ValueError, match="has checkpoint format 1, this version reads 2: load it with the version of"):
        perdure.load(HERE / "format-1", learner)
    assert difference(before, snapshot(learner)) is None


if __name__ == "__main__":
    make(Path(sys.argv[1]))
