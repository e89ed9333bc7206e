"""States of learners put together and dealt out: memories merged, sums added, all else alike."""

import copy

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

import perdure
from perdure import Batch, Experience, Learner, Part
from perdure.checks._state import difference
from perdure.distributed import merge_states, rank_and_world, split_state
from perdure.memory import ClassBalanced, Memory, Reservoir
from perdure.nn import mlp
from perdure.terms import CrossEntropy


class Counts(Part):
    """What it has learnt from: two sums, and one buffer that is alike on all ranks."""

    sums = ("counts", "total")

    def bind(self, params, example, num_classes):
        self.register_buffer("counts", torch.zeros(num_classes, dtype=torch.int32))
        self.register_buffer("total", torch.zeros((), dtype=torch.float64))
        self.register_buffer("num_steps", torch.zeros((), dtype=torch.int64))

    def after_step(self, step):
        batch = step.segments["current"].batch
        self.counts += torch.bincount(batch.y, minlength=len(self.counts))
        self.total += batch.x.double().sum()
        self.num_steps += 1


def sgd(params):
    return torch.optim.SGD(params, lr=0.05, momentum=0.9)


def finetune():
    return Learner(mlp((4,), 4, hidden=(6,)), sgd, [CrossEntropy(), Counts(), Reservoir(9), ClassBalanced(7)])


def recipe(method):
    return lambda: perdure.build(method, mlp((4,), 4, hidden=(6,)), sgd, memory=12, draw=3)


def gdumb():
    return perdure.build("gdumb", mlp((4,), 4, hidden=(6,)), sgd, memory=12, fit_epochs=1)


MAKERS = {"finetune": finetune, "er": recipe("er"), "der_pp": recipe("der_pp"), "gdumb": gdumb}


def taught(make, steps=12):
    """A learner in the middle of its second experience."""
    learner = make()
    random = torch.Generator().manual_seed(0)
    for index in range(2):
        learner.begin(Experience(index, (2 * index, 2 * index + 1)))
        for _ in range(steps):
            x = torch.rand(5, 4, generator=random)
            learner.observe(Batch(x, torch.randint(2, (5,), generator=random) + 2 * index))
        if not index:
            learner.end()
    return learner


def in_order(parts, state):
    """The state, each memory's rows by their keys."""
    state = copy.deepcopy(state)
    for at, part in parts.items():
        if isinstance(part, Memory):
            holder = state
            for key in at:
                holder = holder[key]
            order = holder["keys"].argsort(descending=True, stable=True)
            holder |= {name: holder[name][order] for name in part.rows}
    return state


@pytest.mark.parametrize("method", MAKERS)
@pytest.mark.parametrize("world", [1, 2, 3, 5])
def test_what_is_split_merges_to_what_it_was(method, world):
    learner = taught(MAKERS[method])
    parts, state = learner.located_parts, learner.state_dict()
    before = copy.deepcopy(state)
    shares = [split_state(parts, state, rank, world) for rank in range(world)]
    given = copy.deepcopy(shares)
    again = merge_states(parts, shares)
    assert difference(before, learner.state_dict()) is None
    assert difference(given, shares) is None
    assert difference(in_order(parts, before), in_order(parts, again)) is None
    for share in shares:
        MAKERS[method]().load_state_dict(share)


def test_sums_and_examples_processed_stay_with_the_first_rank():
    learner = taught(finetune)
    shares = [split_state(learner.located_parts, learner.state_dict(), rank, 3) for rank in range(3)]
    assert [share["num_processed"] for share in shares] == [120, 0, 0]
    assert [int(share["parts"]["Counts"]["counts"].sum()) for share in shares] == [120, 0, 0]
    assert [int(share["parts"]["Counts"]["num_steps"]) for share in shares] == [24, 24, 24]
    assert [share["num_updates"] for share in shares] == [24, 24, 24]


@given(
    counts=st.lists(st.lists(st.integers(0, 1000), min_size=4, max_size=4), min_size=1, max_size=5),
    processed=st.lists(st.integers(0, 10**12), min_size=5, max_size=5),
)
def test_sums_add(counts, processed):
    learner = LEARNT
    states = [split_state(learner.located_parts, learner.state_dict(), 1, 2) for _ in counts]
    for rank, state in enumerate(states):
        state["num_processed"] = processed[rank]
        state["parts"]["Counts"]["counts"] = torch.tensor(counts[rank], dtype=torch.int32)
        state["parts"]["Counts"]["total"] = torch.tensor(0.5 * sum(counts[rank]), dtype=torch.float64)
        for name in ("Reservoir", "ClassBalanced"):  # no example twice
            state["parts"][name] = learner.located_parts["parts", name].split(
                learner.state_dict()["parts"][name], rank, len(counts)
            )
    merged = merge_states(learner.located_parts, states)
    held = merged["parts"]["Counts"]
    assert held["counts"].tolist() == [sum(column) for column in zip(*counts, strict=True)]
    assert held["counts"].dtype == torch.int32
    assert held["total"].item() == 0.5 * sum(map(sum, counts))
    assert merged["num_processed"] == sum(processed[: len(counts)])


LEARNT = taught(finetune)


def bump(tensor):
    """The least change there is, in the last entry."""
    changed = tensor.clone()
    flat = changed.view(-1)
    flat[-1] = torch.nextafter(flat[-1], torch.tensor(9.0)) if flat.is_floating_point() else flat[-1] + 1
    return changed


def at(state, *keys):
    for key in keys[:-1]:
        state = state[key]
    return state, keys[-1]


@pytest.mark.parametrize(
    ("keys", "change", "found"),
    [
        (
            ("model", "head.weight"),
            bump,
            r"^model/head.weight is -?0.\d+ \(entry 23\) on rank 0, -?0.\d+ on rank 1",
        ),
        (("parts", "Counts", "num_steps"), bump, r"^parts/Counts/num_steps is 24 \(entry 0\) on rank 0, 25 on rank 1"),
        (("parts", "Counts", "counts"), lambda v: v[1:], r"^parts/Counts/counts is .*4.* on rank 0, .*3.* on rank 1"),
        (("num_updates",), lambda v: v + 1, "^num_updates is 24 on rank 0, 25 on rank 1"),
        (("seed",), lambda v: 7, "^seed is 0 on rank 0, 7 on rank 1"),
        (("experience", "classes"), lambda v: [2, 4], "^experience/classes/1 is 3 on rank 0, 4 on rank 1"),
        (("experience",), lambda v: None, "^experience is .* on rank 0, None on rank 1"),
        (("optimizer", "state", 0, "momentum_buffer"), bump, "^optimizer/state/0/momentum_buffer is .* on rank 1"),
        (("optimizer", "param_groups"), lambda v: [*v, *v], "^optimizer/param_groups is 1 on rank 0, 2 on rank 1"),
        (("model",), lambda v: v | {"more": 1}, "^model is .* on rank 1"),
        (("model", "head.bias"), lambda v: v.double(), "^model/head.bias is .*float32 on rank 0, .*float64 on rank 1"),
        (("parts", "Reservoir", "x"), lambda v: v[1:], "^parts/Reservoir: x is .* on rank 1"),
    ],
)
def test_replicas_that_differ_are_refused_by_name(keys, change, found):
    parts = LEARNT.located_parts
    one, two = (split_state(parts, copy.deepcopy(LEARNT.state_dict()), rank, 2) for rank in range(2))
    merge_states(parts, [one, two])
    holder, key = at(two, *keys)
    holder[key] = change(holder[key])
    with pytest.raises(ValueError, match=found):
        merge_states(parts, [one, two])


def test_nothing_to_merge_and_ranks_that_are_none():
    with pytest.raises(ValueError, match="no state to merge"):
        merge_states({}, [])
    for rank in (-1, 2):
        with pytest.raises(ValueError, match=f"rank {rank} of 2"):
            split_state({}, {}, rank, 2)


def test_a_process_by_itself_is_rank_0_of_1():
    assert rank_and_world() == (0, 1)
