"""The interval of a mean over seeds."""

import math

import numpy as np
import pytest
from scipy import stats

from perdure.metrics import interval


@pytest.mark.parametrize("level", [0.8, 0.95, 0.99])
@pytest.mark.parametrize("n", [2, 3, 10])
def test_against_scipy(level, n):
    values = np.random.default_rng(n).normal(0.8, 0.05, n)
    low, high = stats.t.interval(level, n - 1, values.mean(), stats.sem(values))
    mean, half_width = interval(values, level)
    assert (mean - half_width, mean + half_width) == pytest.approx((low, high))


def test_it_covers_the_truth_as_often_as_it_says():
    values = np.random.default_rng(0).normal(size=(4000, 3))
    hits = np.mean([abs(mean) <= half_width for mean, half_width in map(interval, values)])
    assert hits == pytest.approx(0.95, abs=0.012)  # 3.5 standard errors


def test_undefined_where_undefined():
    assert interval([0.4])[0] == 0.4
    assert math.isnan(interval([0.4]).half_width)
    assert all(map(math.isnan, interval([])))
    assert all(map(math.isnan, interval([0.4, math.nan])))
    assert interval([0.4, 0.4]) == (0.4, 0.0)


def test_bad_input_is_refused():
    with pytest.raises(ValueError, match="one number for each seed"):
        interval([[0.1, 0.2]])
    with pytest.raises(ValueError, match="level=95"):
        interval([0.1, 0.2], level=95)
