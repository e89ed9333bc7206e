"""The registry: one frozen record a published method."""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from difflib import get_close_matches
from typing import Any, TypeVar

from torch import nn

from perdure._additions import check_also, get_addition, read_composed
from perdure._contract import ContinualLearner
from perdure._feature_learner import FeatureLearner
from perdure._learner import Learner, MakeOptimizer
from perdure._options import FeatureOptions, LearnerOptions
from perdure._part import Part
from perdure._ranges import Choice, Range, check_ranges
from perdure.memory import Memory

ALL_SETTINGS = ("class-incremental", "domain-incremental", "task-incremental", "task-free")
BOUNDED_SETTINGS = ALL_SETTINGS[:3]

Recipe = TypeVar("Recipe", bound=Callable[..., ContinualLearner])


@dataclass(frozen=True)
class MethodInfo:
    """A method: where it comes from, what it serves, what it needs.

    ``options`` are its hyper-parameters and their defaults, ``ranges`` what those may be that are worth a search;
    ``source`` is its id in the project's list of papers. ``grows`` says what an update costs more, or what is kept
    more, the more was learnt; empty where neither does, but for the head's row of each class. ``frozen`` says that it
    fits a head on features, without optimizer; ``targets`` what it learns. ``additions``: what is added to it, as in
    ``er + ema``.
    """

    name: str
    title: str
    year: int
    family: str
    settings: tuple[str, ...]
    recipe: Callable[..., ContinualLearner] = field(repr=False)
    memory: type[Memory] | None = None
    needs: tuple[str, ...] = ()
    upper_bound: bool = False
    options: tuple[tuple[str, Any], ...] = ()
    source: str = ""
    frozen: bool = False
    targets: tuple[str, ...] = ("classes",)
    ranges: tuple[tuple[str, Range | Choice], ...] = ()
    grows: str = ""
    additions: tuple[str, ...] = ()

    @property
    def base(self) -> str:
        """The name of the method without additions."""
        return base_of(self.name)


_methods: dict[str, MethodInfo] = {}


def method(
    *,
    title: str,
    year: int,
    family: str,
    settings: tuple[str, ...] = ALL_SETTINGS,
    memory: type[Memory] | None = None,
    upper_bound: bool = False,
    source: str = "",
    frozen: bool = False,
    targets: tuple[str, ...] = ("classes",),
    needs: tuple[str, ...] = (),
    ranges: Mapping[str, Range | Choice] | None = None,
    grows: str = "",
) -> Callable[[Recipe], Recipe]:
    """Register a recipe under its function's name.

    A recipe takes ``(model, optimizer)``, ``(model, optimizer, memory)`` where ``memory`` names its usual kind, or
    ``(backbone)`` where it is ``frozen``; then keyword options. ``needs`` names what it asks for beside a memory,
    boundaries and task ids, which follow from ``memory`` and ``settings``. ``upper_bound`` marks what keeps or revisits
    all data: shown beside the methods, never ranked among them. ``ranges`` say what its options may be, for ``perdure
    tune``: each holds the default; an option without one is not searched. ``grows``: see ``MethodInfo``.
    """

    def register(recipe: Recipe) -> Recipe:
        parameters = inspect.signature(recipe).parameters.values()
        options = tuple((p.name, p.default) for p in parameters if p.kind is p.KEYWORD_ONLY)
        implied = {
            "memory": memory is not None,
            "boundaries": "task-free" not in settings,
            "task ids": settings == ("task-incremental",),
        }
        asks = (*(need for need, holds in implied.items() if holds), *needs)
        name, searched = recipe.__name__, dict(ranges or {})
        check_ranges(f"method {name!r}", dict(options), searched)
        _methods[name] = MethodInfo(
            name,
            title,
            year,
            family,
            settings,
            recipe,
            memory,
            asks,
            upper_bound,
            options,
            source,
            frozen,
            targets,
            tuple(searched.items()),
            grows,
        )
        return recipe

    return register


def list_methods() -> tuple[MethodInfo, ...]:
    """All registered methods, by name.

    >>> "er" in [info.name for info in list_methods()]
    True
    """
    return tuple(_methods[name] for name in sorted(_methods))


def base_of(name: str) -> str:
    """What a method was without its additions.

    >>> base_of("er + ema(decay=0.999)")
    'er'
    """
    return name.partition("+")[0].strip()


def get_method(name: str) -> MethodInfo:
    """The method called ``name``, or one with additions; ``ValueError`` with the nearest names if there is none.

    A method with additions has one name, however it is written: additions in the order of their names, without what
    they do by default.

    >>> get_method("er + masking + ema(decay=0.999, frequency=1.0)").name
    'er + ema(decay=0.999) + masking'
    """
    if name not in _methods and ("+" in name or "(" in name):
        return _composed(name)
    if name not in _methods:
        near = get_close_matches(name, _methods, n=1, cutoff=0.4)
        guess = f"did you mean {near[0]!r}? " if near else ""
        raise ValueError(f"unknown method {name!r}: {guess}known are {', '.join(sorted(_methods))}")
    return _methods[name]


def _composed(text: str) -> MethodInfo:
    base, calls = read_composed(text)
    info = get_method(base)
    if not calls:
        return info
    if info.frozen:
        raise ValueError(f"method {base!r} fits a head on features and has no parts: nothing can be added to it")
    found = [get_addition(call.name) for call in calls]
    bounded = any(each.boundaries for each in found)
    added = tuple(map(str, calls))
    return replace(
        info,
        name=" + ".join((base, *added)),
        title="; ".join(dict.fromkeys([info.title, *(each.title for each in found)])),
        year=max(info.year, *(each.year for each in found)),
        settings=tuple(s for s in info.settings if not (bounded and s == "task-free")),
        needs=tuple(dict.fromkeys([*info.needs, *(["boundaries"] if bounded else [])])),
        source=", ".join(dict.fromkeys(filter(None, [info.source, *(each.source for each in found)]))),
        additions=added,
    )


def build(
    name: str,
    model: nn.Module | None = None,
    optimizer: MakeOptimizer | Any = None,
    *,
    memory: int | str | Memory = 500,
    also: Sequence[Part | str] = (),
    **options: Any,
) -> Any:
    """The learner of method ``name``. A method on frozen features takes a backbone, or no model where examples are
    features already, and no optimizer.

    ``memory`` is a number of exemplars, or of bytes for them (``"200MB"``), or a memory of another kind than the
    method's usual one; a method without memory ignores it. ``options`` are the method's own and ``Learner``'s
    (``seed``, ``augment``, ``scheduler``, ...). Additions belong to the name, as in ``"er + ema(decay=0.999) +
    masking"``; ``also`` has more of them, and parts of your own.

    >>> from perdure.nn import mlp
    >>> import torch
    >>> build("er", mlp((64,), 10), lambda params: torch.optim.SGD(params, lr=0.1), memory=200, draw=16).name
    'er'
    """
    check_also(also)
    name = " + ".join([name, *(one for one in also if isinstance(one, str))])
    info = get_method(name)
    name, also = info.name, [*info.additions, *(one for one in also if not isinstance(one, str))]
    if info.frozen and also:
        raise ValueError(f"method {name!r} has no parts: leave out also=")
    if not info.frozen and (model is None or optimizer is None):
        missing = "model" if model is None else "optimizer"
        raise ValueError(f"method {name!r} trains a model: give {missing}=, as in build({name!r}, model, optimizer)")
    arguments: list[Any] = [model] if info.frozen else [model, optimizer]
    if info.memory is not None:
        arguments.append(info.memory(memory) if isinstance(memory, (int, str)) else memory)
    common = FeatureOptions if info.frozen else LearnerOptions
    _check_options(name, {option for option, _ in info.options} | common.__annotations__.keys(), options)
    learner = info.recipe(*arguments, **options, **({"also": also} if also else {}))
    if also and not isinstance(learner, Learner):
        raise ValueError(
            f"method {info.base!r} is an algorithm of its own and has no parts: nothing can be added to it"
        )
    learner.name = " + ".join([name, *(part.name for part in also if isinstance(part, Part))])
    if isinstance(learner, FeatureLearner):
        learner.options = options
        own = dict(info.options)
        learner.settings = own | {name: value for name, value in options.items() if name in own}
    return learner


def _check_options(name: str, known: Collection[str], options: Mapping[str, Any]) -> None:
    for option, value in options.items():
        if option not in known:
            near = get_close_matches(option, known, n=1, cutoff=0.4)
            guess = f"did you mean {near[0]!r}? " if near else ""
            raise ValueError(f"method {name!r} has no option {option!r}: {guess}it takes {', '.join(sorted(known))}")
        if isinstance(value, float) and math.isnan(value):
            raise ValueError(f"method {name!r}, {option}=nan: give a number")
