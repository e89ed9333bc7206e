"""Two numbers a parameter stand for any number of anchors."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.utils._python_dispatch import TorchDispatchMode

from perdure import Batch
from perdure.penalties import EWC, L2, MAS, QuadraticPenalty

EXAMPLE = Batch(torch.zeros(1, 3), torch.zeros(1, dtype=torch.int64))


def parameters(random):
    shapes = {"weight": (4, 3), "bias": (4,), "scale": ()}
    return {name: torch.randn(shape, generator=random).double().requires_grad_() for name, shape in shapes.items()}


def bound(strength, params):
    part = QuadraticPenalty(strength)
    part.bind(params, EXAMPLE, 4)
    return part


def move(params, random):
    with torch.no_grad():
        for p in params.values():
            p.copy_(torch.randn(p.shape, generator=random))


def added(part, params, before=0.0):
    grads = [torch.full_like(p, before) for p in params.values()]
    part.transform(grads, None)
    return grads


@settings(max_examples=40)
@given(st.integers(0, 5), st.floats(0, 50), st.integers(0, 10_000))
def test_gradient_is_that_of_the_explicit_sum_over_anchors(anchors, strength, seed):
    random = torch.Generator().manual_seed(seed)
    params = parameters(random)
    part, terms = bound(strength, params), []
    for _ in range(anchors):
        importance = [torch.rand(p.shape, generator=random).double() for p in params.values()]
        part.add(importance)
        terms.append((importance, [p.detach().clone() for p in params.values()]))
        move(params, random)
    penalty = sum(p.sum() * 0 for p in params.values())
    for importance, anchor in terms:
        for f, a, p in zip(importance, anchor, params.values(), strict=True):
            penalty = penalty + strength / 2 * (f * (p - a) ** 2).sum()
    expected = torch.autograd.grad(penalty, list(params.values()))
    for found, each in zip(added(part, params, 0.7), expected, strict=True):
        torch.testing.assert_close(found, each + 0.7)


@settings(max_examples=40)
@given(st.integers(1, 5), st.floats(0, 1), st.integers(0, 10_000))
def test_online_has_one_anchor_and_decaying_importance(experiences, decay, seed):
    random = torch.Generator().manual_seed(seed)
    params = parameters(random)
    part, total = bound(3.0, params), [torch.zeros_like(p) for p in params.values()]
    for _ in range(experiences):
        move(params, random)
        new = [torch.rand(p.shape, generator=random).double() for p in params.values()]
        total = [decay * before + f for before, f in zip(total, new, strict=True)]
        part.replace([decay * before + f for before, f in zip(part.importance, new, strict=True)])
    anchor = [p.detach().clone() for p in params.values()]
    assert all(bool((g.abs() < 1e-12).all()) for g in added(part, params))
    move(params, random)
    for found, f, a, p in zip(added(part, params), total, anchor, params.values(), strict=True):
        torch.testing.assert_close(found, 3.0 * f * (p.detach() - a))


class Count(TorchDispatchMode):
    def __init__(self):
        super().__init__()
        self.calls = 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        self.calls += 1
        return func(*args, **(kwargs or {}))


@pytest.mark.parametrize("how", ["add", "replace"])
def test_state_and_cost_do_not_grow_with_the_number_of_experiences(how):
    params = parameters(torch.Generator().manual_seed(0))
    part, costs = bound(1.0, params), []
    for _ in range(4):
        getattr(part, how)([torch.ones_like(p) for p in params.values()])
        with Count() as count, torch.no_grad():
            added(part, params)
        costs.append((count.calls, {name: value.shape for name, value in part.state_dict().items()}))
    assert costs[0] == costs[-1]


def test_nothing_goes_through_autograd():
    params = parameters(torch.Generator().manual_seed(0))
    part = bound(1.0, params)
    part.add([torch.ones_like(p) for p in params.values()])
    assert not any(buffer.requires_grad for buffer in part.buffers())
    assert not part.overrides("loss")


def test_rows_that_a_head_gains_are_free():
    params = {"weight": torch.ones(2, 3, requires_grad=True)}
    part = bound(2.0, params)
    part.add([torch.full((2, 3), 5.0)])
    grown = {"weight": torch.full((4, 3), 2.0, requires_grad=True)}
    part.grow(grown, 4)
    (found,) = added(part, grown)
    assert torch.equal(found, torch.tensor([[10.0] * 3] * 2 + [[0.0] * 3] * 2))


def newton(part, thetas, gradient, curvature):
    """One full step to the optimum of loss plus penalty, both quadratic and diagonal."""
    for _ in range(2):  # the second finds nothing left to do
        grads = [gradient(thetas.detach())]
        part.transform(grads, None)
        with torch.no_grad():
            thetas -= grads[0] / (curvature + part.strength * part.importance[0])
    assert bool((grads[0].abs() < 1e-9).all())


def gaussian_tasks(count):
    """Linear-Gaussian regressions whose designs have orthogonal columns: the Fisher information is diagonal."""
    random, tasks = torch.Generator().manual_seed(1), []
    for _ in range(count):
        x = torch.linalg.qr(torch.randn(9, 5, generator=random).double()).Q
        x = x * (torch.rand(5, generator=random) + 0.2)
        tasks.append((x, torch.randn(9, generator=random).double()))
    return tasks


@pytest.mark.parametrize("prior", [0.0, 0.7])
def test_online_ewc_on_a_linear_gaussian_model_is_the_bayesian_posterior(prior):
    """y = x @ theta + noise of variance s: importance is the exact Fisher information X.T X / s of all its examples."""
    s, thetas = 0.3, torch.zeros(5, dtype=torch.float64, requires_grad=True)
    part = bound(1.0, {"thetas": thetas})
    part.replace([torch.full((5,), prior).double()])  # Gaussian prior around zero
    tasks = gaussian_tasks(4)
    for x, y in tasks:
        fisher = (x.T @ x).diagonal() / s
        newton(part, thetas, lambda t, x=x, y=y: x.T @ (x @ t - y) / s, fisher)
        part.replace([part.importance[0] + fisher])
    precision = prior * torch.eye(5).double() + sum(x.T @ x for x, _ in tasks) / s
    mean = torch.linalg.solve(precision, sum(x.T @ y for x, y in tasks) / s)
    torch.testing.assert_close(thetas.detach(), mean)
    torch.testing.assert_close(torch.diag(part.importance[0]), precision)


def test_separate_anchors_are_the_posterior_for_two_tasks_and_count_the_first_twice_after():
    """Huszar (2018): an anchor that already holds the first task is added to the first task's own."""
    s, thetas = 0.3, torch.zeros(5, dtype=torch.float64, requires_grad=True)
    part, tasks, away = bound(1.0, {"thetas": thetas}), gaussian_tasks(3), []
    for number, (x, y) in enumerate(tasks, 1):
        fisher = (x.T @ x).diagonal() / s
        newton(part, thetas, lambda t, x=x, y=y: x.T @ (x @ t - y) / s, fisher)
        part.add([fisher])
        done = tasks[:number]
        mean = torch.linalg.solve(sum(x.T @ x for x, _ in done), sum(x.T @ y for x, y in done))
        away.append(float((thetas.detach() - mean).abs().max()))
    assert max(away[:2]) < 1e-12
    assert away[2] > 1e-2


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda: L2(-1.0), "strength=-1.0"),
        (lambda: MAS(float("nan")), "strength=nan"),
        (lambda: EWC(1.0, decay=0.9), "online=True"),
        (lambda: EWC(1.0, online=True, decay=1.5), "decay=1.5"),
        (lambda: EWC(1.0, fisher="batch"), "labels="),
        (lambda: EWC(1.0, samples=0), "samples=0"),
        (lambda: MAS(1.0, batch=0), "batches of 0"),
    ],
)
def test_what_makes_no_sense_is_refused(make, said):
    with pytest.raises(ValueError, match=said):
        make()
