"""Herding memory: who stays, how many, through what the model says in eval mode."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch.nn.functional import normalize

import perdure
from perdure import Batch, Experience, Learner
from perdure.checks import check_part
from perdure.checks._state import difference, snapshot
from perdure.distributed import merge_states, split_state
from perdure.functional.herding import herd
from perdure.memory import Herding
from perdure.nn import LinearHead, Network, mlp
from perdure.streams import class_incremental
from perdure.terms import CrossEntropy, LogitMatch


class Rows:
    """Data in memory."""

    def __init__(self, batch):
        self.batch = batch

    def __len__(self):
        return len(self.batch)

    def batches(self, size, generator=None, start=0):
        order = torch.arange(len(self)) if generator is None else torch.randperm(len(self), generator=generator)
        return (self.batch.rows(rows) for rows in torch.split(order, size)[start:])


def examples(counts, number=0):
    """``counts`` maps classes to how many of each; mixed."""
    random = torch.Generator().manual_seed(number)
    y = torch.cat([torch.full((count,), label) for label, count in counts.items()])
    y = y[torch.randperm(len(y), generator=random)]
    return Batch(torch.randn(len(y), 4, generator=random) + y[:, None] / 3, y)


def network():
    torch.manual_seed(0)
    backbone = nn.Sequential(nn.Linear(4, 6), nn.BatchNorm1d(6), nn.ReLU(), nn.Dropout(0.5), nn.Linear(6, 5))
    return Network(backbone, LinearHead(5, 4))


def make(capacity, *parts, **options):
    memory = Herding(capacity)
    learner = Learner(network(), lambda p: torch.optim.SGD(p, lr=0.05), [CrossEntropy(), *parts, memory], **options)
    return learner, memory


def learn(learner, *experiences, start=0):
    for index, batch in enumerate(experiences, start):
        learner.begin(Experience(index, tuple(batch.y.unique().tolist()), Rows(batch)))
        learner.observe(batch)
        learner.end()


def of_class(memory, label):
    """The exemplars of a class, the most important first."""
    kept = memory.contents()
    order = memory.keys[: len(memory)].argsort(descending=True)
    return kept.x[order][kept.y[order] == label]


def features(learner, x):
    learner.model.eval()
    with torch.no_grad():
        found = normalize(learner.model(x).features, dim=1)
    learner.model.train()
    return found


def test_exemplars_are_those_of_algorithm_4_in_eval_mode():
    learner, memory = make(20)
    batch = examples({0: 30, 1: 40})
    learn(learner, batch)
    for label in (0, 1):
        x = batch.x[batch.y == label]
        assert torch.equal(of_class(memory, label), x[herd(features(learner, x), 10)])


def test_what_was_picked_last_goes_when_classes_come():
    learner, memory = make(20)
    first, second = examples({0: 30, 1: 30}), examples({2: 30, 3: 30}, 1)
    learn(learner, first)
    before = {label: of_class(memory, label) for label in (0, 1)}
    learn(learner, second, start=1)
    for label in (0, 1):
        assert torch.equal(of_class(memory, label), before[label][:5])
    assert [len(of_class(memory, label)) for label in range(4)] == [5, 5, 5, 5]


def test_nothing_is_written_before_the_end():
    learner, memory = make(10)
    batch = examples({0: 9, 1: 9})
    learner.begin(Experience(0, (0, 1), Rows(batch)))
    learner.observe(batch)
    assert len(memory) == 0
    learner.end()
    assert len(memory) == 10


def test_a_class_smaller_than_its_quota_is_kept_whole():
    learner, memory = make(20)
    learn(learner, examples({0: 3, 1: 30}))
    assert len(of_class(memory, 0)) == 3
    assert len(of_class(memory, 1)) == 10


@settings(max_examples=30)
@given(st.integers(1, 13), st.lists(st.tuples(st.integers(1, 12), st.integers(1, 12)), min_size=1, max_size=4))
def test_never_more_than_the_capacity_and_fair(capacity, sizes):
    learner, memory = make(capacity)
    total = {}
    for index, (one, two) in enumerate(sizes):
        counts = {2 * index: one, 2 * index + 1: two}
        total |= counts
        learn(learner, examples(counts, index), start=index)
        kept = memory.contents()
        quota = -(-capacity // len(total))
        assert len(memory) <= capacity
        for label, there in total.items():
            mine = int((kept.y == label).sum())
            assert mine <= min(there, quota)
            assert mine >= min(there, capacity // len(total))
        assert len(kept.x.unique(dim=0)) == len(kept)
        assert memory.written.max() <= memory.position
    assert (memory.keys[len(memory) :] == -torch.inf).all()
    assert not memory.x[len(memory) :].any()


def test_a_class_that_comes_again_is_chosen_by_the_mean_of_all_its_examples():
    learner, memory = make(8)
    first, second = examples({0: 20, 1: 20}), examples({0: 10, 2: 20}, 1)
    learn(learner, first)
    kept = of_class(memory, 0)
    learn(learner, second, start=1)
    x = torch.cat([kept, second.x[second.y == 0]])
    found = features(learner, x)
    mean = (20 * found[:4].mean(0) + found[4:].sum(0)) / 30
    assert torch.equal(of_class(memory, 0), x[herd(found, 3, mean)])


def test_stored_logits_are_those_at_the_end():
    memory = Herding(10)
    dark = LogitMatch(perdure.Draw("dark", memory, 4), 0.5)
    learner = Learner(network(), lambda p: torch.optim.SGD(p, lr=0.05), [CrossEntropy(), dark])
    learn(learner, examples({0: 9, 1: 9}))
    kept = memory.contents()
    learner.model.eval()
    with torch.no_grad():
        torch.testing.assert_close(kept.stored["logits"], learner.model(kept.x).logits)


@pytest.mark.parametrize("world", [2, 3])
def test_ranks_merge_and_split(world):
    """Each rank chooses among its share; together they keep what came, fairly, and go on from a split."""
    batch, more = examples({0: 40, 1: 40}), examples({2: 40, 3: 40}, 1)
    ranks = [make(12)[0] for _ in range(world)]
    for rank, learner in enumerate(ranks):
        learner.shard = (rank, world)
        learner._set_seed(0)
        learn(learner, batch)
    states = [learner.state_dict() for learner in ranks]
    shares = [{tuple(row) for row in state["parts"]["Herding"]["x"].tolist()} for state in states]
    assert not set.intersection(*shares)
    merged = merge_states(ranks[0].located_parts, states)
    whole, memory = make(12)
    whole.load_state_dict(merged)
    kept = memory.contents()
    assert sorted(kept.y.tolist()) == [0] * 6 + [1] * 6
    assert {tuple(row) for row in kept.x.tolist()} <= set.union(*shares)
    for rank, learner in enumerate(ranks):
        learner.load_state_dict(split_state(learner.located_parts, merged, rank, world))
    again = merge_states(ranks[0].located_parts, [learner.state_dict() for learner in ranks])
    assert difference(merged["parts"], again["parts"]) is None
    for learner in ranks:
        learn(learner, more, start=1)
    merged = merge_states(ranks[0].located_parts, [learner.state_dict() for learner in ranks])
    assert torch.bincount(merged["parts"]["Herding"]["y"]).tolist() == [3, 3, 3, 3]
    learn(whole, more, start=1)
    assert torch.bincount(memory.contents().y).tolist() == [3, 3, 3, 3]


def test_only_what_was_written_need_be_saved():
    learner, memory = make(12)
    learn(learner, examples({0: 9, 1: 9}))
    saved, at = snapshot(learner)["parts"]["Herding"], memory.position
    learn(learner, examples({2: 9, 3: 9}, 1), start=1)
    now, since = dict(memory.state_dict()), torch.from_numpy(memory.written > at)
    for name in memory.rows:
        saved[name][since] = now[name][since]
    assert difference({name: now[name] for name in memory.rows}, {name: saved[name] for name in memory.rows}) is None


def test_it_keeps_the_promises_of_parts():
    def parts():
        memory = Herding(12)
        return [LogitMatch(perdure.Draw("dark", memory, 4), 0.5), memory]

    x = torch.randn(72, 8, generator=torch.Generator().manual_seed(0))
    stream = class_incremental((x, torch.arange(72) % 6), experiences=3, holdout=1 / 6)
    check_part(parts, stream)


def test_a_model_without_features_is_refused():
    whole = nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 4))
    learner = Learner(whole, lambda p: torch.optim.SGD(p, lr=0.1), [CrossEntropy(), Herding(4)])
    first = class_incremental((torch.randn(12, 4), torch.arange(12) % 4), experiences=2, holdout=0.5).experiences[0]
    with pytest.raises(ValueError, match="herding compares features"):
        learner.begin(first)


def test_an_experience_without_data_is_refused():
    learner, _ = make(4)
    with pytest.raises(ValueError, match="Herding reads the data"):
        learner.begin(Experience(0, (0, 1)))


def test_it_does_not_take_single_batches():
    learner, memory = make(4)
    batch = examples({0: 4, 1: 4})
    learn(learner, batch)
    with pytest.raises(RuntimeError, match="chooses when an experience ends"):
        memory.write(batch)


def test_other_methods_can_use_it():
    train, test = examples({0: 30, 1: 30}), examples({0: 9, 1: 9}, 1)
    stream = class_incremental((train.x, train.y), (test.x, test.y), experiences=2)
    learner = perdure.build(
        "er", mlp((4,), 2, hidden=(6,)), lambda p: torch.optim.SGD(p, lr=0.1), memory=Herding(6), draw=4
    )
    perdure.run(learner, stream, batch_size=5)
    assert torch.bincount(learner.parts[1].contents().y).tolist() == [3, 3]
