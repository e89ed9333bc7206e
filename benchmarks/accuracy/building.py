"""Turn what a protocol says into a stream, a model and a learner, through Perdure's public names."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace
from importlib import import_module
from typing import Any

import numpy as np
import torch
from torch import nn

import perdure
from perdure import Experience, datasets, streams
from perdure._random import addressed_default, generator
from perdure.streams import ArrayData, IndexedData, Stream

BUILDERS = {"task-incremental": streams.task_incremental, "class-incremental": streams.class_incremental}
TRANSFORMS: dict[str, Callable[[int, Any], Any]] = {
    "permuted": lambda seed, index: streams.permuted(seed, index),
    "rotated": lambda seed, degrees: streams.rotated(degrees),
}


def stream(
    setting: str,
    seed: int,
    *,
    data: str,
    pad: int = 0,
    experiences: int | None = None,
    order: str | None = None,
    transforms: dict[str, list[Any]] | None = None,
    train_share: float = 1.0,
    examples_per_experience: int | None = None,
    test_examples: int | None = None,
) -> Stream:
    """``transforms``: one kind and its argument for each experience (``permuted``: the index, ``rotated``: degrees).

    ``train_share`` of the training data is used; ``examples_per_experience`` and ``test_examples`` draw so many at
    random from each experience and from each held-out set.
    """
    found = datasets.load(data)
    train, test = (_padded(part, pad) for part in (found.train, found.test))
    if train_share < 1:
        train = train.select(_some(len(train), int(train_share * len(train)), seed, "share"))
    common: dict[str, Any] = {"seed": seed, "name": data}
    if transforms is not None:
        ((kind, arguments),) = transforms.items()
        made = [TRANSFORMS[kind](seed, argument) for argument in arguments]
        whole = streams.domain_incremental(train, test, transforms=made, **common)
    elif setting == "domain-incremental":
        whole = streams.class_incremental(train, test, experiences=experiences, order=order, fold_labels=True, **common)
    else:
        whole = BUILDERS[setting](train, test, experiences=experiences, order=order, **common)
    return replace(
        whole,
        experiences=_limited(whole.experiences, examples_per_experience, seed, "train"),
        evaluations=_limited(whole.evaluations, test_examples, seed, "test"),
    )


def all_at_once(whole: Stream) -> Stream:
    """One experience that has all the data."""
    last = streams.cumulative(whole).experiences[-1]
    return replace(whole, experiences=(replace(last, index=0),), evaluations=whole.evaluations[:1])


def model(whole: Stream, seed: int, *, name: str, normalize: tuple[float, float], **options: Any) -> nn.Module:
    """A network of ``perdure.nn``; bytes are normalized by a mean and a deviation given for the scale 0 to 1."""
    shape = tuple(whole.example().x.shape[1:])
    mean, std = (torch.full((shape[0], 1, 1), 255 * value) for value in normalize)
    first = perdure.nn.Normalize(mean, std)
    with addressed_default(seed, "model"):
        if name == "layers":
            return _layers(first, whole.num_classes, **options)
        return getattr(perdure.nn, name)(shape, whole.num_classes, normalize=first, **options)


def learner(net: nn.Module, seed: int, spec: dict[str, Any]) -> perdure.ContinualLearner:
    """What ``spec`` names: a method with its options, or parts put together."""
    options = dict(spec.get("options", {}))
    memory = spec.get("memory")
    if isinstance(memory, dict):
        memory = _named(perdure.memory, memory)
    chosen = dict(spec["optimizer"])
    kind = getattr(torch.optim, chosen.pop("name"))

    def optimizer(params: Iterable[nn.Parameter]) -> torch.optim.Optimizer:
        return kind(params, **chosen)

    if "parts" in spec:
        parts = [_part(part, memory) for part in spec["parts"]]
        return perdure.Learner(net, optimizer, [*parts, memory], seed=seed, **options)
    if memory is not None:
        options["memory"] = memory
    return perdure.build(spec["method"], net, optimizer, seed=seed, **options)


def _part(what: dict[str, Any], memory: Any) -> Any:
    """A part by ``package.Class``; its ``draw`` from the memory comes first, or, with ``memory: true``, the memory."""
    arguments = dict(what)
    package, _, name = arguments.pop("part").partition(".")
    first = []
    if "draw" in arguments:
        draw = arguments.pop("draw")
        first.append(perdure.Draw(draw["name"], memory, draw["size"]))
    if arguments.pop("memory", False):
        first.append(memory)
    return getattr(import_module(f"perdure.{package}"), name)(*first, **arguments)


def _layers(normalize: nn.Module, num_classes: int, *, layers: list[list[Any]], features: int) -> nn.Module:
    """``layers``: name and arguments of classes of ``torch.nn``; then a linear head on so many ``features``."""
    made = [getattr(nn, name)(*arguments) for name, *arguments in layers]
    return perdure.nn.Network(nn.Sequential(normalize, *made), perdure.nn.LinearHead(features, num_classes))


def _named(module: Any, what: dict[str, Any]) -> Any:
    arguments = dict(what)
    return getattr(module, arguments.pop("name"))(**arguments)


def _padded(part: tuple[np.ndarray, np.ndarray], pad: int) -> ArrayData:
    x, y = part
    return ArrayData(np.pad(x, [(0, 0), (0, 0), (pad, pad), (pad, pad)]) if pad else x, y)


def _limited(experiences: tuple[Experience, ...], most: int | None, seed: int, name: str) -> tuple[Experience, ...]:
    if most is None:
        return experiences
    limited = []
    for experience in experiences:
        assert isinstance(experience.data, IndexedData)
        rows = _some(len(experience.data), most, seed, f"{name}/{experience.index}")
        limited.append(replace(experience, data=experience.data.select(rows)))
    return tuple(limited)


def _some(count: int, most: int, seed: int, name: str) -> torch.Tensor:
    return torch.randperm(count, generator=generator(seed, f"some/{name}"))[:most]
