"""Which slots were written since when, and states that make no sense."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from perdure import Batch
from perdure.checks import check_memory
from perdure.memory import ClassBalanced, Reservoir, Ring

KINDS = [Reservoir, ClassBalanced, Ring]
CLASSES = 4


def examples(start, stop, seed=0):
    x = torch.arange(start, stop)[:, None]
    y = torch.as_tensor(np.random.default_rng(seed).integers(0, CLASSES, stop)[start:])
    return Batch(x, y, y // 2, {"logits": torch.rand(stop - start, CLASSES)})


def memory(kind, capacity=10):
    made = kind(capacity)
    made.require(("logits",))
    made.bind({}, examples(0, 1), CLASSES)
    return made


def state(made):
    return {name: value.clone() for name, value in made.state_dict().items()}


@pytest.mark.parametrize("kind", KINDS)
def test_rows_are_named(kind):
    assert memory(kind).rows == ("x", "y", "task", "stored_logits", "keys")
    untold = kind(10)
    assert untold.rows == ()
    untold.bind({}, Batch(torch.zeros(1, 2), torch.zeros(1, dtype=torch.int64)), CLASSES)
    assert untold.rows == ("x", "y", "keys")


@pytest.mark.parametrize("kind", KINDS)
@given(sizes=st.lists(st.integers(1, 12), min_size=1, max_size=12), seed=st.integers(0, 9))
def test_exactly_the_slots_that_changed_are_written(kind, sizes, seed):
    made, position = memory(kind), 0
    for size in sizes:
        before = state(made)
        made.write(examples(position, position + size, seed))
        changed = (before["x"] != made.x).any(1) | (before["keys"] != made.keys)
        assert (made.written > position).tolist() == changed.tolist()
        position += size
        assert set(made.written[changed.numpy()].tolist()) <= {position}


@pytest.mark.parametrize("kind", KINDS)
def test_rows_that_grow_are_written(kind):
    made = memory(kind)
    made.write(examples(0, 7))
    made.grow({}, 2 * CLASSES)
    assert (made.written > made.position).tolist() == [True] * 7 + [False] * 3


@pytest.mark.parametrize("kind", KINDS)
def test_after_a_load_nothing_is_written(kind):
    made, other = memory(kind), memory(kind)
    made.write(examples(0, 30))
    other.write(examples(0, 50))
    other.load_state_dict(made.state_dict())
    assert not other.written.any()
    other.write(examples(30, 200))
    assert (other.written >= 30).any()


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    ("counts", "found"),
    [
        (torch.tensor([11, 20]), "11 exemplars kept of 20"),
        (torch.tensor([-1, 20]), "-1 exemplars kept of 20"),
        (torch.tensor([5, 4]), "5 exemplars kept of 4"),
        (torch.tensor([0, -4]), "0 exemplars kept of -4"),
        (torch.tensor([1.0, 4.0]), "float32"),
        (torch.tensor([1, 4, 9]), r"\(3,\)"),
        (torch.tensor(4), r"\(\)"),
        ([1, 4], r"\[1, 4\]"),
    ],
)
def test_counts_that_make_no_sense_are_refused_before_anything_is_changed(kind, counts, found):
    made, other = memory(kind), memory(kind)
    made.write(examples(0, 30))
    other.write(examples(0, 50))
    before, written = state(other), other.written.copy()
    with pytest.raises(ValueError, match=found):
        other.load_state_dict({**made.state_dict(), "_extra_state": counts})
    with pytest.raises(ValueError, match=found):
        other.set_extra_state(counts)
    assert all(torch.equal(before[name], value) for name, value in other.state_dict().items())
    assert np.array_equal(written, other.written)


class Silent(Reservoir):
    """Forgets to say what it wrote."""

    def write(self, batch):
        super().write(batch)
        self.written[:] = 0


class Sticky(Reservoir):
    """Still says written after a load."""

    def set_extra_state(self, state):
        written = self.written.copy()
        super().set_extra_state(state)
        self.written = written


class Unmarked(Reservoir):
    """Changes rows at growth and does not say so."""

    def grow(self, params, num_classes):
        written = self.written.copy()
        super().grow(params, num_classes)
        self.written = written


@pytest.mark.parametrize("kind", [Silent, Sticky, Unmarked])
def test_a_memory_that_does_not_say_what_it_wrote_is_found(kind):
    with pytest.raises(AssertionError, match="breaks the promise 'says_what_was_written'"):
        check_memory(lambda: kind(10))
