"""Scale and shift by Newton's method, against what was put in and against gradients."""

import pytest
import torch
from torch.nn.functional import cross_entropy

from perdure.functional.bias import fit_bias

NEW = torch.tensor([False, False, False, True, True])


def labelled(count=4000):
    """Logits that are right about their labels' probabilities."""
    random = torch.Generator().manual_seed(0)
    logits = 2 * torch.randn(count, 5, generator=random, dtype=torch.float64)
    return logits, torch.multinomial(logits.softmax(1), 1, generator=random)[:, 0]


def spoilt(logits, scale, shift):
    return torch.where(NEW, scale * logits + shift, logits)


@pytest.mark.parametrize(("scale", "shift"), [(1.0, 0.0), (1.7, 2.5), (0.4, -3.0)])
def test_a_known_bias_is_undone(scale, shift):
    logits, y = labelled()
    alpha, beta = fit_bias(spoilt(logits, scale, shift), y, NEW)
    assert alpha * scale == pytest.approx(1, abs=0.1)
    assert alpha * shift + beta == pytest.approx(0, abs=0.1)
    one, zero = fit_bias(logits, y, NEW)  # what noise makes of no bias; beyond that nothing is lost
    assert alpha * scale == pytest.approx(one, abs=1e-6)
    assert alpha * shift + beta == pytest.approx(zero, abs=1e-6)


@pytest.mark.parametrize("ridge", [0.0, 0.3])
def test_it_is_the_minimum(ridge):
    logits, y = labelled(300)
    logits = spoilt(logits, 3.0, -4.0)
    at = torch.tensor(fit_bias(logits, y, NEW, ridge), dtype=torch.float64, requires_grad=True)
    loss = cross_entropy(torch.where(NEW, at[0] * logits + at[1], logits), y)
    loss = loss + ridge / 2 * ((at[0] - 1) ** 2 + at[1] ** 2)
    loss.backward()
    assert at.grad.abs().max() < 1e-7


def test_no_mistake_to_learn_from_gives_finite_numbers():
    logits, y = torch.tensor([[5.0, 0.0], [0.0, 5.0]]), torch.tensor([0, 1])
    alpha, beta = fit_bias(logits, y, torch.tensor([False, True]), ridge=0.01)
    assert 1 <= alpha < 10
    assert abs(beta) < 10


def test_classes_that_were_never_seen_do_not_matter():
    logits, y = labelled(200)
    wide = torch.cat([logits, torch.full((200, 2), -torch.inf, dtype=torch.float64)], dim=1)
    new = torch.cat([NEW, torch.tensor([False, False])])
    assert fit_bias(wide, y, new, 0.1) == pytest.approx(fit_bias(logits, y, NEW, 0.1), abs=1e-9)
    assert fit_bias(wide, y, new | ~torch.isfinite(wide[0]), 0.1) == pytest.approx(
        fit_bias(logits, y, NEW, 0.1), abs=1e-9
    )
