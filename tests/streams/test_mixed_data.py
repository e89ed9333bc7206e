"""Data joined while they are read: nothing lost, nothing twice, mixed as a shuffle would."""

from collections import Counter

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import chisquare

from perdure import generator
from perdure.streams import ArrayData, MixedData


class Sequential:
    """Hides the random access of its data."""

    def __init__(self, data):
        self._data = data

    def __len__(self):
        return len(self._data)

    def batches(self, size, generator=None, start=0):
        return self._data.batches(size, generator, start)


def parts(*sizes):
    starts = torch.tensor([0, *sizes]).cumsum(0).tolist()
    return [
        Sequential(ArrayData(torch.arange(a, a + n)[:, None], torch.full((n,), i)))
        for i, (a, n) in enumerate(zip(starts, sizes, strict=False))
    ]


@settings(deadline=None, max_examples=40)
@given(sizes=st.lists(st.integers(1, 40), min_size=1, max_size=4), size=st.integers(1, 17), seed=st.integers(0, 99))
def test_every_example_comes_once_in_batches_of_the_size_asked_for(sizes, size, seed):
    data = MixedData(parts(*sizes))
    assert len(data) == sum(sizes)
    for order in (None, generator(seed, "order")):
        batches = list(data.batches(size, order))
        assert [len(b) for b in batches[:-1]] == [size] * (len(batches) - 1)
        seen = torch.cat([b.x[:, 0] for b in batches])
        assert sorted(seen.tolist()) == list(range(sum(sizes)))
        if order is None:
            assert seen.tolist() == list(range(sum(sizes)))


def test_equal_generators_give_equal_orders_and_others_do_not():
    data = MixedData(parts(30, 50))
    one, two, three = ([b.x[:, 0].tolist() for b in data.batches(8, generator(s, "order"))] for s in (1, 1, 2))
    assert one == two != three


def test_a_first_batch_draws_from_the_parts_in_proportion_to_their_sizes():
    """1,600 first batches of 5 out of 10 + 30 examples: all 40 are equally likely."""
    data = MixedData(parts(10, 30))
    counts = Counter()
    for seed in range(1600):
        counts.update(next(data.batches(5, generator(seed, "order"))).x[:, 0].tolist())
    assert chisquare([counts[i] for i in range(40)]).pvalue > 0.001


def test_nothing_to_join_is_refused():
    with pytest.raises(ValueError, match="at least one part"):
        MixedData([])
    with pytest.raises(ValueError, match="batch size 0"):
        MixedData(parts(3)).batches(0)
