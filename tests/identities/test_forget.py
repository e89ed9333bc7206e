"""Forgetting is exact and complete, for every method that says so; the others refuse, say why, and change nothing."""

import copy
from dataclasses import replace

import pytest
import torch
from forgetting import CLASSES, EXACT, FROZEN, apart, examples, learner, opened, probes, taught
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

import perdure
from perdure import Batch, CannotForget, Experience
from perdure._erasure import sha256_of
from perdure.checks._script import Batches
from perdure.checks._state import difference, snapshot
from perdure.nn import mlp

BOUND = 1e-8
ALL = examples()

every_exact_method = pytest.mark.parametrize("name", EXACT)


def rows(numbers):
    return ALL.rows(torch.tensor(sorted(numbers), dtype=torch.int64))


def by_class(numbers, label):
    return {n for n in numbers if int(ALL.y[n]) == label}


def forget(made, batch=None, classes=None):
    receipt = made.forget(batch, classes=classes)
    assert receipt.residual <= receipt.bound == BOUND
    assert receipt.state_after == sha256_of(made.state_dict())
    return receipt


@every_exact_method
@settings(max_examples=15)
@given(data=st.data())
def test_any_sequence_of_learning_and_forgetting_is_learning_what_is_left(name, data):
    made, left = learner(name), set()
    opened(made)
    for _ in range(data.draw(st.integers(1, 6), "calls")):
        out = sorted(set(range(len(ALL))) - left)
        known = sorted({int(ALL.y[n]) for n in left})
        kinds = ["learn"] * bool(out) + (["forget", "class"] if left else [])
        kind = data.draw(st.sampled_from(kinds), "kind")
        if kind == "learn":
            some = data.draw(st.sets(st.sampled_from(out), min_size=1), "rows")
            made.observe(rows(some))
            left |= some
        elif kind == "forget":
            some = data.draw(st.sets(st.sampled_from(sorted(left)), min_size=1), "rows")
            assert forget(made, rows(some)).num_examples == len(some)
            left -= some
        else:
            label = data.draw(st.sampled_from(known), "class")
            assert forget(made, classes=[label]).num_examples == len(by_class(left, label))
            left -= by_class(left, label)
    made.end()
    if not left:
        assert made.admitted() == []
        return
    assert apart(made, taught(name, [rows(left)])) <= BOUND


@every_exact_method
def test_with_an_experience_open_and_without_boundaries(name):
    for within in (True, False):
        one, two = learner(name), learner(name)
        for made in (one, two):
            if within:
                opened(made)
        for made, first in ((one, 0), (two, 8)):
            for start in range(first, 32, 8):
                made.observe(rows(range(start, start + 8)))
        forget(one, rows(range(8)))
        for made in (one, two):
            made.observe(rows(range(4)))
            if within:
                made.end()
            made.head.finish()  # what is chosen now and then is chosen now
        assert apart(one, two) <= BOUND


@every_exact_method
def test_forgetting_everything_leaves_nothing(name):
    for call in ({"batch": ALL}, {"classes": range(CLASSES)}):
        made = taught(name, [rows(range(16)), rows(range(16, 32))])
        assert forget(made, **call).residual == 0
        assert made.admitted() == []
        for buffer_name in set(made.head.sums) - {"num_batches"}:
            assert not made.head.get_buffer(buffer_name).any(), buffer_name
        with pytest.raises(RuntimeError, match="nothing has been learnt yet, or all is forgotten"):
            made.predict(probes())
        opened(made)
        made.observe(rows(range(5, 20)))
        made.end()
        assert apart(made, taught(name, [rows(range(5, 20))])) <= 1e-12


@every_exact_method
def test_forgotten_class_is_not_answered_and_may_come_back(name):
    made = taught(name, [ALL])
    forget(made, classes=[2])
    assert made.admitted() == [0, 1, 3]
    assert 2 not in made.predict(torch.cat([ALL.x, probes()])).tolist()
    never = taught(name, [rows(set(range(32)) - by_class(range(32), 2))])
    for each in (made, never):
        opened(each)
        each.observe(rows(by_class(range(32), 2)))
        each.end()
    assert made.admitted() == [0, 1, 2, 3]
    assert apart(made, never) <= BOUND


@every_exact_method
def test_forgetting_twice_is_refused(name):
    """Always with a ledger; without one where counting tells."""
    with_ledger, without = taught(name, [ALL], ledger=True), taught(name, [ALL])
    forget(with_ledger, rows([3]))
    for made, batch in ((with_ledger, rows([3])), (without, Batch(ALL.x.repeat(2, 1), ALL.y.repeat(2)))):
        before = snapshot(made)
        with pytest.raises(ValueError, match=r"never learnt|more examples of a class"):
            made.forget(batch)
        assert difference(before, snapshot(made)) is None


@every_exact_method
def test_what_cannot_have_been_learnt_is_refused_and_changes_nothing(name):
    made = taught(name, [ALL])
    before, answers = snapshot(made), made.scores(probes())
    for call, message in (
        ({"batch": replace(rows([1]), y=torch.tensor([99]))}, "a class or task of these examples was never learnt"),
        ({"batch": replace(rows([1]), x=ALL.x[:1, :3])}, "shape"),
        ({"batch": replace(rows([1]), x=ALL.x[:1] * torch.nan)}, "NaN|finite"),
        ({"classes": [7]}, r"class 7 was never learnt: known are \[0, 1, 2, 3\]"),
        ({"classes": []}, "no class is named"),
        ({}, "give either"),
        ({"batch": rows([1]), "classes": [1]}, "give either"),
    ):
        with pytest.raises(ValueError, match=message):
            made.forget(**call)
        assert difference(before, snapshot(made)) is None
        assert torch.equal(made.scores(probes()), answers)
    with pytest.raises(ValueError, match="nothing has been learnt, or all is forgotten already"):
        learner(name).forget(ALL)


@every_exact_method
def test_from_a_checkpoint_bit_for_bit(name, tmp_path):
    made = taught(name, [rows(range(20))])
    perdure.save(tmp_path / "before", made)
    forget(made, rows(range(3, 9)))
    perdure.save(tmp_path / "after", made)
    before, after = learner(name), learner(name, seed=4)
    perdure.load(tmp_path / "before", before)
    perdure.load(tmp_path / "after", after)
    forget(before, rows(range(3, 9)))
    for other in (before, after):
        assert difference(snapshot(made), snapshot(other)) is None
    for other in (made, before, after):
        opened(other)
        other.observe(rows(range(20, 32)))
        other.end()
        assert difference(snapshot(made), snapshot(other)) is None


@every_exact_method
def test_no_bytes_of_a_forgotten_example_are_left_in_a_checkpoint(name, tmp_path):
    made = taught(name, [ALL])
    for call, gone in (({"batch": rows(range(6))}, range(6)), ({"classes": [1]}, by_class(range(32), 1))):
        forget(made, **call)
        path = perdure.save(tmp_path / str(len(gone)), made) / "tensors.safetensors"
        written = path.read_bytes()
        for n in gone:
            for kind in (torch.float32, torch.float64):
                for x in (ALL.x[n], ALL.x[n] / ALL.x[n].norm()):
                    assert x.to(kind).numpy().tobytes() not in written


@every_exact_method
@pytest.mark.parametrize("size", [1e6, 1e12])
def test_giant_that_comes_and_goes_takes_no_digits_with_it(name, size):
    """Numbers so large that the others are rounded away: then the learner says so, and is as it was."""
    giant = Batch(ALL.x[:2] * size, ALL.y[:2])
    made = taught(name, [giant, rows(range(2, 32))])
    before = snapshot(made)
    try:
        forget(made, giant)
    except ValueError:
        assert difference(before, snapshot(made)) is None
    else:
        assert apart(made, taught(name, [rows(range(2, 32))])) <= BOUND


@every_exact_method
def test_with_random_features_and_a_backbone_in_float64(name):
    torch.manual_seed(0)
    backbone = nn.Sequential(nn.Linear(5, 12), nn.ReLU()).double()

    def build():
        made = perdure.build(name, copy.deepcopy(backbone), expand=20)
        opened(made)
        return made

    one, two = build(), build()
    one.observe(ALL)
    forget(one, rows(range(10)))
    two.observe(rows(range(10, 32)))
    for made in (one, two):
        made.end()
    assert apart(one, two) <= BOUND


def test_backbone_that_rounds_is_noticed():
    """In float32 an example by itself has other features than in a batch, by 1e-7: half of them cannot be taken out."""
    torch.manual_seed(0)
    backbone = nn.Sequential(nn.Linear(200, 40), nn.Tanh(), nn.Linear(40, 40))
    x = torch.randn(64, 200)
    made = perdure.build("ncm", backbone)
    made.observe(Batch(x, torch.arange(64) % 4))
    before = snapshot(made)
    with pytest.raises(CannotForget, match=r"the backbone rounds: .* backbone in float64"):
        made.forget(Batch(x[:48], torch.arange(48) % 4))
    assert difference(before, snapshot(made)) is None
    made.forget(classes=[1])


def test_float32_is_refused_where_it_is_too_coarse():
    made = perdure.build("ncm", dtype=torch.float32)
    x = torch.randn(1000, 5, generator=torch.Generator().manual_seed(0))
    made.observe(Batch(x, torch.arange(1000) % 4))
    before = snapshot(made)
    with pytest.raises(CannotForget, match=r"more than the 1e-08 .* dtype is not float64"):
        made.forget(Batch(x[:900], torch.arange(900) % 4))
    assert difference(before, snapshot(made)) is None


def sgd(params):
    return torch.optim.SGD(params, lr=0.1)


@pytest.mark.parametrize("name", [info.name for info in perdure.list_methods() if info.name not in EXACT])
def test_the_others_refuse_say_why_and_change_nothing(name):
    torch.manual_seed(0)
    made = perdure.build(name) if name in FROZEN else perdure.build(name, mlp((5,), 4), sgd, memory=64)
    task = 0 if made.needs_tasks else None
    batch = Batch(ALL.x.float(), ALL.y, None if task is None else torch.zeros_like(ALL.y))
    made.begin(Experience(0, tuple(range(CLASSES)), Batches([batch]), task))
    made.observe(batch)
    made.end()
    before = snapshot(made)
    for call in ({"batch": batch.rows(torch.tensor([0]))}, {"classes": [1]}):
        with pytest.raises(CannotForget, match=f"^{name} cannot forget exactly: .{{20}}"):
            made.forget(**call)
        assert difference(before, snapshot(made)) is None
