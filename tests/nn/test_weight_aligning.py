"""New classes get rows of the length of old ones."""

import pytest
import torch
from torch import nn

import perdure
from perdure import Batch, Experience
from perdure.checks._state import same_bits
from perdure.memory import ClassBalanced
from perdure.nn import LinearHead, mlp
from perdure.nn._aligning import align


def mask(*classes, of=6):
    rows = torch.zeros(of, dtype=torch.bool)
    rows[list(classes)] = True
    return rows


def head():
    made = LinearHead(8, 6)
    with torch.no_grad():
        made.weight.copy_(torch.randn(6, 8, generator=torch.Generator().manual_seed(0)))
        made.bias.copy_(torch.randn(6, generator=torch.Generator().manual_seed(1)))
        made.weight[3:5] *= 5
    return made


def mean_length(made, rows):
    return made.weight[rows].norm(dim=1).mean().item()


def test_mean_lengths_become_equal_and_old_rows_stay():
    made, old, new = head(), mask(0, 1, 2), mask(3, 4)
    before = [p.detach().clone() for p in (made.weight, made.bias)]
    factor = mean_length(made, old) / mean_length(made, new)
    align(made, old, new)
    assert mean_length(made, new) == pytest.approx(mean_length(made, old), rel=1e-5)
    for p, was in zip((made.weight, made.bias), before, strict=True):
        assert same_bits(p.detach()[~new], was[~new])
        torch.testing.assert_close(p.detach()[new], factor * was[new])


def test_new_classes_keep_their_order_and_old_ones_theirs():
    made, old, new = head(), mask(0, 1, 2), mask(3, 4)
    features = torch.randn(50, 8, generator=torch.Generator().manual_seed(2))
    before = made(features)
    align(made, old, new)
    after = made(features)
    for rows in (old, new):
        assert torch.equal(before[:, rows].argsort(1), after[:, rows].argsort(1))
    assert not torch.equal(before.argmax(1), after.argmax(1))


@pytest.mark.parametrize(("old", "new"), [((), (0, 1)), ((0, 1), ()), ((0, 1), (5,))])
def test_nothing_happens_where_there_is_nothing_to_compare(old, new):
    made = head()
    with torch.no_grad():
        made.weight[5] = 0
    before = made.weight.detach().clone()
    align(made, mask(*old), mask(*new))
    assert same_bits(made.weight.detach(), before)


def live(**options):
    """Two experiences with wa; the lengths of the head's rows before and after the end of the second."""
    torch.manual_seed(0)
    learner = perdure.build("wa", mlp((5,), 6, hidden=(8,)), sgd, memory=ClassBalanced(6), draw=4, **options)
    random = torch.Generator().manual_seed(0)
    for index, classes in enumerate([(0, 1), (2, 3)]):
        learner.begin(Experience(index, classes))
        for _ in range(5):
            y = torch.tensor(classes).repeat(4)
            learner.observe(Batch(torch.randn(8, 5, generator=random) + 2 * y[:, None], y))
            if options.get("clip", True):
                assert learner.model.head.weight.min() >= 0
        before = learner.model.head.weight.detach().norm(dim=1)
        learner.end()
    return before, learner.model.head.weight.detach().norm(dim=1)


def sgd(params):
    return torch.optim.SGD(params, lr=0.1)


@pytest.mark.parametrize("clip", [True, False])
def test_wa_aligns_when_an_experience_ends(clip):
    before, after = live(clip=clip)
    assert before[:2].mean() != pytest.approx(before[2:4].mean().item(), rel=1e-3)
    assert after[:2].mean().item() == pytest.approx(after[2:4].mean().item(), rel=1e-5)
    assert same_bits(before[:2], after[:2])


def test_a_model_without_a_linear_head_is_refused():
    with pytest.raises(ValueError, match=r"perdure.nn.split\(model, head="):
        perdure.build("wa", nn.Linear(5, 6), sgd)
