"""What a checkpoint costs training: the time for which it waits, and the slow-down of a whole run.

    python benchmarks/speed/checkpoint.py [--runs 5] [--data mnist]

Ratios are taken within one process; medians are over runs. The bound: training waits for at most twice as long as it
takes to copy the state once in memory, and a run with checkpoints at the default interval is at most 5 % slower.
"""

from __future__ import annotations

import argparse
import math
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from typing import Any

import torch

import perdure
from perdure.datasets import load
from perdure.nn import Normalize, mlp
from perdure.streams import class_incremental

STATES = {  # hidden layers, exemplars of 784 bytes
    "MLP 784-400-400-10, memory 500": ((400, 400), 500),
    "MLP 784-400-400-10, memory 50,000": ((400, 400), 50_000),
    "MLP 784-2000-2000-2000-10, memory 500": ((2000, 2000, 2000), 500),
}
STEPS = 20  # updates between two checkpoints


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=5, help="paired runs")
    parser.add_argument("--data", default="mnist", help="data set of the whole run (digits: in seconds)")
    options = parser.parse_args()
    print(f"PyTorch {torch.__version__}, {torch.get_num_threads()} thread(s), batch 10, SGD with momentum\n")
    print("| state | MB | one copy, ms | training waits, ms | ratio | written, MB |")
    print("| --- | ---: | ---: | ---: | ---: | ---: |")
    for name, (hidden, memory) in STATES.items():
        blocked(name, hidden, memory)
    print("\n| run | seconds | ratio to none | of which waiting | checkpoints |")
    print("| --- | ---: | ---: | ---: | ---: |")
    slow_down(options.data, options.runs)


def blocked(name: str, hidden: tuple[int, ...], memory: int) -> None:
    """The wait of a checkpoint in the middle of learning, beside one copy of all tensors of the state."""
    learner = make(hidden, memory, (1, 28, 28), 10)
    random = torch.Generator().manual_seed(0)

    def teach(count: int, size: int) -> None:
        for _ in range(count):
            x = torch.randint(0, 256, (size, 1, 28, 28), dtype=torch.uint8, generator=random)
            learner.observe(perdure.Batch(x, torch.randint(10, (size,), generator=random)))

    teach(1, memory)
    waits, copies = [], []
    with tempfile.TemporaryDirectory() as folder, perdure.Checkpoints(folder, minutes=None) as checkpoints:
        for number in range(12):
            teach(STEPS, 10)
            checkpoints.wait()
            started = time.perf_counter()
            checkpoints.save(learner, None, number)
            waits.append(time.perf_counter() - started)
            checkpoints.wait()
            teach(STEPS, 10)  # caches as cold as before
            started = time.perf_counter()
            copied = [tensor.clone() for tensor in leaves(learner.state_dict())]
            copies.append(time.perf_counter() - started)
            size = sum(tensor.nbytes for tensor in copied) / 1e6
            del copied
        files = [file for file in checkpoints.newest().path.rglob("*") if file.is_file()]  # type: ignore[union-attr]
        rows = max((checkpoints.folder / "rows").iterdir())
        written = sum(file.stat().st_size for file in (*files, rows)) / 1e6
    wait, copy = (statistics.median(times[2:]) * 1e3 for times in (waits, copies))  # the first allocate
    print(f"| {name} | {size:.1f} | {copy:.2f} | {wait:.2f} | {wait / copy:.2f} | {written:.1f} |")


def slow_down(data: str, runs: int) -> None:
    """Whole runs with and without checkpoints, one after the other."""
    found = load(data)
    held = {} if found.test else {"holdout": 0.2}
    stream = class_incremental(found.train, found.test, experiences=5, **held)
    shape = tuple(stream.example().x.shape[1:])
    ways: dict[str, dict[str, Any] | None] = {
        "no checkpoints": None,
        "default: every minute": {},
        "every 100 updates": {"every": 100, "minutes": None},
        "every 10 updates": {"every": 10, "minutes": None},
    }
    seconds: dict[str, list[float]] = {way: [] for way in ways}
    waited, saved = dict.fromkeys(ways, 0.0), dict.fromkeys(ways, 0)
    for _ in range(runs):
        for way, options in ways.items():
            learner = make((400, 400), 500, shape, stream.num_classes)
            with tempfile.TemporaryDirectory() as folder:
                checkpoints = None if options is None else perdure.Checkpoints(folder, **options)
                started = time.perf_counter()
                perdure.run(learner, stream, batch_size=10, evaluate_every=0, checkpoints=checkpoints)
                seconds[way].append(time.perf_counter() - started)
            if checkpoints is not None:
                waited[way], saved[way] = checkpoints.blocked_seconds / seconds[way][-1], checkpoints.num_saved
    for way in ways:
        ratio = statistics.median(a / b for a, b in zip(seconds[way], seconds["no checkpoints"], strict=True))
        print(f"| {way} | {statistics.median(seconds[way]):.1f} | {ratio:.3f} | {waited[way]:.1%} | {saved[way]} |")


def make(hidden: tuple[int, ...], memory: int, shape: tuple[int, ...], num_classes: int) -> perdure.Learner:
    """ER, as a user would build it."""
    torch.manual_seed(0)
    scale = 255.0 if math.prod(shape) == 784 else 16.0
    net = mlp(shape, num_classes, hidden=hidden, normalize=Normalize(torch.zeros(()), torch.tensor(scale)))
    sgd: Callable[..., torch.optim.Optimizer] = torch.optim.SGD
    learner: perdure.Learner = perdure.build(
        "er", net, lambda params: sgd(params, lr=0.01, momentum=0.9), memory=memory, draw=10
    )
    return learner


def leaves(state: Any) -> Iterator[torch.Tensor]:
    """All tensors of a state."""
    if isinstance(state, torch.Tensor):
        yield state
    elif isinstance(state, dict):
        for value in state.values():
            yield from leaves(value)
    elif isinstance(state, (list, tuple)):
        for value in state:
            yield from leaves(value)


if __name__ == "__main__":
    torch.set_num_threads(1)
    main()
