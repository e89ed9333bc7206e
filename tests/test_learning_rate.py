"""A learning rate is scaled wherever it is kept: optimizer, schedules, restarts, checkpoints, copies."""

import copy

import pytest
import torch
from torch.optim import lr_scheduler as schedules

import perdure
from perdure import Batch, Experience
from perdure.checks._state import difference, snapshot
from perdure.nn import mlp

SCHEDULES = {
    "none": None,
    "step": lambda o: schedules.StepLR(o, 2, gamma=0.5),
    "multi-step": lambda o: schedules.MultiStepLR(o, [2, 5], gamma=0.3),
    "lambda": lambda o: schedules.LambdaLR(o, lambda n: 1 / (1 + n)),
    "multiplicative": lambda o: schedules.MultiplicativeLR(o, lambda n: 0.9),
    "exponential": lambda o: schedules.ExponentialLR(o, 0.9),
    "linear": lambda o: schedules.LinearLR(o, 0.1, total_iters=5),
    "constant": lambda o: schedules.ConstantLR(o, 0.5, total_iters=4),
    "polynomial": lambda o: schedules.PolynomialLR(o, 9, power=2),
    "cosine": lambda o: schedules.CosineAnnealingLR(o, 5, eta_min=0.02),
    "warm restarts": lambda o: schedules.CosineAnnealingWarmRestarts(o, 3, eta_min=0.02),
    "one cycle": lambda o: schedules.OneCycleLR(o, max_lr=0.5, total_steps=20),
    "cyclic": lambda o: schedules.CyclicLR(o, 0.01, 0.3, step_size_up=3, cycle_momentum=False),
    "chained": lambda o: schedules.ChainedScheduler([schedules.ConstantLR(o, 0.5, 3), schedules.ExponentialLR(o, 0.9)]),
    "sequential": lambda o: schedules.SequentialLR(
        o, [schedules.LinearLR(o, 0.1, total_iters=4), schedules.CosineAnnealingLR(o, 5, eta_min=0.02)], [4]
    ),
}


def sgd(params):
    return torch.optim.SGD(params, lr=0.1, momentum=0.9)


def build(seed=0, scheduler=None, method="finetune", optimizer=sgd, **options):
    torch.manual_seed(seed)
    model = mlp((5,), 4, hidden=(6,), dropout=0.1)
    return perdure.build(method, model, optimizer, scheduler=scheduler, seed=seed, **options)


def batch(number):
    random = torch.Generator().manual_seed(number)
    return Batch(torch.randn(6, 5, generator=random), torch.randint(4, (6,), generator=random))


def learn(learner, updates, start=0):
    """The learning rates that the updates were made with."""
    rates = []
    for number in range(start, start + updates):
        rates.append(float(learner.optimizer.param_groups[0]["lr"]))
        learner.observe(batch(number))
    return rates


@pytest.mark.parametrize("name", SCHEDULES)
def test_a_scaled_schedule_is_the_schedule_times_the_factor(name):
    plain, scaled = (build(scheduler=SCHEDULES[name]) for _ in range(2))
    assert learn(plain, 3) == learn(scaled, 3)
    scaled.scale_learning_rate(0.5)
    scaled.scale_learning_rate(0.5)
    expected = [rate / 4 for rate in learn(plain, 8, 3)]
    assert learn(scaled, 8, 3) == pytest.approx(expected)


@pytest.mark.parametrize("name", SCHEDULES)
def test_the_factor_survives_a_checkpoint_bit_for_bit(name, tmp_path):
    learner, again = (build(seed, SCHEDULES[name]) for seed in (0, 1))
    learn(learner, 3)
    learner.scale_learning_rate(0.3)
    learn(learner, 2, 3)
    perdure.load(perdure.save(tmp_path / "checkpoint", learner), again)
    assert again.rate == 0.3
    assert learn(learner, 6, 5) == learn(again, 6, 5)
    assert difference(snapshot(learner), snapshot(again)) is None


@pytest.mark.parametrize("name", SCHEDULES)
def test_a_copy_goes_on_alike(name):
    learner = build(scheduler=SCHEDULES[name])
    first = copy.deepcopy(learner)
    learn(learner, 3)
    learner.scale_learning_rate(0.3)
    twin = copy.deepcopy(learner)
    assert difference(snapshot(learner), snapshot(twin)) is None
    before = snapshot(twin)
    assert learn(learner, 4, 3) == pytest.approx([0.3 * rate for rate in learn(first, 7)[3:]])
    assert difference(before, snapshot(twin)) is None
    learn(twin, 4, 3)
    assert difference(snapshot(learner), snapshot(twin)) is None


@pytest.mark.parametrize("resumed", [False, True])
@pytest.mark.parametrize("name", SCHEDULES)
@pytest.mark.parametrize("method", ["cumulative", "gdumb"])
def test_what_restarts_starts_at_the_scaled_rate(method, name, resumed, tmp_path):
    plain, scaled = (build(0, SCHEDULES[name], method) for _ in range(2))
    rates = []
    for learner in (plain, scaled):
        seen = record(learner)
        learner.begin(Experience(0, ()))
        learner.observe(batch(0))
        learner.end()
        if learner is scaled:
            learner.scale_learning_rate(0.25)
            if resumed:
                other = build(7, SCHEDULES[name], method)
                perdure.load(perdure.save(tmp_path / "checkpoint", learner), other)
                learner, seen = other, record(other)
        seen.clear()
        learner.begin(Experience(1, ()))
        for number in range(3):
            learner.observe(batch(number))
        learner.end()
        rates.append(seen)
    assert len(rates[0]) >= 3
    assert rates[1] == pytest.approx([0.25 * rate for rate in rates[0]])


def record(learner):
    """The rates of all updates to come."""
    inner = learner.learner if learner.name == "gdumb" else learner
    seen = []
    inner.optimizer.register_step_pre_hook(lambda optimizer, *_: seen.append(float(optimizer.param_groups[0]["lr"])))
    return seen


def test_a_rate_that_is_a_tensor_shared_by_groups_is_scaled_once_in_each():
    torch.manual_seed(0)
    model = mlp((5,), 4, hidden=(6,))
    groups = [{"params": [p]} for p in model.parameters()]
    optimizer = torch.optim.Adam(groups, lr=torch.tensor(0.1), foreach=False)
    decay = SCHEDULES["exponential"]
    learner = perdure.Learner(model, optimizer, [perdure.terms.CrossEntropy()], scheduler=decay, restart="optimizer")
    learner.begin(Experience(0, ()))
    learn(learner, 3)
    learner.scale_learning_rate(0.5)
    assert [float(g["lr"]) for g in optimizer.param_groups] == pytest.approx([0.1 * 0.9**3 / 2] * 4)
    learner.end()
    learner.begin(Experience(1, ()))
    assert [float(g["lr"]) for g in optimizer.param_groups] == pytest.approx([0.05] * 4)
    assert learn(learner, 3) == pytest.approx([0.05, 0.045, 0.0405])


@pytest.mark.parametrize("factor", [0.0, -1.0, float("nan"), float("inf")])
def test_factors_that_make_no_sense_are_refused(factor):
    learner = build()
    with pytest.raises(ValueError, match="give a positive number"):
        learner.scale_learning_rate(factor)
    assert learner.rate == 1.0
