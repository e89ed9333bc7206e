"""A learner can go back to any state that it was in; what is no such state is refused, and nothing changes."""

import copy

import pytest
import torch
from torch import nn

import perdure
from perdure import Batch, Experience
from perdure.checks._state import difference, snapshot
from perdure.nn import mlp


def sgd(params):
    return torch.optim.SGD(params, lr=0.1, momentum=0.9)


def adam(params):
    return torch.optim.Adam(params, lr=0.01)


def batch(number, classes, told=False):
    random = torch.Generator().manual_seed(number)
    y = torch.randint(classes, (6,), generator=random)
    return Batch(torch.randn(6, 5, generator=random), y, y // 2 if told else None)


METHODS = ("finetune", "er", "der_pp", "cumulative", "gdumb")


def build(method, seed=0, optimizer=sgd):
    torch.manual_seed(seed)
    own = {"er": {"draw": 4}, "der_pp": {"draw": 4}, "gdumb": {"fit_epochs": 1}}.get(method, {})
    model = mlp((5,), 2, hidden=(6,), dropout=0.1)
    return perdure.build(method, model, optimizer, memory=8, seed=seed, **own)


def live(learner, told=False):
    """Three experiences with ever more classes: the head goes from 2 rows to 4 to 8. The state after each call."""
    states = [snapshot(learner)]
    for number, classes in enumerate((2, 3, 7)):
        for call in (
            lambda n=number: learner.begin(Experience(n, ())),
            lambda n=number, c=classes: learner.observe(batch(n, c, told)),
            lambda n=number, c=classes: learner.observe(batch(n + 10, c, told)),
            learner.end,
        ):
            call()
            states.append(snapshot(learner))
    return states


@pytest.mark.parametrize("told", [False, True])
@pytest.mark.parametrize("optimizer", [sgd, adam], ids=["sgd", "adam"])
@pytest.mark.parametrize("method", METHODS)
def test_a_learner_goes_back_to_any_state_it_was_in_also_from_before_its_head_grew(method, optimizer, told):
    learner = build(method, optimizer=optimizer)
    states = live(learner, told)
    for state in reversed(states):
        learner.load_state_dict(state)
        assert difference(state, snapshot(learner)) is None
    assert learner.memory_bytes == 0
    for before, after in zip(states, live(learner, told), strict=True):
        assert difference(before, after) is None
    for number in (0, 3, 7):
        learner.load_state_dict(states[number])
        twin = build(method, 5, optimizer)
        twin.load_state_dict(states[number])
        for each in (learner, twin):
            if each.experience is not None:
                each.end()
            if each.needs_boundaries:
                each.begin(Experience(9, ()))
            each.observe(batch(50, 7, told))
        assert difference(snapshot(learner), snapshot(twin)) is None


def state_of(learner, method):
    return learner["learner"] if method == "gdumb" else learner


def put(*keys):
    *path, last = keys[:-1]

    def change(state):
        for key in path:
            state = state[key]
        state[last] = keys[-1]

    return change


def drop(*keys):
    *path, last = keys

    def change(state):
        for key in path:
            state = state[key]
        del state[last]

    return change


DAMAGED = {
    "no seed": drop("seed"),
    "a key too many": put("more", 1),
    "a count that is text": put("num_updates", "3"),
    "a negative count": put("num_processed", -1),
    "a boolean count": put("num_begun", True),
    "a seed that is none": put("seed", None),
    "a rate of zero": put("rate", 0.0),
    "a rate that is infinite": put("rate", float("inf")),
    "no example but classes": put("example", None),
    "classes but no example": put("classes", None),
    "an example without shape": put("example", "x", torch.zeros(())),
    "an example that is text": put("example", "x", "zeros"),
    "tasks told of examples only": put("example", "task", torch.zeros(1, dtype=torch.int64)),
    "tasks told of classes only": put("classes", "tasks", torch.zeros(1, 8, dtype=torch.bool)),
    "seen of numbers": put("classes", "seen", torch.ones(8)),
    "seen beyond the head": put("classes", "seen", torch.ones(16, dtype=torch.bool)),
    "seen without bound": put("classes", "seen", torch.ones(1 << 20, dtype=torch.bool)),
    "fewer seen than the head": put("classes", "seen", torch.ones(4, dtype=torch.bool)),
    "a wild class in the open experience": put("experience", "classes", [0, 1 << 40]),
    "a class beyond the head in the open experience": put("experience", "classes", [9]),
    "a negative class in the open experience": put("experience", "classes", [-1]),
    "a weight missing": drop("model", "head.bias"),
    "a weight too many": put("model", "more", torch.zeros(1)),
    "a weight of another dtype": put("model", "head.bias", torch.zeros(8, dtype=torch.float64)),
    "a weight that is text": put("model", "head.bias", "zeros"),
    "a weight of another shape": put("model", "backbone.1.weight", torch.zeros(6, 4)),
    "a head at odds with itself": put("model", "head.bias", torch.zeros(16)),
    "a parameter group less": put("optimizer", "param_groups", []),
    "other parameters in a group": put("optimizer", "param_groups", 0, "params", [0, 1, 2, 7]),
    "a setting less": drop("optimizer", "param_groups", 0, "lr"),
}
IN_MEMORY = {
    "fewer exemplars": put("y", torch.zeros(7, dtype=torch.int64)),
    "labels of another dtype": put("y", torch.zeros(8)),
    "exemplars of another shape": put("x", torch.zeros(8, 4)),
    "exemplars of another dtype": put("x", torch.zeros(8, 5, dtype=torch.uint8)),
    "keys of another dtype": put("keys", torch.zeros(8)),
    "no keys": drop("keys"),
    "counts that make no sense": put("_extra_state", torch.tensor([9, 3])),
    "fields too many": put("stored_more", torch.zeros(8, 3)),
}


def refused(method, damage):
    state = live(build(method))[-2]  # the last experience is open
    for used in (False, True):
        learner = build(method, 4)
        if used:
            live(learner)
        before, broken = snapshot(learner), copy.deepcopy(state)
        damage(broken)
        with pytest.raises((ValueError, KeyError, TypeError, AttributeError)):
            learner.load_state_dict(broken)
        assert difference(before, snapshot(learner)) is None
        learner.load_state_dict(state)
        assert difference(state, snapshot(learner)) is None


@pytest.mark.parametrize("name", DAMAGED)
@pytest.mark.parametrize("method", ["er", "finetune"])
def test_a_damaged_state_is_refused_and_changes_nothing(method, name):
    refused(method, DAMAGED[name])


@pytest.mark.parametrize("name", IN_MEMORY)
@pytest.mark.parametrize("method", ["er", "der_pp", "gdumb"])
def test_a_damaged_memory_is_refused_and_changes_nothing(method, name):
    def damage(state):
        memory = state["memory"]["ClassBalanced"] if method == "gdumb" else state["parts"]["Reservoir"]
        IN_MEMORY[name](memory)

    refused(method, damage)


@pytest.mark.parametrize("change", [put("num_classes", -1), put("num_classes", 1 << 40), put("num_updates", None)])
def test_damaged_counts_of_gdumb_are_refused(change):
    refused("gdumb", change)


class Stiff(nn.Module):
    def __init__(self, classes):
        super().__init__()
        self.layer = nn.Linear(5, classes)

    def forward(self, x):
        return self.layer(x)


def test_a_module_left_whole_goes_back_too():
    learner = perdure.build("er", Stiff(7), sgd, memory=8, draw=4)
    states = live(learner)
    for state in (states[0], states[4], states[-1], states[0]):
        learner.load_state_dict(state)
        assert difference(state, snapshot(learner)) is None
    for before, after in zip(states, live(learner), strict=True):
        assert difference(before, after) is None
    fewer = perdure.build("er", Stiff(6), sgd, memory=8, draw=4)
    fewer.observe(batch(0, 5))
    with pytest.raises(ValueError, match="the head has 7 rows and the state 6"):
        learner.load_state_dict(snapshot(fewer))
    assert difference(states[-1], snapshot(learner)) is None
    new = perdure.build("er", Stiff(7), sgd, memory=8, draw=4)
    with pytest.raises(ValueError, match=r"layer\.bias of shape \(6,\), this learner's has \(7,\)"):
        new.load_state_dict(snapshot(fewer))


def test_a_head_that_cannot_shrink_says_so():
    class Head(perdure.nn.LinearHead):
        shrink = perdure.nn.Head.shrink

    torch.manual_seed(0)
    learner = perdure.build("finetune", perdure.nn.Network(nn.Linear(5, 6), Head(6, 2)), sgd)
    states = live(learner)
    with pytest.raises(ValueError, match="the head has 8 rows and the state 2: load it into a new learner"):
        learner.load_state_dict(states[0])
    assert difference(states[-1], snapshot(learner)) is None
