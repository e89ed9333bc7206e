"""What quadratic penalties and their looks at the data cost, beside plain PyTorch that does the same.

    python benchmarks/speed/penalties.py [--runs 7]

An MLP 784-400-400-10 on random images. First an update of ``ewc`` after 1 and after 4 earlier experiences, beside a
bare loop that adds the gradient of each anchor's penalty by foreach, one that adds the penalties to its loss and one
that has none. Then the Fisher information beside a loop over examples. Processor time, the ways in turn.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy, log_softmax

import perdure
from perdure.functional.fisher import squared_gradients
from perdure.streams import ArrayData

UPDATES = 60
STRENGTH = 1.0
Anchor = tuple[list[Tensor], list[Tensor]]
"""Importance and parameters of an earlier experience."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=7, help="paired runs")
    runs = parser.parse_args().runs
    print(f"PyTorch {torch.__version__}, {torch.get_num_threads()} thread(s), medians of {runs} paired runs\n")
    print("| batch | experiences before | ewc / foreach | ewc / autograd | ewc / no penalty |")
    print("| ---: | ---: | ---: | ---: | ---: |", flush=True)
    for batch in (10, 64):
        for before in (1, 4):
            times = [updates(batch, before, run) for run in range(runs)]
            cells = " | ".join(f"{ratio(times, 'ewc', way):.2f}" for way in ("foreach", "autograd", "bare"))
            print(f"| {batch} | {before} | {cells} |", flush=True)
    print("\n| labels | loop, ms | ours, ms | speed-up |\n| --- | ---: | ---: | ---: |", flush=True)
    for labels in ("predicted", "expectation"):
        times = [fisher(labels) for _ in range(runs)]
        loop, ours = (1e3 * statistics.median(each[way] for each in times) for way in ("loop", "ours"))
        print(f"| {labels}, 64 examples | {loop:.1f} | {ours:.1f} | {ratio(times, 'loop', 'ours'):.1f} |", flush=True)


def ratio(times: Sequence[dict[str, float]], one: str, other: str) -> float:
    return statistics.median(each[one] / each[other] for each in times)


def updates(batch: int, before: int, seed: int) -> dict[str, float]:
    """Processor seconds of an update in each way, taken in turn: the median over one experience."""
    random = torch.Generator().manual_seed(seed)
    learner = perdure.build("ewc", model(), sgd, strength=STRENGTH, samples=64)
    for index in range(before):
        opened = experience(index, batch, batch, random)
        learner.begin(opened)
        for each in opened.data.batches(batch):
            learner.observe(each)
        learner.end()
    opened = experience(before, batch * UPDATES, batch, random)
    learner.begin(opened)
    anchors = [made(random) for _ in range(before)]
    ways: dict[str, Callable[[perdure.Batch], object]] = {
        "ewc": learner.observe,
        "foreach": bare(add_by_foreach, anchors),
        "autograd": bare(None, anchors),
        "bare": bare(None, []),
    }
    taken: dict[str, list[float]] = {way: [] for way in ways}
    for each in opened.data.batches(batch):
        for way, update in ways.items():
            began = time.process_time()
            update(each)
            taken[way].append(time.process_time() - began)
    return {way: statistics.median(seconds) for way, seconds in taken.items()}


def bare(add: Callable[[list[nn.Parameter], list[Anchor]], None] | None, anchors: list[Anchor]) -> Callable[..., None]:
    """An update in plain PyTorch; the penalty is in its loss where nothing adds it."""
    network = model()
    params = list(network.parameters())
    optimizer = sgd(params)

    def update(batch: perdure.Batch) -> None:
        optimizer.zero_grad()
        loss = cross_entropy(network(batch.x).logits, batch.y)
        if add is None:
            for importance, values in anchors:
                for p, f, v in zip(params, importance, values, strict=True):
                    loss = loss + STRENGTH / 2 * (f * (p - v) ** 2).sum()
        loss.backward()
        if add is not None:
            add(params, anchors)
        optimizer.step()

    return update


def add_by_foreach(params: list[nn.Parameter], anchors: list[Anchor]) -> None:
    with torch.no_grad():
        grads = [p.grad for p in params]
        for importance, values in anchors:
            away = torch._foreach_sub(params, values)
            torch._foreach_addcmul_(grads, importance, away, STRENGTH)


def made(random: torch.Generator) -> Anchor:
    """Small importances, so that nothing runs away."""
    params = list(model().parameters())
    return [1e-3 * torch.rand(p.shape, generator=random) for p in params], [p.detach().clone() for p in params]


def fisher(labels: str) -> dict[str, float]:
    """Processor seconds for the squares of 64 examples, among all ten classes."""
    network = model().eval()
    params = dict(network.named_parameters())
    x = torch.rand(64, 784)
    began = time.process_time()
    squared_gradients(network, params, x, labels=labels)
    between = time.process_time()
    loop(network, list(params.values()), x, labels)
    return {"ours": between - began, "loop": time.process_time() - between}


def loop(network: nn.Module, params: list[nn.Parameter], x: Tensor, labels: str) -> list[Tensor]:
    total = [torch.zeros_like(p) for p in params]
    for example in x:
        logs = log_softmax(network(example[None]).logits[0], 0)
        chances = logs.detach().exp().tolist()
        chosen = [int(logs.argmax())] if labels == "predicted" else range(len(chances))
        for c in chosen:
            grads = torch.autograd.grad(logs[c], params, retain_graph=True)
            weight = 1.0 if labels == "predicted" else chances[c]
            torch._foreach_addcmul_(total, grads, grads, weight)
    return total


def experience(index: int, size: int, batch: int, random: torch.Generator) -> perdure.Experience:
    """Random images of two classes."""
    x, y = torch.rand(size, 784, generator=random), torch.arange(size) % 2 + 2 * index
    return perdure.Experience(index, (2 * index, 2 * index + 1), ArrayData(x, y))


def model() -> perdure.nn.Network:
    torch.manual_seed(0)
    network = perdure.nn.mlp((784,), 10)
    for label in range(10):
        network.head.admit(label, 0)
    return network


def sgd(params: object) -> torch.optim.Optimizer:
    return torch.optim.SGD(params, lr=0.01)


if __name__ == "__main__":
    main()
