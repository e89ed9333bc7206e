import dataclasses
import math

import pytest
import torch

import perdure
from perdure import Learner, _registry, get_method, list_methods, method
from perdure.memory import ClassBalanced, Reservoir
from perdure.nn import mlp
from perdure.terms import CrossEntropy


def sgd(params):
    return torch.optim.SGD(params, lr=0.1)


def net():
    return mlp((4,), 3, hidden=(4,))


def test_methods_are_listed_by_name_and_frozen():
    names = [info.name for info in list_methods()]
    assert names == sorted(names)
    assert {"finetune", "er", "er_ace", "der", "der_pp", "gdumb", "joint", "cumulative"} <= set(names)
    with pytest.raises(dataclasses.FrozenInstanceError):
        list_methods()[0].name = "mine"


def test_every_method_says_where_it_comes_from_and_what_it_needs():
    for info in list_methods():
        assert info.title
        assert 1900 < info.year < 2100
        assert set(info.settings) <= set(_registry.ALL_SETTINGS)
        assert ("memory" in info.needs) == (info.memory is not None)
        assert ("boundaries" in info.needs) == ("task-free" not in info.settings)
        assert info.recipe.__doc__


def test_needs_of_the_record_are_those_of_the_learner():
    for info in list_methods():
        learner = perdure.build(info.name, net(), sgd, memory=40)
        assert learner.needs_boundaries == ("boundaries" in info.needs)
        assert learner.name == info.name


@pytest.mark.parametrize(
    ("name", "near"), [("derpp", "der_pp"), ("finetun", "finetune"), ("er-ace", "er_ace"), ("GDumb", "gdumb")]
)
def test_an_unknown_method_gets_the_nearest_name(name, near):
    with pytest.raises(ValueError, match=f"unknown method '{name}': did you mean '{near}'"):
        get_method(name)


def test_a_name_like_no_other_gets_the_list():
    with pytest.raises(ValueError, match=r"unknown method 'zzz': known are .*er_ace"):
        get_method("zzz")


def test_an_unknown_option_gets_the_nearest_name():
    with pytest.raises(ValueError, match=r"method 'er' has no option 'drwa': did you mean 'draw'\? it takes .*seed"):
        perdure.build("er", net(), sgd, drwa=3)
    with pytest.raises(ValueError, match="'finetune' has no option 'draw'"):
        perdure.build("finetune", net(), sgd, draw=3)


@pytest.mark.parametrize("info", list_methods(), ids=lambda info: info.name)
def test_no_option_is_nan(info):
    given = [] if info.frozen else [net(), sgd]
    for option, default in info.options:
        if isinstance(default, (int, float)) and not isinstance(default, bool):
            with pytest.raises(ValueError, match=rf"{option}=nan: give a number"):
                perdure.build(info.name, *given, **{option: math.nan})


def test_memory_is_a_number_or_a_memory():
    assert perdure.build("er", net(), sgd, memory=40).parts[1].capacity == 40
    memory = ClassBalanced(50)
    assert perdure.build("er", net(), sgd, memory=memory).parts[1] is memory
    assert isinstance(perdure.build("gdumb", net(), sgd, memory=40).memory, ClassBalanced)
    assert isinstance(perdure.build("gdumb", net(), sgd, memory=Reservoir(40)).memory, Reservoir)
    assert perdure.build("finetune", net(), sgd, memory=40).memory_bytes == 0


def test_options_are_the_recipes_keyword_arguments_with_their_defaults():
    assert dict(get_method("er").options) == {"draw": 32}
    assert [name for name, _ in get_method("der_pp").options] == ["alpha", "beta", "draw"]
    for info in list_methods():
        perdure.build(info.name, net(), sgd, memory=100, **dict(info.options))


def test_registering_enrols(monkeypatch):
    monkeypatch.setattr(_registry, "_methods", dict(_registry._methods))

    @method(title="A method", year=2024, family="baseline", settings=("class-incremental",))
    def mine(model, optimizer, *, strength: float = 2.0, **options):
        """Its docstring."""
        return Learner(model, optimizer, [CrossEntropy(weight=strength)], **options)

    info = get_method("mine")
    assert info.options == (("strength", 2.0),)
    assert info.needs == ("boundaries",)
    assert perdure.build("mine", net(), sgd, strength=3.0, seed=4).seed == 4
