"""The largest drop of a curve: right number, right experience, right window."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from perdure.metrics import largest_drop

NAN = math.nan


def test_the_deepest_fall_is_found_with_its_window():
    updates = [0, 50, 100, 105, 110, 200, 210, 300]
    first = [0.1, 0.7, 0.9, 0.5, 0.4, 0.6, 0.5, 0.55]
    second = [NAN, NAN, NAN, 0.2, 0.6, 0.8, 0.1, 0.3]
    third = [NAN, NAN, NAN, NAN, NAN, NAN, 0.9, 1.0]
    drop = largest_drop(updates, np.transpose([first, second, third]), [0, 100, 200])
    assert (drop.experience, drop.change, drop.updates) == (1, 2, 10)
    assert (drop.before, drop.after, drop.end) == (0.8, 0.1, 0.3)
    assert drop.size == pytest.approx(0.7)


def test_the_measurement_at_the_change_itself_is_from_before_it():
    drop = largest_drop([0, 100, 110], [[0.5, NAN], [0.9, NAN], [0.6, 0.9]], [0, 100])
    assert (drop.before, drop.after, drop.updates) == (0.9, 0.6, 10)


def test_the_window_is_the_first_by_which_nearly_all_was_lost():
    accuracy = [[1.0, NAN], [0.6, 0.5], [0.08, 0.5], [0.0, 0.5]]
    drop = largest_drop([100, 110, 120, 200], accuracy, [0, 100])
    assert (drop.updates, drop.after) == (20, 0.08)
    drop = largest_drop([100, 110, 120, 200], accuracy, [0, 100], share=1.0)
    assert (drop.updates, drop.after) == (100, 0.0)


def test_order_matters():
    """A low before a high is a gain, not a drop."""
    accuracy = np.transpose([[0.9, 0.5, 0.1, 0.9], [NAN, 0.1, 0.5, 0.9]])
    assert largest_drop([10, 20, 30, 40], accuracy, [0, 10]).size == pytest.approx(0.8)
    assert largest_drop([10, 20, 30, 40], accuracy[:, ::-1], [0, 10]) is None


def test_an_experience_not_learnt_yet_cannot_be_lost():
    assert largest_drop([0, 100, 110], [[0.9, 0.9], [0.9, 0.9], [0.95, 0.1]], [0, 100]) is None


def test_one_experience_and_an_empty_curve_have_no_drop():
    assert largest_drop([0, 10], [[0.1], [0.9]], [0]) is None
    assert largest_drop([], np.zeros((0, 2)), [0, 10]) is None


@given(arrays(float, (9, 3), elements=st.one_of(st.floats(0, 1, width=32), st.just(NAN))), st.floats(0.05, 1))
def test_the_sentence_is_true(accuracy, share):
    """Of every drop: the accuracies are on the curve, inside one window, and no fall in any window is deeper."""
    updates, changes = np.arange(9) * 10, [0, 30, 60]
    drop = largest_drop(updates, accuracy, changes, share=share)
    falls = []
    for change, (start, stop) in enumerate([(30, 60), (60, 80)], start=1):
        for k in range(change):
            old = [a for u, a in zip(updates, accuracy[:, k], strict=True) if u <= start and not math.isnan(a)]
            new = [a for u, a in zip(updates, accuracy[:, k], strict=True) if start < u <= stop and not math.isnan(a)]
            falls += [old[-1] - min(new)] if old and new else []
    deepest = max([0.0, *falls])
    if drop is None:
        assert deepest <= 0
        return
    assert share * deepest <= drop.size <= deepest
    assert accuracy[(changes[drop.change] + drop.updates) // 10, drop.experience] == drop.after
    assert drop.experience < drop.change


def test_bad_input_is_refused():
    with pytest.raises(ValueError, match=r"shape \(2, 3\): expected"):
        largest_drop([0, 10], np.zeros((2, 3)), [0, 10])
    with pytest.raises(ValueError, match="share=90"):
        largest_drop([0, 10], np.zeros((2, 1)), [0], share=90)
