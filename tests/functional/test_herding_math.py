"""Herding, against a search that tries every candidate at every pick."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from perdure.functional.herding import herd


def brute_force(features, size):
    """Algorithm 4 as it is written, in float64."""
    mean, picks = features.mean(0), []
    for _ in range(size):
        left = [row for row in range(len(features)) if row not in picks]
        gaps = [(mean - features[[*picks, row]].mean(0)).norm().item() for row in left]
        picks.append(left[gaps.index(min(gaps))])
    return picks


@given(st.integers(1, 12), st.integers(1, 5), st.integers(0, 2**31))
def test_every_pick_is_the_best_of_all(count, width, seed):
    random = torch.Generator().manual_seed(seed)
    features = torch.nn.functional.normalize(torch.randn(count, width, generator=random, dtype=torch.float64), dim=1)
    picks = herd(features, count).tolist()
    assert sorted(picks) == list(range(count))
    for number in range(count):  # not the same picks: in one dimension many candidates are equally good
        so_far = picks[:number]
        gaps = [
            (features.mean(0) - features[[*so_far, row]].mean(0)).norm().item()
            for row in range(count)
            if row not in so_far
        ]
        assert (features.mean(0) - features[[*so_far, picks[number]]].mean(0)).norm().item() <= min(gaps) + 1e-12


def test_the_picks_are_those_of_the_brute_force():
    features = torch.rand(40, 6, generator=torch.Generator().manual_seed(3), dtype=torch.float64)
    assert herd(features, 15).tolist() == brute_force(features, 15)


def test_fewer_picks_are_the_first_of_more():
    features = torch.rand(30, 4, generator=torch.Generator().manual_seed(1))
    assert herd(features, 5).tolist() == herd(features, 20)[:5].tolist()


def test_a_mean_of_ones_own():
    features = torch.tensor([[1.0, 0.0], [0.0, 1.0], [-1.0, 0.0]])
    assert herd(features, 1, torch.tensor([0.0, 0.9])).tolist() == [1]


def test_the_mean_of_ten_is_nearer_than_that_of_most_random_ten():
    random = torch.Generator().manual_seed(0)
    features = torch.nn.functional.normalize(torch.randn(200, 16, generator=random, dtype=torch.float64), dim=1)
    mean = features.mean(0)
    best = (mean - features[herd(features, 10)].mean(0)).norm()
    others = torch.stack(
        [(mean - features[torch.randperm(200, generator=random)[:10]].mean(0)).norm() for _ in range(200)]
    )
    assert best < others.min() / 2


@pytest.mark.parametrize("size", [-1, 4])
def test_no_more_than_there_are(size):
    with pytest.raises(ValueError, match=f"herding {size} of 3 examples"):
        herd(torch.eye(3), size)
