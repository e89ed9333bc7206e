"""Streams in which the classes stay and their appearance changes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from torch import Tensor

from perdure.streams._data import Transform, read_labels
from perdure.streams._split import (
    Examples,
    by_label,
    class_names,
    count_classes,
    holdout_note,
    indexed,
    pair,
    split_off,
    stream_of,
    train_and_test,
)
from perdure.streams._stream import Stream
from perdure.streams._transforms import NamedTransform


def domain_incremental(
    train: Examples,
    test: Examples | None = None,
    *,
    transforms: Sequence[Transform],
    seed: int = 0,
    holdout: float | None = None,
    name: str = "data",
    classes: Sequence[str] = (),
) -> Stream:
    """Each experience shows all the data through another of ``transforms``; which one is not told.

    ``train``, ``test``, ``holdout``, ``seed`` and ``classes`` are as in ``class_incremental``. A transform maps
    x (B, ...) to x (B, ...), example by example; ``permuted`` and ``rotated`` make the usual ones, ``NamedTransform``
    names your own.

    Source: van de Ven, Tuytelaars and Tolias 2022, doi:10.1038/s42256-022-00568-3.

    >>> import torch
    >>> from perdure.streams import rotated
    >>> data = torch.rand(8, 1, 4, 4), torch.arange(8) % 2
    >>> [e.name for e in domain_incremental(data, transforms=[rotated(0), rotated(80)], holdout=0.25).experiences]
    ['rotated 0°', 'rotated 80°']
    """
    if not transforms:
        raise ValueError("transforms is empty: give one for each experience, such as [rotated(0), rotated(80)]")
    learn, judge, num_classes = train_and_test(train, test, holdout, seed)
    names = [t.name if isinstance(t, NamedTransform) else f"domain {i}" for i, t in enumerate(transforms)]
    pairs = [
        pair(i, names[i], learn.through(transform), judge.through(transform)) for i, transform in enumerate(transforms)
    ]
    notes = (f"Domain-incremental: the same examples, {', '.join(names)}.", *holdout_note(holdout, seed))
    return stream_of(pairs, "domain-incremental", num_classes, name, class_names(classes, num_classes), notes)


def split_by_domain(
    train: Examples,
    test: Examples | None = None,
    *,
    domains: Any,
    test_domains: Any = None,
    seed: int = 0,
    holdout: float | None = None,
    name: str = "data",
    classes: Sequence[str] = (),
) -> Stream:
    """Each experience is one domain of the data, in the order of their numbers; which one is not told.

    ``domains``: (N,) integers 0..D-1, the domain (site, device, writer, ...) of each training example;
    ``test_domains`` likewise for ``test``. Without ``test``, the share ``holdout`` of each domain is held out, by
    ``seed``. Classes may be missing from a domain.

    Source: van de Ven, Tuytelaars and Tolias 2022, doi:10.1038/s42256-022-00568-3.

    >>> import torch
    >>> data = torch.rand(8, 3), torch.arange(8) % 2
    >>> stream = split_by_domain(data, domains=[0, 0, 0, 0, 1, 1, 1, 1], holdout=0.25)
    >>> [(e.name, len(e.data)) for e in stream.experiences]
    [('domain 0', 3), ('domain 1', 3)]
    """
    whole = indexed(train)
    of_train = _domains(domains, len(whole), "domains")
    if test is None and holdout is not None:
        kept, held = split_off(of_train, holdout, seed)
        learn, judge, num_classes = whole.select(kept), whole.select(held), count_classes(whole.labels)
        of_train, of_test = of_train[kept], of_train[held]
    else:
        learn, judge, num_classes = train_and_test(whole, test, holdout, seed)
        of_test = _domains(test_domains, len(judge), "test_domains")
    parts, judged = by_label(of_train), by_label(of_test)
    if len(parts) != len(judged):
        raise ValueError(f"{len(parts)} domains in train but {len(judged)} in test: give the same domains in both")
    pairs = [
        pair(i, f"domain {i}", learn.select(a), judge.select(b))
        for i, (a, b) in enumerate(zip(parts, judged, strict=True))
    ]
    notes = (f"Domain-incremental: the {len(pairs)} domains one after another.", *holdout_note(holdout, seed))
    return stream_of(pairs, "domain-incremental", num_classes, name, class_names(classes, num_classes), notes)


def _domains(values: Any, length: int, what: str) -> Tensor:
    if values is None:
        raise ValueError(f"{what} is missing: give the domain of each example")
    domains = read_labels(values, what)
    if len(domains) != length:
        raise ValueError(f"{what} has {len(domains)} entries for {length} examples: give one for each")
    missing = (domains.bincount() == 0).nonzero().flatten().tolist()
    if missing:
        raise ValueError(f"{what} has no example of domain {missing[0]}: number the domains 0..D-1 without gaps")
    return domains
