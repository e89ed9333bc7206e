"""All builders on the labels of scikit-learn's digits; x is the row number, so that examples can be traced."""

import random
from collections import Counter

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.datasets import load_digits

from perdure.streams import (
    ArrayData,
    blurry,
    class_incremental,
    cumulative,
    domain_incremental,
    permuted,
    repetition,
    split_by_domain,
    task_free,
    task_incremental,
    time_ordered,
)

Y = load_digits().target
ROWS = np.arange(len(Y))
DIGITS = (ROWS, Y)


def identity(x):
    return x


BUILDERS = {
    "class": lambda seed: class_incremental(DIGITS, holdout=0.2, order="shuffled", seed=seed),
    "folded": lambda seed: class_incremental(DIGITS, holdout=0.2, order="shuffled", seed=seed, fold_labels=True),
    "task": lambda seed: task_incremental(DIGITS, holdout=0.2, order="shuffled", seed=seed),
    "by domain": lambda seed: split_by_domain(DIGITS, domains=ROWS % 3, holdout=0.2, seed=seed),
    "blurry": lambda seed: blurry(DIGITS, holdout=0.2, disjoint=0.3, order="shuffled", seed=seed),
    "repetition": lambda seed: repetition(DIGITS, holdout=0.2, experiences=15, order="shuffled", seed=seed),
    "time": lambda seed: time_ordered(*DIGITS, experiences=4, seed=seed),
    "task-free": lambda seed: task_free(class_incremental(DIGITS, holdout=0.2, seed=seed)),
    "transforms": lambda seed: domain_incremental(DIGITS, transforms=[identity], holdout=0.2, seed=seed),
}
every_builder = pytest.mark.parametrize("build", BUILDERS.values(), ids=BUILDERS)


def rows(experience):
    return torch.cat([b.x for b in experience.data.batches(256)]).tolist()


def contents(stream):
    return [(e.index, e.name, e.task, e.classes, rows(e)) for e in stream.experiences + stream.evaluations]


@every_builder
def test_each_example_is_learnt_in_one_experience_or_held_out(build):
    stream = build(0)
    learnt = [row for e in stream.experiences for row in rows(e)]
    held = {row for e in stream.evaluations for row in rows(e)}
    assert len(set(learnt)) == len(learnt)
    assert not held & set(learnt)
    assert held | set(learnt) == set(range(len(Y)))


@every_builder
def test_experiences_say_what_they_hold(build):
    stream = build(0)
    assert [e.index for e in stream.experiences] == list(range(len(stream)))
    for experience, evaluation in zip(stream.experiences, stream.evaluations, strict=True):
        for each in (experience, evaluation):
            assert each.classes == tuple(sorted(set(each.data.labels.tolist())))
            told = {None} if each.data.tasks is None else set(each.data.tasks.tolist())
            assert told == {each.task}
        assert (experience.index, experience.task, experience.name) == (
            evaluation.index,
            evaluation.task,
            evaluation.name,
        )
    assert len({e.name for e in stream.experiences}) == len(stream) or stream.notes[0].startswith(
        "Class-incremental with"
    )
    assert max(c for e in stream.experiences for c in e.classes) == stream.num_classes - 1
    assert all(note.endswith(".") for note in stream.notes)


@every_builder
def test_equal_seeds_give_equal_streams_and_others_do_not(build):
    assert contents(build(1)) == contents(build(1))
    assert contents(build(1)) != contents(build(2))


@every_builder
def test_no_global_generator_is_used(build):
    before = random.getstate(), np.random.get_state()[1].tolist(), torch.get_rng_state().tolist()  # noqa: NPY002
    stream = build(3)
    contents(stream)
    list(cumulative(stream).experiences[-1].data.batches(100, torch.Generator().manual_seed(0)))
    assert before == (random.getstate(), np.random.get_state()[1].tolist(), torch.get_rng_state().tolist())  # noqa: NPY002


@every_builder
def test_cumulative_data_grow_to_everything(build):
    stream = build(0)
    joined = cumulative(stream)
    seen = Counter()
    for one, all_so_far in zip(stream.experiences, joined.experiences, strict=True):
        seen.update(rows(one))
        assert Counter(rows(all_so_far)) == seen
        assert all_so_far.classes == tuple(sorted(set(all_so_far.data.labels.tolist())))
    assert joined.evaluations == stream.evaluations
    assert joined.setting == stream.setting


@given(
    counts=st.lists(st.integers(2, 9), min_size=2, max_size=9),
    experiences=st.integers(1, 9),
    holdout=st.floats(0.01, 0.99),
    seed=st.integers(0, 99),
    data=st.data(),
)
@settings(deadline=None, max_examples=80)
def test_any_class_split_covers_all_and_is_even(counts, experiences, holdout, seed, data):
    y = np.repeat(np.arange(len(counts)), counts)
    order = data.draw(st.one_of(st.none(), st.just("shuffled"), st.permutations(range(len(counts)))))
    experiences = min(experiences, len(counts))
    stream = class_incremental((np.arange(len(y)), y), holdout=holdout, experiences=experiences, order=order, seed=seed)
    found = [c for e in stream.experiences for c in e.classes]
    assert sorted(found) == list(range(len(counts)))
    sizes = [len(e.classes) for e in stream.experiences]
    assert max(sizes) - min(sizes) <= 1
    everything = [r for e in stream.experiences + stream.evaluations for r in rows(e)]
    assert sorted(everything) == list(range(len(y)))
    held = Counter(label for e in stream.evaluations for label in e.data.labels.tolist())
    for c, n in enumerate(counts):
        assert held[c] == min(max(1, round(holdout * n)), n - 1)


def test_the_order_of_classes_is_the_one_asked_for():
    def order(**kw):
        stream = class_incremental(DIGITS, holdout=0.2, experiences=10, **kw)
        return [c for e in stream.experiences for c in e.classes]

    assert order() == list(range(10))
    assert order(seed=5) == list(range(10))
    asked = [3, 1, 4, 0, 5, 9, 2, 6, 8, 7]
    assert order(order=asked) == asked
    shuffled = [tuple(order(order="shuffled", seed=seed)) for seed in range(5)]
    assert len(set(shuffled)) == 5
    assert all(sorted(each) == list(range(10)) for each in shuffled)


def test_the_held_out_rows_do_not_hang_on_the_order_or_the_split():
    def held(**kw):
        return {r for e in class_incremental(DIGITS, holdout=0.2, seed=7, **kw).evaluations for r in rows(e)}

    assert held() == held(order="shuffled") == held(experiences=10)


def test_splits_by_size_and_by_groups():
    sizes = [len(e.classes) for e in class_incremental(DIGITS, holdout=0.2, classes_per=3).experiences]
    assert sizes == [3, 3, 2, 2]
    groups = [[9, 0, 1], [2], [3, 4, 5, 6, 7, 8]]
    stream = class_incremental(DIGITS, holdout=0.2, groups=groups)
    assert [e.classes for e in stream.experiences] == [(0, 1, 9), (2,), (3, 4, 5, 6, 7, 8)]
    assert [e.name for e in stream.experiences] == ["classes 9 0 1", "class 2", "classes 3 … 8 (6)"]


def test_a_given_test_set_is_split_like_the_training_set():
    stream = task_incremental((ROWS[:1000], Y[:1000]), (ROWS[1000:], Y[1000:]), experiences=2)
    for t, (e, v) in enumerate(zip(stream.experiences, stream.evaluations, strict=True)):
        assert rows(e) == [r for r in range(1000) if Y[r] // 5 == t]
        assert rows(v) == [r for r in range(1000, len(Y)) if Y[r] // 5 == t]
        assert e.task == v.task == t


def test_folded_labels_are_places_in_the_group():
    names = tuple("abcdefghij")
    groups = [(7, 3, 1), (0, 2, 9), (4, 5, 6, 8)]
    stream = class_incremental(DIGITS, holdout=0.2, groups=groups, fold_labels=True, classes=names)
    assert (stream.setting, stream.num_classes) == ("domain-incremental", 4)
    assert stream.classes == ("h/a/e", "d/c/f", "b/j/g", "i")
    for group, experience in zip(groups, stream.experiences, strict=True):
        batch = next(experience.data.batches(1000))
        assert [group[place] for place in batch.y.tolist()] == Y[batch.x.numpy()].tolist()


def test_each_domain_is_all_data_through_its_transform():
    x = load_digits().images
    stream = domain_incremental((x[:900], Y[:900]), (x[900:], Y[900:]), transforms=[permuted(0, i) for i in range(3)])
    assert [e.name for e in stream.experiences] == ["permutation 0", "permutation 1", "permutation 2"]
    for i, (e, v) in enumerate(zip(stream.experiences, stream.evaluations, strict=True)):
        assert torch.equal(next(e.data.batches(900)).x, permuted(0, i)(torch.from_numpy(x[:900])))
        assert torch.equal(next(v.data.batches(897)).x, permuted(0, i)(torch.from_numpy(x[900:])))
    assert domain_incremental((x, Y), transforms=[identity], holdout=0.1).experiences[0].name == "domain 0"


def test_domains_given_by_labels():
    domains = ROWS % 3
    cut = 900
    stream = split_by_domain(
        (ROWS[:cut], Y[:cut]), (ROWS[cut:], Y[cut:]), domains=domains[:cut], test_domains=domains[cut:]
    )
    for d, (e, v) in enumerate(zip(stream.experiences, stream.evaluations, strict=True)):
        assert rows(e) == list(range(d, cut, 3))
        assert rows(v) == list(range(cut + d, len(Y), 3))
    split_off = split_by_domain(DIGITS, domains=domains, holdout=0.2)
    assert [len(v.data) for v in split_off.evaluations] == [120, 120, 120]


def test_time_ordered_parts_are_equal_and_stay_in_order():
    stream = time_ordered(ROWS, Y, experiences=4, holdout=0.25)
    assert [e.name for e in stream.experiences] == ["rows 0–449", "rows 450–898", "rows 899–1347", "rows 1348–1796"]
    for e, v, start in zip(stream.experiences, stream.evaluations, (0, 450, 899, 1348), strict=True):
        assert rows(e) == sorted(rows(e))
        assert len(rows(v)) == round(0.25 * (len(rows(e)) + len(rows(v))))
        assert min(rows(e) + rows(v)) == start


def test_task_free_hides_boundaries_and_nothing_else():
    stream = class_incremental(DIGITS, holdout=0.2)
    free = task_free(stream)
    assert (free.setting, free.boundaries) == ("task-free", False)
    assert free.experiences is stream.experiences
    with pytest.raises(ValueError, match="tells tasks"):
        task_free(task_incremental(DIGITS, holdout=0.2))


def test_an_experience_of_several_tasks_is_told_as_none():
    joined = cumulative(task_incremental(DIGITS, holdout=0.2))
    assert [e.task for e in joined.experiences] == [0, None, None, None, None]
    batch = next(joined.experiences[-1].data.batches(2000))
    assert batch.task.tolist() == (Y[batch.x.numpy()] // 2).tolist()


def test_experiences_without_data_do_not_accumulate():
    from dataclasses import replace

    stream = class_incremental(DIGITS, holdout=0.2)
    broken = replace(stream, experiences=tuple(replace(e, data=None) for e in stream.experiences))
    with pytest.raises(ValueError, match="experience 0 has no data"):
        cumulative(broken)


GAPS = np.where(Y == 4, 3, Y)
REFUSED = [
    (lambda: class_incremental(DIGITS), "neither of test= and holdout= given"),
    (lambda: class_incremental(DIGITS, DIGITS, holdout=0.2), "both of test= and holdout= given"),
    (lambda: class_incremental(DIGITS, holdout=1.0), "holdout=1.0: give a share"),
    (lambda: class_incremental(DIGITS, holdout=0.2, experiences=11), "11 experiences of 10 classes"),
    (lambda: class_incremental(DIGITS, holdout=0.2, experiences=0), "0 experiences of 10 classes"),
    (lambda: class_incremental(DIGITS, holdout=0.2, experiences=2, classes_per=5), "given twice"),
    (lambda: class_incremental(DIGITS, holdout=0.2, classes_per=0), "classes_per=0"),
    (
        lambda: class_incremental(DIGITS, holdout=0.2, groups=[[0, 1], [1, 2]]),
        "put each class of 0 to 9 into one group",
    ),
    (lambda: class_incremental(DIGITS, holdout=0.2, groups=[range(10)], order="shuffled"), "leave out order="),
    (lambda: class_incremental(DIGITS, holdout=0.2, order="random"), "order='random'"),
    (lambda: class_incremental(DIGITS, holdout=0.2, order=[0] * 10), "each class of 0 to 9 exactly once"),
    (lambda: class_incremental(DIGITS, holdout=0.2, classes=["zero"]), "1 names in classes= for 10 classes"),
    (lambda: class_incremental((ROWS, GAPS), holdout=0.2), "no example of class 4 but of 9: .*return_inverse"),
    (lambda: class_incremental((ROWS, Y * 0), holdout=0.2), "all examples are of one class"),
    (lambda: class_incremental((ROWS, Y, Y), holdout=0.2), r"3 arrays: give the pair \(x, y\)"),
    (lambda: class_incremental((ROWS, Y / 1), holdout=0.2), "integers are wanted"),
    (lambda: class_incremental((ROWS, Y), (ROWS, Y + 1)), "test holds class 10, train only 0 to 9"),
    (lambda: class_incremental((ROWS, Y), (ROWS[Y < 8], Y[Y < 8])), r"no held-out example of the classes \[8, 9\]"),
    (lambda: class_incremental(([0, 1, 2], [0, 0, 1]), holdout=0.2), "x is a list"),
    (lambda: class_incremental((ROWS[:3], [0, 0, 1]), holdout=0.2, experiences=1), "domain 1 has a single example"),
    (lambda: class_incremental(DIGITS, holdout=0.2, experiences=10, fold_labels=True), "class 0 is alone"),
    (lambda: task_incremental(DIGITS, holdout=0.2, experiences=6), "class 8 is alone"),
    (lambda: domain_incremental(DIGITS, holdout=0.2, transforms=[]), "transforms is empty"),
    (lambda: split_by_domain(DIGITS, holdout=0.2, domains=[0]), "domains has 1 entries for 1797 examples"),
    (lambda: split_by_domain(DIGITS, holdout=0.2, domains=ROWS % 2 * 2), "no example of domain 1"),
    (lambda: split_by_domain(DIGITS, domains=ROWS % 2), "neither of test="),
    (lambda: split_by_domain(DIGITS, DIGITS, domains=ROWS % 2), "test_domains is missing"),
    (
        lambda: split_by_domain(DIGITS, DIGITS, domains=ROWS % 2, test_domains=ROWS % 3),
        "2 domains in train but 3 in test",
    ),
    (lambda: time_ordered(*DIGITS, experiences=899), "give experiences= from 1 to 898"),
    (lambda: time_ordered(*DIGITS, experiences=3, holdout=0), "holdout=0: give a share"),
    (lambda: blurry(DIGITS, holdout=0.2, major=1.1), "major=1.1"),
    (lambda: blurry(DIGITS, holdout=0.2, experiences=1), "at least 2"),
    (lambda: repetition(DIGITS, holdout=0.2, probability=-1), "probability=-1"),
    (lambda: repetition(DIGITS, holdout=0.2, experiences=0), "0 experiences"),
    (lambda: repetition(DIGITS, holdout=0.2, experiences=300, probability=1), "lower probability= or experiences="),
]


@pytest.mark.parametrize(("build", "message"), REFUSED, ids=[message for _, message in REFUSED])
def test_what_does_not_fit_is_refused_with_a_remedy(build, message):
    with pytest.raises(ValueError, match=message) as error:
        build()
    assert "\n" not in str(error.value)


def test_data_told_of_tasks_stay_as_they_are_given():
    data = ArrayData(ROWS, Y)
    class_incremental(data, holdout=0.2, order="shuffled")
    task_incremental(data, holdout=0.2)
    assert data.tasks is None
    assert next(data.batches(1797)).x.tolist() == ROWS.tolist()
