import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn import functional as F

from perdure.functional.masking import cross_entropy, exclude, occurring


@st.composite
def cases(draw):
    """Logits, labels among the allowed classes, and a mask for all examples or for each."""
    random = torch.Generator().manual_seed(draw(st.integers(0, 10_000)))
    examples, classes = draw(st.integers(1, 6)), draw(st.integers(1, 7))
    logits = 5 * torch.randn(examples, classes, generator=random, dtype=torch.float64)
    shape = (examples, classes) if draw(st.booleans()) else (classes,)
    allowed = torch.rand(shape, generator=random) < 0.6
    allowed[..., draw(st.integers(0, classes - 1))] = True
    rows = allowed.expand(examples, classes)
    y = torch.stack([row.nonzero()[torch.randint(int(row.sum()), (), generator=random), 0] for row in rows])
    return logits, y, allowed, draw(st.sampled_from([0.0, 0.1, 0.7]))


@settings(max_examples=100, deadline=None)
@given(cases())
def test_masked_cross_entropy_is_pytorchs_on_the_allowed_columns(case):
    logits, y, allowed, smoothing = case
    logits.requires_grad_()
    losses = cross_entropy(logits, y, allowed, label_smoothing=smoothing)
    (gradient,) = torch.autograd.grad(losses.sum(), logits)
    for i, row in enumerate(allowed.expand_as(logits)):
        own = logits.detach()[i, row].requires_grad_()
        place = row[: y[i]].sum()
        wanted = F.cross_entropy(own[None], place[None], label_smoothing=smoothing)
        torch.testing.assert_close(losses[i], wanted)
        torch.testing.assert_close(gradient[i, row], torch.autograd.grad(wanted, own)[0])
    assert not gradient[~allowed.expand_as(logits)].any()


@pytest.mark.parametrize("smoothing", [0.0, 0.2])
def test_without_a_mask_it_is_pytorchs(smoothing):
    logits, y = torch.randn(5, 4), torch.tensor([0, 1, 2, 3, 0])
    wanted = F.cross_entropy(logits, y, reduction="none", label_smoothing=smoothing)
    assert torch.equal(cross_entropy(logits, y, None, label_smoothing=smoothing), wanted)
    torch.testing.assert_close(
        cross_entropy(logits, y, torch.ones(4, dtype=torch.bool), label_smoothing=smoothing), wanted
    )


def test_excluded_classes_have_no_probability_even_with_negative_logits():
    logits = torch.tensor([[-5.0, -9.0, -7.0]])
    masked = exclude(logits, torch.tensor([True, False, True]))
    assert masked.softmax(1)[0, 1] == 0
    assert masked.argmax() == 0
    assert exclude(logits, None) is logits


def test_occurring_marks_the_classes_of_a_batch():
    assert occurring(torch.tensor([3, 1, 3]), 5).tolist() == [False, True, False, True, False]
