"""The shares of blurry streams and of streams with repetition, exactly."""

from itertools import pairwise

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.datasets import load_digits

from perdure.streams import blurry, class_incremental, repetition

Y = load_digits().target
DIGITS = (np.arange(len(Y)), Y)


def table(stream):
    """(T, C): how many examples of each class each experience holds."""
    return torch.stack([e.data.labels.bincount(minlength=stream.num_classes) for e in stream.experiences])


@given(
    counts=st.lists(st.integers(1, 40), min_size=3, max_size=8),
    experiences=st.integers(2, 3),
    major=st.floats(0.5, 1),
    disjoint=st.floats(0, 1),
    seed=st.integers(0, 9),
)
@settings(deadline=None, max_examples=80)
def test_blurry_shares_are_exact(counts, experiences, major, disjoint, seed):
    y = np.repeat(np.arange(len(counts)), counts)
    stream = blurry(
        (y, y), (y, y), experiences=experiences, major=major, disjoint=disjoint, order="shuffled", seed=seed
    )
    clean = 0
    owners = {c: t for t, e in enumerate(stream.evaluations) for c in e.classes}
    for c, column in enumerate(table(stream).T.tolist()):
        own = column.pop(owners[c])
        assert own + sum(column) == counts[c]
        clean += own == counts[c] and round(major * counts[c]) < counts[c]
        assert own in (round(major * counts[c]), counts[c])
        assert max(column) - min(column) <= 1
    assert clean <= round(disjoint * len(counts))


def test_scattered_and_clean_classes_are_counted():
    whole = torch.from_numpy(np.bincount(Y))
    own = table(blurry(DIGITS, DIGITS, major=0.8, disjoint=0.3)).max(0).values
    assert int((own == whole).sum()) == 3
    assert own[own != whole].tolist() == [round(0.8 * n) for n in whole[own != whole].tolist()]


def test_blurry_without_blur_is_class_incremental():
    one, two = blurry(DIGITS, DIGITS, major=1.0), class_incremental(DIGITS, DIGITS)
    for a, b in zip(one.experiences + one.evaluations, two.experiences + two.evaluations, strict=True):
        assert a.name == b.name
        assert torch.equal(next(a.data.batches(2000)).x, next(b.data.batches(2000)).x)


@pytest.mark.parametrize("experiences", [1, 3, 10, 25])
@pytest.mark.parametrize("probability", [0.0, 0.3, 1.0])
def test_classes_occur_from_their_turn_on_and_share_out_evenly(experiences, probability):
    order = [3, 1, 4, 0, 5, 9, 2, 6, 8, 7]
    stream = repetition(DIGITS, DIGITS, experiences=experiences, probability=probability, order=order)
    counts = table(stream)
    assert torch.equal(counts.sum(0), torch.from_numpy(np.bincount(Y)))
    for place, c in enumerate(order):
        occurrences = counts[:, c].nonzero().flatten().tolist()
        assert occurrences[0] == place * experiences // 10
        parts = counts[occurrences, c]
        assert int(parts.max() - parts.min()) <= 1
        if probability == 1:
            assert occurrences == list(range(occurrences[0], experiences))
    for experience, evaluation in zip(stream.experiences, stream.evaluations, strict=True):
        assert experience.classes == evaluation.classes
        assert len(evaluation.data) == np.isin(Y, experience.classes).sum()


def test_without_returns_repetition_is_class_incremental():
    one, two = repetition(DIGITS, DIGITS, probability=0.0), class_incremental(DIGITS, DIGITS)
    assert [e.classes for e in one.experiences] == [e.classes for e in two.experiences]
    for a, b in zip(one.experiences, two.experiences, strict=True):
        assert torch.equal(next(a.data.batches(2000)).x, next(b.data.batches(2000)).x)


def test_classes_return_as_often_as_asked():
    """Class c of 10 first occurs in experience 4 c of 40; one that would stay empty takes one of the n seen so far."""
    y, p, seeds = np.tile(np.arange(10), 60), 0.3, 10
    returned = np.zeros(20)
    for seed in range(seeds):
        counts = table(repetition((y, y), (y, y), experiences=40, probability=p, seed=seed))
        returned += (counts[20:, :5] > 0).sum(1).numpy()
    seen = np.arange(20, 40) // 4 + 1
    filled = np.where(np.arange(20, 40) % 4 == 0, 0, (1 - p) ** seen / seen)
    expected = 5 * seeds * (p + filled)
    assert abs(returned - expected).max() < 4.5 * (5 * seeds * p * (1 - p)) ** 0.5
    assert abs((returned - expected).sum()) < 4 * (20 * 5 * seeds * p * (1 - p)) ** 0.5


def test_sizes_of_experiences_follow_the_seed():
    tables = [table(repetition(DIGITS, DIGITS, experiences=12, seed=seed)) for seed in range(4)]
    assert all(not torch.equal(a, b) for a, b in pairwise(tables))
