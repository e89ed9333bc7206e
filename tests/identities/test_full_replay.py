"""Replay with everything in memory is joint training: the gradient is that of all data so far."""

import pytest
import torch

import perdure
from perdure import streams
from perdure._random import generator
from perdure.functional.masking import cross_entropy
from perdure.memory import ClassBalanced, PerExperience, Reservoir, Ring
from perdure.nn import mlp


def digitless(told):
    x = torch.randn(60, 5, generator=generator(0, "test/full"), dtype=torch.float64)
    make = streams.task_incremental if told else streams.class_incremental
    return make((x, torch.arange(60) % 6), experiences=3, holdout=1 / 2)


def net():
    torch.manual_seed(0)
    return mlp((5,), 6, hidden=(7,)).double()


@pytest.mark.parametrize("told", [False, True], ids=["class-incremental", "task-incremental"])
@pytest.mark.parametrize("kind", [Reservoir, ClassBalanced, Ring, PerExperience])
def test_the_gradient_is_the_joint_one(kind, told):
    learner = perdure.build("er", net(), lambda p: torch.optim.SGD(p, lr=0.3), memory=kind(1000), draw=1000)
    x, y, tasks = torch.empty(0, 5).double(), torch.empty(0, dtype=torch.int64), torch.empty(0, dtype=torch.int64)
    for experience in digitless(told).experiences:
        learner.begin(experience)
        (batch,) = experience.data.batches(1000)
        x, y = torch.cat([batch.x, x]), torch.cat([batch.y, y])
        tasks = torch.cat([batch.task if told else batch.y * 0, tasks])
        step = learner.forward(batch)
        step.loss.backward()
        allowed = step.tasks[tasks] if told else step.seen
        loss = cross_entropy(learner.model(x).logits, y, allowed, reduction="mean")
        joint = torch.autograd.grad(loss, list(step.params.values()))
        for p, g in zip(step.params.values(), joint, strict=True):
            torch.testing.assert_close(p.grad, g, atol=1e-12, rtol=1e-10)
        learner.shape_gradients(step)
        learner.optimizer.step()
        learner.after_step(step)
        learner.end()
    assert len(y) == 30
