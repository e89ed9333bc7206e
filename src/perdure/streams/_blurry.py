"""Class-incremental streams without clean cuts: blurry boundaries, and classes that come back."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from perdure._random import generator
from perdure.streams._data import IndexedData
from perdure.streams._split import (
    Examples,
    Order,
    by_label,
    class_names,
    class_order,
    group_name,
    members,
    note,
    pair,
    shuffled,
    spread,
    stream_of,
    train_and_test,
)
from perdure.streams._stream import Stream


def blurry(
    train: Examples,
    test: Examples | None = None,
    *,
    experiences: int = 5,
    major: float = 0.9,
    disjoint: float = 0.0,
    order: Order = None,
    seed: int = 0,
    holdout: float | None = None,
    name: str = "data",
    classes: Sequence[str] = (),
) -> Stream:
    """Most examples of a class come in its own experience, the others are scattered over all other experiences.

    The classes are split as in ``class_incremental``, which explains the other arguments. Of the n examples of a class,
    round(``major`` n) come in its own experience; the rest is dealt to the other experiences, in numbers that differ by
    at most one. A share ``disjoint`` of the classes, drawn by ``seed``, is not scattered. Each example occurs once.
    Held-out data is that of the classes an experience owns. ``task_free`` hides the boundaries, as i-Blurry does.

    Sources: Bang et al. 2021, "Rainbow memory", arXiv:2103.17230 (``disjoint=0``: blurry-M has ``major`` = 1 - M/100);
    Koh et al. 2022, "Online continual learning on class incremental blurry task configuration with anytime inference",
    arXiv:2110.10031 (i-Blurry-N-M has ``disjoint`` = N/100 too). We deal the rest evenly, so that shares are exact.

    >>> data = torch.rand(40, 3), torch.arange(40) % 2
    >>> [e.data.labels.bincount().tolist() for e in blurry(data, data, experiences=2).experiences]
    [[18, 2], [2, 18]]
    """
    for label, share in (("major", major), ("disjoint", disjoint)):
        if not 0 <= share <= 1:
            raise ValueError(f"{label}={share}: give a share between 0 and 1")
    if experiences < 2:
        raise ValueError(f"{experiences} experience: blurry boundaries need at least 2")
    learn, judge, num_classes = train_and_test(train, test, holdout, seed)
    classes = class_names(classes, num_classes)
    split = spread(class_order(order, num_classes, seed), experiences)
    home = {c: t for t, group in enumerate(split) for c in group}
    clean = set(shuffled(torch.arange(num_classes), seed, "disjoint")[: round(disjoint * num_classes)].tolist())
    dealt: list[list[Tensor]] = [[] for _ in split]
    for c, rows in enumerate(by_label(learn.labels)):
        rows = shuffled(rows, seed, "deal", c)
        own = len(rows) if c in clean else round(major * len(rows))
        others = shuffled(torch.tensor([t for t in range(experiences) if t != home[c]]), seed, "others", c).tolist()
        dealt[home[c]].append(rows[:own])
        for t, share_of in zip(others, rows[own:].tensor_split(experiences - 1), strict=True):
            dealt[t].append(share_of)
    pairs = [
        pair(t, group_name(group, classes), _gather(learn, dealt[t]), judge.select(members(judge, group)))
        for t, group in enumerate(split)
    ]
    sentence = f"Blurry class-incremental: {major:.0%} of a class in its own experience, the rest over the other ones"
    sentence += f"; {len(clean)} of {num_classes} classes not scattered." if clean else "."
    return stream_of(pairs, "class-incremental", num_classes, name, classes, note(sentence, order, seed, holdout))


def repetition(
    train: Examples,
    test: Examples | None = None,
    *,
    experiences: int = 5,
    probability: float = 0.5,
    order: Order = None,
    seed: int = 0,
    holdout: float | None = None,
    name: str = "data",
    classes: Sequence[str] = (),
) -> Stream:
    """Classes come, and come back: class-incremental with repetition.

    Of C classes and T ``experiences`` (any number), the class in place j of ``order`` first occurs in experience
    floor(j T / C), and returns in each later experience with ``probability``, independently, drawn by ``seed``. An
    experience that would stay empty takes one class already seen, at random. The examples of a class are dealt to its
    occurrences without reuse, in numbers that differ by at most one. Held-out data is all that of the classes which an
    experience holds; so it is shared by experiences that share a class. The other arguments are as in
    ``class_incremental``.

    Source: Hemati et al. 2023, "Class-incremental learning with repetition", arXiv:2301.11396 (there the first
    occurrences are drawn too).

    >>> data = torch.rand(40, 3), torch.arange(40) % 4
    >>> [e.classes for e in repetition(data, data, experiences=4, probability=1.0).experiences]
    [(0,), (0, 1), (0, 1, 2), (0, 1, 2, 3)]
    """
    if not 0 <= probability <= 1:
        raise ValueError(f"probability={probability}: give a number between 0 and 1")
    if experiences < 1:
        raise ValueError(f"{experiences} experiences: give at least 1")
    learn, judge, num_classes = train_and_test(train, test, holdout, seed)
    classes = class_names(classes, num_classes)
    occurs = _occurrences(class_order(order, num_classes, seed), experiences, probability, seed)
    dealt: list[list[Tensor]] = [[] for _ in range(experiences)]
    for c, rows in enumerate(by_label(learn.labels)):
        when = occurs[:, c].nonzero().flatten().tolist()
        if len(rows) < len(when):
            raise ValueError(
                f"class {c} has {len(rows)} examples for {len(when)} occurrences: lower probability= or experiences="
            )
        for t, share in zip(when, shuffled(rows, seed, "deal", c).tensor_split(len(when)), strict=True):
            dealt[t].append(share)
    pairs = []
    for t in range(experiences):
        group = occurs[t].nonzero().flatten().tolist()
        held = judge.select(members(judge, group))
        pairs.append(pair(t, group_name(group, classes), _gather(learn, dealt[t]), held))
    sentence = f"Class-incremental with repetition: a class returns with probability {probability:g} (seed {seed})."
    return stream_of(pairs, "class-incremental", num_classes, name, classes, note(sentence, order, seed, holdout))


def _occurrences(order: list[int], experiences: int, probability: float, seed: int) -> Tensor:
    """(T, C) bool: which class occurs when."""
    first = torch.empty(len(order), dtype=torch.int64)
    first[order] = torch.arange(len(order)) * experiences // len(order)
    when = torch.arange(experiences).unsqueeze(1)
    returns = torch.rand(experiences, len(order), generator=generator(seed, "repetition")) < probability
    occurs = (when == first) | (when > first) & returns
    for t in (~occurs.any(1)).nonzero().flatten().tolist():
        occurs[t, shuffled((first < t).nonzero().flatten(), seed, "filler", t)[0]] = True
    return occurs


def _gather(data: IndexedData, shares: list[Tensor]) -> IndexedData:
    return data.select(torch.cat(shares).sort().values)
