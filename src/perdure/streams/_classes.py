"""Streams in which each experience brings classes of its own."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from perdure.streams._data import IndexedData
from perdure.streams._split import (
    Examples,
    Order,
    Pair,
    class_names,
    class_order,
    group_name,
    members,
    note,
    pair,
    spread,
    stream_of,
    train_and_test,
)
from perdure.streams._stream import Stream

Groups = list[tuple[int, ...]]


def class_incremental(
    train: Examples,
    test: Examples | None = None,
    *,
    experiences: int | None = None,
    classes_per: int | None = None,
    groups: Sequence[Sequence[int]] | None = None,
    order: Order = None,
    fold_labels: bool = False,
    seed: int = 0,
    holdout: float | None = None,
    name: str = "data",
    classes: Sequence[str] = (),
) -> Stream:
    """New classes come in each experience, and all classes seen so far are to be told apart.

    ``train``, ``test``: a pair of arrays or tensors (x, y), any ``IndexedData``, or a map-style dataset (see
    ``DatasetData``); y are integers 0..C-1. Without ``test``, the share ``holdout`` (0 to 1) of each class is held out,
    by ``seed``. The split is given by one of ``experiences`` (5 if nothing is said), ``classes_per`` (at most so many
    classes in each) or ``groups`` (the classes of each experience); classes that do not divide evenly are spread, never
    dropped. ``order``: None (0, 1, 2, ...), "shuffled" by ``seed``, or the classes in their order. ``classes`` names
    them.

    With ``fold_labels`` a class is called by its place in its group, so that all experiences share their labels: the
    domain-incremental form of a class split (even or odd, in split MNIST).

    Raises ``ValueError`` where the data, the labels or the split do not fit.

    Source: van de Ven, Tuytelaars and Tolias 2022, "Three types of incremental learning",
    doi:10.1038/s42256-022-00568-3.

    >>> x, y = torch.arange(40.0).reshape(20, 2), torch.arange(20) % 4
    >>> stream = class_incremental((x, y), experiences=2, holdout=0.2)
    >>> [(e.name, len(e.data)) for e in stream.experiences]
    [('classes 0 1', 8), ('classes 2 3', 8)]
    """
    learn, judge, num_classes = train_and_test(train, test, holdout, seed)
    classes = class_names(classes, num_classes)
    split = _groups(num_classes, experiences, classes_per, groups, order, seed)
    setting, how = "class-incremental", ""
    if fold_labels:
        _check_two(split, "with fold_labels")
        setting, how = "domain-incremental", ", each called by its place in its experience"
    pairs = _pairs(split, learn, judge, classes, folded=fold_labels)
    sentence = f"{setting.capitalize()}: {num_classes} classes in {len(split)} experiences{how}."
    if fold_labels:
        num_classes = max(map(len, split))
        classes = ["/".join(classes[g[i]] for g in split if i < len(g)) for i in range(num_classes)] if classes else ()
    return stream_of(pairs, setting, num_classes, name, classes, note(sentence, order, seed, holdout))


def task_incremental(
    train: Examples,
    test: Examples | None = None,
    *,
    experiences: int | None = None,
    classes_per: int | None = None,
    groups: Sequence[Sequence[int]] | None = None,
    order: Order = None,
    seed: int = 0,
    holdout: float | None = None,
    name: str = "data",
    classes: Sequence[str] = (),
) -> Stream:
    """New classes come in each experience, and every example, learnt or judged, tells which experience it is from.

    The split is that of ``class_incremental``, whose arguments these are; the number of the experience is the task.
    Only the classes of one task need telling apart, so each must have two.

    Source: van de Ven, Tuytelaars and Tolias 2022, doi:10.1038/s42256-022-00568-3.

    >>> x, y = torch.arange(40.0).reshape(20, 2), torch.arange(20) % 4
    >>> stream = task_incremental((x, y), experiences=2, holdout=0.2)
    >>> [(e.task, next(e.data.batches(3)).task.tolist()) for e in stream.experiences]
    [(0, [0, 0, 0]), (1, [1, 1, 1])]
    """
    learn, judge, num_classes = train_and_test(train, test, holdout, seed)
    classes = class_names(classes, num_classes)
    split = _groups(num_classes, experiences, classes_per, groups, order, seed)
    _check_two(split, "where tasks are told")
    pairs = _pairs(split, learn, judge, classes, told=True)
    sentence = f"Task-incremental: {num_classes} classes in {len(split)} tasks, which are told."
    return stream_of(pairs, "task-incremental", num_classes, name, classes, note(sentence, order, seed, holdout))


def _groups(
    num_classes: int,
    experiences: int | None,
    classes_per: int | None,
    groups: Sequence[Sequence[int]] | None,
    order: Order,
    seed: int,
) -> Groups:
    if sum(way is not None for way in (experiences, classes_per, groups)) > 1:
        raise ValueError("the split is given twice: choose one of experiences=, classes_per= and groups=")
    if groups is not None:
        split = [tuple(map(int, group)) for group in groups]
        if order is not None or () in split or sorted(sum(split, ())) != list(range(num_classes)):
            raise ValueError(
                f"groups={split}: put each class of 0 to {num_classes - 1} into one group and leave out order="
            )
        return split
    if classes_per is not None:
        if classes_per < 1:
            raise ValueError(f"classes_per={classes_per}: give at least 1")
        experiences = -(-num_classes // classes_per)
    return spread(class_order(order, num_classes, seed), 5 if experiences is None else experiences)


def _check_two(split: Groups, when: str) -> None:
    alone = next((group[0] for group in split if len(group) < 2), None)
    if alone is not None:
        raise ValueError(
            f"class {alone} is alone in its experience: {when}, give each two or more (fewer experiences=)"
        )


def _pairs(
    split: Groups,
    learn: IndexedData,
    judge: IndexedData,
    classes: Sequence[str],
    *,
    told: bool = False,
    folded: bool = False,
) -> list[Pair]:
    positions = [(members(learn, group), members(judge, group)) for group in split]
    if folded:
        place = torch.empty(sum(map(len, split)), dtype=torch.int64)
        for group in split:
            place[list(group)] = torch.arange(len(group))
        learn, judge = learn.relabel(place), judge.relabel(place)
    return [
        pair(t, group_name(split[t], classes), learn.select(a), judge.select(b), task=t if told else None)
        for t, (a, b) in enumerate(positions)
    ]
