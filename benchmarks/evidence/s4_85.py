"""S4-85: held near a largest singular value of one, or near their first distribution, weights stay trainable."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import torch
from torch import Tensor

import perdure
from perdure import Batch, Experience
from perdure._random import addressed_default, generator
from perdure.claims import Claim, Clause, Measurements, Verdict, band, colour, conclude, panels
from perdure.claims.experiments._trial import TUNED, Array, images, tuned
from perdure.nn import mlp

if TYPE_CHECKING:
    from matplotlib.figure import Figure

TASKS, EXAMPLES, BATCH = 100, 960, 32
SIDE, HIDDEN = 14, (64, 64)
RATES = (0.003, 0.01)
ENDS = 10
"""Tasks at each end that are compared."""
DECAY = 0.02
"""Plain training loses it where it falls by more than this."""
KEPT = 0.5
"""A penalty keeps it where it loses less than this share of what plain training loses."""


@dataclass(frozen=True)
class Arm:
    """A method by name, and the network that it trains."""

    method: str
    options: Mapping[str, Any]
    norm: Literal["none", "layer"] = "none"


ARMS = {
    "plain": Arm("finetune", {}),
    "spectral": Arm("spectral", {"strength": 0.1}),
    "wasserstein": Arm("wasserstein", {"strength": 0.01}),
    "shrink and perturb": Arm("shrink_perturb", {"shrink": 0.6, "noise": 0.01}),
    "continual backprop": Arm("continual_backprop", {"replacement_rate": 0.001}),
    "layer norm": Arm("finetune", {}, norm="layer"),
}
JUDGED = {"spectral": "the spectral penalty", "wasserstein": "the Wasserstein penalty"}


def run(seed: int) -> Measurements:
    """The accuracy of each task's first epoch, of each arm at each rate."""
    return {
        name: {str(rate): {"score": float(np.mean(tasks)), "tasks": tasks} for rate, tasks in _at_rates(arm, seed)}
        for name, arm in ARMS.items()
    }


def _at_rates(arm: Arm, seed: int) -> list[tuple[float, list[float]]]:
    return [(rate, _first_epochs(arm, rate, seed)) for rate in RATES]


def _first_epochs(arm: Arm, rate: float, seed: int) -> list[float]:
    with addressed_default(seed, "weights"):
        model = mlp((1, SIDE, SIDE), 10, hidden=HIDDEN, norm=arm.norm)
    learner = perdure.build(
        arm.method, model, lambda params: torch.optim.Adam(params, lr=rate), seed=seed, **arm.options
    )
    return [_learn(learner, seed, task) for task in range(TASKS)]


def _learn(learner: perdure.Learner, seed: int, task: int) -> float:
    """One epoch of a new task; each batch is answered before it is learnt."""
    x, y = _task(seed, task)
    hits = 0
    learner.begin(Experience(task, tuple(range(10))))
    for rows in torch.arange(EXAMPLES).split(BATCH):
        step = learner.observe(Batch(x[rows], y[rows]))
        hits += int((step.segments["current"].output.logits.argmax(1) == y[rows]).sum())
    learner.end()
    return hits / EXAMPLES


@cache
def _digits() -> tuple[Tensor, Tensor]:
    x, y = images("mnist", SIDE, 500, 1)[0]
    return x.flatten(1), y


def _task(seed: int, task: int) -> tuple[Tensor, Tensor]:
    """Digits drawn anew, their pixels and their labels permuted anew: the same for every arm."""
    x, y = _digits()
    random = generator(seed, "S4-85/task", task)
    rows = torch.randperm(len(y), generator=random)[:EXAMPLES]
    pixels, labels = torch.randperm(x.shape[1], generator=random), torch.randperm(10, generator=random)
    return x[rows][:, pixels].reshape(-1, 1, SIDE, SIDE), labels[y[rows]]


def judge(measured: Sequence[Measurements]) -> Verdict:
    """Plain training loses it; each penalty loses less than half of that, and is ahead at the end."""
    first, last = _ends(measured, "plain")
    decay = first - last
    clauses = [Clause("first-epoch accuracy lost without a penalty", tuple(decay.tolist()), DECAY, "points")]
    for arm, name in JUDGED.items():
        start, end = _ends(measured, arm)
        spared = KEPT * decay - (start - end)
        clauses += [
            Clause(f"half of that, less what {name} loses", tuple(spared.tolist()), 0.0, "points"),
            Clause(f"{name} ahead at the end", tuple((end - last).tolist()), 0.0, "points"),
        ]
    told = ", ".join(
        "{} {:.1f} to {:.1f}".format(arm, *(100 * each.mean() for each in _ends(measured, arm))) for arm in ARMS
    )
    return conclude(clauses, words=f"First-epoch accuracy of the first and the last {ENDS} of {TASKS} tasks: {told}.")


def _ends(measured: Sequence[Measurements], arm: str) -> tuple[Array, Array]:
    """(seeds,) each: means over the first tasks and over the last."""
    tasks = _tasks(measured, arm)
    return tasks[:, :ENDS].mean(1), tasks[:, -ENDS:].mean(1)


def _tasks(measured: Sequence[Measurements], arm: str) -> Array:
    """(seeds, tasks)."""
    return np.array([cell["tasks"] for cell in tuned(measured, arm)])


def draw(measured: Sequence[Measurements]) -> Figure:
    """First-epoch accuracy over tasks, averaged over ten at a time."""
    figure, (axes,) = panels(["Accuracy in the first epoch of each task"])
    for at, arm in enumerate(ARMS):
        tasks = _tasks(measured, arm)
        tens = tasks.reshape(len(tasks), -1, ENDS).mean(2)
        band(axes, np.arange(tens.shape[1]) * ENDS + ENDS // 2, tens, arm, colour(at))
    axes.set_xlabel("task")
    axes.legend(frameon=False)
    return figure


CLAIM = Claim(
    id="S4-85",
    title="Spectral and Wasserstein penalties keep first-epoch accuracy over 100 tasks",
    claim="Networks become harder to train over many tasks; a penalty on the largest singular value of each layer, or "
    "on the distance of its weights' distribution from the first one, keeps them trainable.",
    papers=("Lewandowski et al. 2025, Learning Continually by Spectral Regularization",),
    setup=f"{TASKS} tasks, each of {EXAMPLES} MNIST digits (5,000 to draw from, averaged down to 14 x 14) with pixels "
    f"and labels permuted anew, one epoch in batches of {BATCH} with Adam at the rates {RATES[0]} and {RATES[1]}; a "
    "perceptron of 64 and 64 units. Each batch is answered before it is learnt: the accuracy of a task is that of its "
    "first epoch. Strengths of the penalties are those that did best on other data (claim C35). Beside them, "
    "without a say in the verdict: shrink and perturb between tasks (0.6, 0.01), continual backpropagation "
    "(replacement rate 0.001), and layer normalization. The "
    f"regime was chosen by plain training alone, on a seed that is not used here. {TUNED}",
    rule=f"Ends are the first and the last {ENDS} tasks. Holds if, with joint 95 % confidence, plain training loses "
    "more than 2 points from end to end, and each of the two penalties loses less than half of that and is ahead of "
    "plain training at the end; does not hold if one of these is the other way round.",
    seeds=10,
    revision=2,
    seconds=60,
    run=run,
    judge=judge,
    draw=draw,
    alt="Accuracy in the first epoch over 100 tasks, without a penalty, with each of two, and of other measures.",
)
