"""Slots shared between experiences: evenly, at random or newest first, the past told from the present."""

from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import chi2

import perdure
from perdure import Batch, streams
from perdure._random import generator
from perdure.checks import check_memory, check_part
from perdure.memory import PerExperience
from perdure.nn import mlp

CLASSES = 4
LENGTHS = st.lists(st.integers(1, 40), min_size=1, max_size=5)
SIZES = st.lists(st.integers(1, 9), min_size=1, max_size=4)


def memory(capacity, seed=0, shard=(0, 1), **options):
    made = PerExperience(capacity, **options)
    made.seed, made.shard = seed, shard
    made.bind({}, Batch(torch.zeros(1, 1, dtype=torch.int64), torch.zeros(1, dtype=torch.int64)), CLASSES)
    return made


def live(made, lengths, sizes=(5,), start=0):
    """Experiences of ``lengths`` numbered examples; this rank's share of them, cut into parts of ``sizes``."""
    rank, world = made.shard
    turn = 0
    for length in lengths:
        rows = torch.arange(start, start + length)[rank::world]
        while len(rows):
            mine, rows = rows[: sizes[turn % len(sizes)]], rows[sizes[turn % len(sizes)] :]
            made.write(Batch(mine[:, None], mine % CLASSES))
            turn += 1
        made.after_experience(None)
        start += length
    return made


def kept(made):
    return made.contents().x[:, 0].tolist()


@pytest.mark.parametrize("keep", ["random", "newest"])
def test_it_keeps_the_promises_of_memories(keep):
    check_memory(lambda: PerExperience(10, keep=keep))
    check_part(lambda: PerExperience(10, keep=keep))


@pytest.mark.parametrize("keep", ["random", "newest"])
@given(lengths=LENGTHS, sizes=SIZES, capacity=st.integers(1, 25), seed=st.integers(0, 99))
def test_shares_are_even_and_do_not_depend_on_batches(keep, lengths, sizes, capacity, seed):
    made = live(memory(capacity, seed, keep=keep), lengths, sizes)
    assert kept(made) == kept(live(memory(capacity, seed, keep=keep), lengths, (1000,)))
    cuts = np.cumsum([0, *lengths])
    of = np.searchsorted(cuts, kept(made), side="right") - 1
    assert made.experience[: len(made)].tolist() == of.tolist()
    assert len(made) == len(set(kept(made))) == min(capacity, sum(lengths))
    have = Counter(of.tolist())
    for number, length in enumerate(lengths):
        assert have[number] >= min(length, max(have.values()) - 1)
        if keep == "newest":
            assert sorted(i for i in kept(made) if cuts[number] <= i < cuts[number + 1]) == list(
                range(cuts[number + 1] - have[number], cuts[number + 1])
            )
    assert [sorted(batch.x[:, 0].tolist()) for batch in made.past()] == [
        sorted(i for i, e in zip(kept(made), of, strict=True) if e == number) for number in sorted(have)
    ]


def test_each_example_of_an_experience_stays_with_the_same_probability():
    """Early or late in it, an early experience or a late one."""
    lengths, counts, rounds = (40, 25, 15), np.zeros(80), 1500
    for seed in range(rounds):
        counts[kept(live(memory(18, seed), lengths, (7,)))] += 1
    start = 0
    for length in lengths:
        mine = counts[start : start + length]
        p = 6 / length
        assert mine.sum() == 6 * rounds
        statistic = ((mine - rounds * p) ** 2).sum() / (rounds * p * (1 - p) * length / (length - 1))
        assert 0.001 < chi2.sf(statistic, length - 1) < 0.999
        start += length


@given(lengths=LENGTHS, cut=st.integers(0, 4), capacity=st.integers(1, 25), seed=st.integers(0, 99))
def test_a_state_loaded_goes_on_like_it(lengths, cut, capacity, seed):
    one = live(memory(capacity, seed), lengths)
    first = live(memory(capacity, seed), lengths[:cut])
    second = live(memory(capacity, seed), [9, 9, 9, 9, 9, 9, 9])
    second.load_state_dict(first.state_dict())
    live(second, lengths[cut:], (3,), sum(lengths[:cut]))
    for name, value in one.state_dict().items():
        assert torch.equal(value, second.state_dict()[name])


@given(
    lengths=st.lists(st.integers(4, 40), min_size=1, max_size=5), world=st.integers(2, 3), capacity=st.integers(3, 25)
)
def test_ranks_merge_by_experience(lengths, world, capacity):
    """Of each experience the largest keys above what any rank has dropped; what is split merges again."""
    lengths = [n * 6 for n in lengths]
    ranks = [live(memory(capacity, 0, (rank, world)), lengths) for rank in range(world)]
    whole = memory(capacity)
    whole.load_state_dict(PerExperience.merge([made.state_dict() for made in ranks]))
    keys, cuts = whole._keys(0, sum(lengths)), np.cumsum([0, *lengths])
    of = np.searchsorted(cuts, np.arange(sum(lengths)), side="right") - 1
    above = [i for i in range(sum(lengths)) if keys[i] > whole.dropped[of[i]]]
    assert set(above) <= set(kept(whole))
    assert len(whole) == min(capacity, sum(lengths))
    shares = [PerExperience.split(whole.state_dict(), rank, world) for rank in range(world)]
    for share in shares:
        counts = Counter(share["experience"][: int(share["_extra_state"][0])].tolist())
        assert all(abs(counts[e] - n / world) < 2 for e, n in Counter(whole.experience[: len(whole)].tolist()).items())
    again = PerExperience.merge(shares)
    assert sorted(again["x"][: int(again["_extra_state"][0]), 0].tolist()) == sorted(kept(whole))


def learner(draws="past", seed=0):
    made = PerExperience(30, draws=draws)
    return perdure.build("er", mlp((3,), 6, hidden=(4,)), sgd, memory=made, draw=12, seed=seed), made


def sgd(params):
    return torch.optim.SGD(params, lr=0.1)


def three():
    x = torch.randn(90, 3, generator=generator(0, "test"))
    return streams.class_incremental((x, torch.arange(90) % 6), experiences=3, holdout=1 / 3)


def replayed(draws, stream):
    """The classes of the current batch and of what is replayed with it, at each step."""
    made, _ = learner(draws)
    for experience in stream.experiences:
        if stream.boundaries:
            made.begin(experience)
        for batch in experience.data.batches(5):
            step = made.observe(batch)
            yield (
                set(batch.y.tolist()),
                set(step.segments["replay"].batch.y.tolist()) if "replay" in step.segments else set(),
            )
        if stream.boundaries:
            made.end()


def test_past_experiences_are_drawn_where_boundaries_are_told():
    pairs = list(replayed("past", three()))
    assert not any(old & new for new, old in pairs)
    assert [not old for _, old in pairs] == [True] * 4 + [False] * 8
    assert all(len(old) == 4 for _, old in pairs[8:])


def test_all_are_drawn_if_asked_or_where_boundaries_are_not_told():
    for draws, stream in (("all", three()), ("past", streams.task_free(three()))):
        pairs = list(replayed(draws, stream))
        assert [not old for _, old in pairs] == [True] + [False] * 11
        assert any(old & new for new, old in pairs)


def test_without_boundaries_there_is_one_group():
    made, kept_in = learner()
    perdure.run(made, streams.task_free(three()), batch_size=5, evaluate_every=0)
    assert kept_in.past() == []
    assert len(kept_in) == 30
    assert not kept_in.experience.any()


def test_an_experience_without_examples_is_not_counted():
    made = memory(5)
    made.after_experience(None)
    assert int(made.ended) == 0
    PerExperience(5).after_experience(None)  # nor one that ends before anything was learnt


def test_draws_of_the_past_are_uniform():
    made = live(memory(20), (40, 40))
    made.told.fill_(True)
    live(made, (), ())
    made.write(Batch(torch.arange(80, 85)[:, None], torch.zeros(5, dtype=torch.int64)))
    counts = Counter()
    for number in range(2000):
        drawn = made.draw(6, generator(0, "draw", number)).x[:, 0].tolist()
        assert len(set(drawn)) == 6
        counts.update(drawn)
    assert max(counts) < 80
    assert len(counts) == 15
    expected, p = 2000 * 6 / 15, 6 / 15
    statistic = sum((c - expected) ** 2 for c in counts.values()) / (2000 * p * (1 - p) * 15 / 14)
    assert 0.001 < chi2.sf(statistic, 14) < 0.999


def test_indices_of_experiences_do_not_matter():
    """They are counted as they end."""
    made, kept_in = learner()
    for experience in three().experiences:
        made.begin(replace(experience, index=7 * experience.index + 100))
        for batch in experience.data.batches(5):
            made.observe(batch)
        made.end()
    assert [len(batch) for batch in kept_in.past()] == [10, 10, 10]


def at_end(**options):
    made = PerExperience(30, writes="end", **options)
    return perdure.build("er", mlp((3,), 6, hidden=(4,)), sgd, memory=made, draw=12), made


def test_written_at_the_end_predecessors_have_all_slots_meanwhile():
    check_part(lambda: PerExperience(10, writes="end"))
    made, kept_in = at_end()
    sizes = []
    for experience in three().experiences:
        made.begin(experience)
        for batch in experience.data.batches(5):
            made.observe(batch)
            sizes.append([len(past) for past in kept_in.past()])
        made.end()
    assert sizes[:4] == [[]] * 4
    assert sizes[4:8] == [[20]] * 4
    assert sizes[8:] == [[15, 15]] * 4
    assert [len(past) for past in kept_in.past()] == [10, 10, 10]
    assert len({tuple(x.tolist()) for x in kept_in.contents().x}) == 30


def test_written_at_the_end_ranks_share_the_data():
    made, kept_in = at_end()
    (whole,) = three().experiences[0].data.batches(100)
    made.begin(three().experiences[0])
    made.observe(whole)
    parts = []
    for rank in range(3):
        one = memory(30, 0, (rank, 3), writes="end")
        one.bind({}, whole.rows(torch.tensor([0])), 6)
        one._write_all(Batches(whole))
        parts.append(one)
    merged = PerExperience.merge([one.state_dict() for one in parts])
    assert sorted(map(tuple, merged["x"][:20].tolist())) == sorted(map(tuple, whole.x.tolist()))
    assert len(kept_in) == 0


class Batches:
    """A boundary's data, seven at a time."""

    def __init__(self, whole):
        self.whole = whole

    def batches(self, size):
        return (self.whole.rows(rows) for rows in torch.split(torch.arange(len(self.whole)), 7))


def test_written_at_the_end_needs_boundaries_and_stores_no_outputs():
    made, _ = at_end()
    with pytest.raises(ValueError, match="boundar"):
        perdure.run(made, streams.task_free(three()), batch_size=5, evaluate_every=0)
    with pytest.raises(ValueError, match="without logits: use writes='steps'"):
        perdure.build("der", mlp((3,), 6, hidden=(4,)), sgd, memory=PerExperience(10, writes="end"), draw=4)
