"""What an update of each method costs, beside the bare PyTorch loop and beside the arithmetic it has to do.

    python benchmarks/speed/methods.py [--runs 5] [--batch 10] [--methods ewc,gem]

An MLP 784-400-400-10 learns random images, two classes an experience; the updates timed are those of the third
experience, where there is something to remember. ``time`` is the median over runs of the time of an update over that of
a bare loop (forward, cross entropy, backward, SGD) in the same run; ``work`` the same ratio of the multiplications that
PyTorch counts in products of matrices; ``models`` how often the model is called; ``end`` what the end of the experience
costs, in updates of the bare loop for each update of the experience.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy
from torch.utils.flop_counter import FlopCounterMode

import perdure
from perdure.streams import Stream, class_incremental, task_incremental

UPDATES = 40
MEMORY = 500


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=5, help="paired runs")
    parser.add_argument("--batch", type=int, default=10, help="examples in a batch")
    parser.add_argument("--methods", default="", help="names, separated by commas; all that train a model if empty")
    options = parser.parse_args()
    names = options.methods.split(",") if options.methods else [i.name for i in perdure.list_methods() if not i.frozen]
    infos = [perdure.get_method(name) for name in names if name != "gdumb"]  # which only stores while learning
    print(f"PyTorch {torch.__version__}, {torch.get_num_threads()} thread(s), batch {options.batch}, SGD, ", end="")
    print(f"memory {MEMORY}, medians of {options.runs}\n")
    print("| method | examples | models | work | time | end |\n| --- | ---: | ---: | ---: | ---: | ---: |", flush=True)
    for info in infos:
        print(row(info, options.batch, options.runs), flush=True)


def row(info: perdure.MethodInfo, batch: int, runs: int) -> str:
    """One line of the table."""
    told = "class-incremental" not in info.settings
    ratios, ends = [], []
    for run in range(runs):
        stream = noise(told, batch, run)
        learner = perdure.build(info.name, model(), sgd, memory=MEMORY, seed=run)
        for experience in stream.experiences:
            mine, plain = learn(learner, experience)
            began = time.perf_counter()
            learner.end()
            end = time.perf_counter() - began
        ratios.append(mine / plain)
        ends.append(end / plain / UPDATES)
    models = 1 + sum(part.forwards for part in learner.parts)
    examples, work = count(learner, stream.experiences[-1])
    time_, end = statistics.median(ratios), statistics.median(ends)
    return f"| {info.name} | {examples} | {models} | {work:.2f} | {time_:.2f} | {end:.2f} |"


def noise(told: bool, batch: int, seed: int) -> Stream:
    """Random images in three experiences, ``UPDATES`` batches each."""
    random = torch.Generator().manual_seed(seed)
    size = 2 * round(3 * UPDATES * batch / 6 / 0.98 + 1) * 3
    data = torch.randint(0, 256, (size, 784), generator=random).float() / 255, torch.arange(size) % 6
    make = task_incremental if told else class_incremental
    return make(data, experiences=3, holdout=0.02, seed=seed)


def model() -> perdure.nn.Network:
    torch.manual_seed(0)
    return perdure.nn.mlp((784,), 10)


def sgd(params: Any) -> torch.optim.Optimizer:
    return torch.optim.SGD(params, lr=0.01)


def learn(learner: Any, experience: perdure.Experience) -> tuple[float, float]:
    """Seconds of an update over one pass, the median, and of one of plain PyTorch done in turn with it."""
    network = model()
    optimizer = sgd(network.parameters())
    learner.begin(experience)
    mine, plain = [], []
    for batch in taken(experience):
        began = time.perf_counter()
        learner.observe(batch)
        between = time.perf_counter()
        step(network, optimizer, batch.x, batch.y)
        mine.append(between - began)
        plain.append(time.perf_counter() - between)
    return statistics.median(mine), statistics.median(plain)


def step(network: torch.nn.Module, optimizer: torch.optim.Optimizer, x: Tensor, y: Tensor) -> None:
    optimizer.zero_grad()
    cross_entropy(network(x).logits, y).backward()
    optimizer.step()


def taken(experience: perdure.Experience) -> Sequence[perdure.Batch]:
    assert experience.data is not None
    size = len(experience.data) // UPDATES
    return list(experience.data.batches(size))[:UPDATES]


def count(learner: Any, experience: perdure.Experience) -> tuple[int, float]:
    """Examples in one more update, and its multiplications over those of the bare loop."""
    batch = taken(experience)[0]
    network = model()
    optimizer = sgd(network.parameters())
    plain = flops(lambda: step(network, optimizer, batch.x, batch.y))
    task = None if experience.task is None else 3
    fresh = perdure.Batch(batch.x, batch.y % 2 + 6, None if task is None else torch.full_like(batch.y, task))
    learner.begin(perdure.Experience(3, (6, 7), experience.data, task))
    processed = learner.num_processed
    mine = flops(lambda: learner.observe(fresh))
    return learner.num_processed - processed, mine / plain


def flops(call: Callable[[], object]) -> int:
    counter = FlopCounterMode(display=False)
    with counter:
        call()
    return counter.get_total_flops()


if __name__ == "__main__":
    main()
