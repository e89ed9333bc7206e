"""What a step costs may not grow: counted, compared with ``limits.json``.

A count is of calls, operators and bytes, never of seconds; so it is the same on a busy machine. More than a fifth above
its limit is a regression; more than a third below, a gain to be kept: write the limits anew with
``python tests/speed/test_counts.py --write``, and say in the commit what changed them.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from dataclasses import asdict
from itertools import cycle
from pathlib import Path

import pytest
import torch
from _counting import cost, modules

import perdure
from perdure import Batch, Experience, streams
from perdure.nn import mlp

LIMITS = Path(__file__).parent / "limits.json"
ABOVE, BELOW = 1.2, 0.7
ADAM, RUN = "er, Adam", "er through run"
METHODS = ("agem", "cls_er", "der_pp", "er", "ewc", "finetune", "lwf", "mas", "si")
STARTS = {"import perdure": ("-c", "import perdure"), "perdure --help": ("-m", "perdure", "--help")}
STEPS, BATCH, FEATURES = 16, 10, 784


def data(number: int) -> Batch:
    """Of the classes that come first, or of those that come second."""
    g = torch.Generator().manual_seed(number)
    y = torch.randint(0, 5, (400,), generator=g) + 5 * number
    return Batch(torch.randn(400, FEATURES, generator=g), y)


def build(method: str, optimizer: Callable[..., torch.optim.Optimizer] = torch.optim.SGD) -> perdure.Learner:
    torch.manual_seed(0)
    model = mlp((FEATURES,), 10, hidden=(400, 400))
    options = {} if perdure.get_method(method).memory is None else {"memory": 200}
    learner: perdure.Learner = perdure.build(method, model, lambda params: optimizer(params, lr=0.03), **options)
    return learner


def run_costs(method: str) -> dict[str, float]:
    """Of an update in a whole run without evaluation: data, boundaries, counting and the record included."""
    halves = [data(number) for number in range(2)]
    x, y = torch.cat([half.x for half in halves]), torch.cat([half.y for half in halves])
    stream = streams.class_incremental((x, y), (x[::80], y[::80]), experiences=2)

    def run() -> None:
        perdure.run(build(method), stream, batch_size=BATCH, evaluate_every=0, checkups="none")

    run()  # what is made once for all is there
    return {name: round(value * BATCH / len(y), 1) for name, value in asdict(cost(run, 1)).items()}


def step_costs(method: str, optimizer: Callable[..., torch.optim.Optimizer] = torch.optim.SGD) -> dict[str, float]:
    """Of an update in a second experience, once all classes of it have come and memory is full."""
    learner = build(method, optimizer)
    for number in range(2):
        batch = data(number)
        rows = streams.ArrayData(batch.x, batch.y)
        learner.begin(Experience(number, tuple(range(5 * number, 5 * number + 5)), rows))
        batches = cycle([batch.rows(index) for index in torch.arange(400).split(BATCH)])
        for _ in range(40):
            learner.observe(next(batches))
        if number == 0:
            learner.end()
    return cost(lambda: learner.observe(next(batches)), STEPS).numbers()


def imported(start: str) -> dict[str, float]:
    """Modules beyond those of PyTorch by itself."""
    return {"modules": len(modules(*STARTS[start], without=modules("-c", "import torch")))}


def limits() -> dict[str, dict[str, float]]:
    """As they were written."""
    found: dict[str, dict[str, float]] = json.loads(LIMITS.read_text())
    return found


def verdicts(what: str, found: dict[str, float]) -> list[str]:
    """What is too much, or too little for the limit to be one."""
    said = []
    for name, limit in limits()[what].items():
        number = found[name]
        if number > ABOVE * limit:
            said.append(f"{what}: {number} {name}, {number / limit - 1:.0%} above the limit of {limit}")
        if number < BELOW * limit:
            said.append(f"{what}: {number} {name}, far below the limit of {limit}: lower it")
    return said


def measured() -> dict[str, dict[str, float]]:
    """All of it."""
    torch.set_num_threads(1)
    steps = {method: step_costs(method) for method in METHODS} | {ADAM: step_costs("er", torch.optim.Adam)}
    return steps | {RUN: run_costs("er")} | {start: imported(start) for start in STARTS}


@pytest.fixture(scope="module")
def found() -> dict[str, dict[str, float]]:
    """What a process of its own measures: who has compiled something in this one makes all calls look more."""
    done = subprocess.run([sys.executable, __file__], capture_output=True, text=True, check=True)
    counts: dict[str, dict[str, float]] = json.loads(done.stdout)
    return counts


@pytest.mark.parametrize("what", [*METHODS, ADAM, RUN, *STARTS])
def test_it_costs_what_it_did(what: str, found: dict[str, dict[str, float]]) -> None:
    assert not verdicts(what, found[what])


def test_a_fifth_more_is_noticed_and_a_third_less() -> None:
    limit = limits()["er"]
    assert not verdicts("er", limit)
    for name in limit:
        assert len(verdicts("er", limit | {name: 1.21 * limit[name]})) == 1
        assert "lower it" in verdicts("er", limit | {name: 0.69 * limit[name]})[0]


def test_counts_are_the_same_each_time() -> None:
    assert step_costs("er") == step_costs("er")


if __name__ == "__main__":
    counts = json.dumps(measured(), indent=2) + "\n"
    LIMITS.write_text(counts) if "--write" in sys.argv else sys.stdout.write(counts)
