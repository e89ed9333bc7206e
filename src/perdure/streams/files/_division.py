"""The three ways to divide the rows of a file into experiences."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np

from perdure.streams._split import class_order, group_name, spread
from perdure.streams.files._errors import missing
from perdure.streams.files._source import Array
from perdure.streams.files._values import Value, Values, small

Order = Sequence[Value] | Literal["shuffled"] | None


@dataclass(frozen=True)
class Division:
    """``names`` of the experiences, a ``sentence`` on how they were made, and the rule that makes them.

    ``parts`` leads from the labels (N,) of any file, and its values of target and by-column, to the experience of each
    row; that of a bad row means nothing.
    """

    names: tuple[str, ...]
    sentence: str
    parts: Callable[[Array, Sequence[Values]], Array]


def by_class(
    target: Values, values: Sequence[Value], experiences: int, order: Order, seed: int, *, task: bool
) -> Division:
    """Groups of classes, as in ``class_incremental``."""
    numbers = class_order(as_numbers(target.path, order, values), len(values), seed)
    groups, classes = spread(numbers, experiences), [str(value) for value in values]
    names = tuple(group_name(group, classes) for group in groups)
    if task and min(map(len, groups)) < 2:
        raise ValueError(f"{names[-1]} is alone in its task: give each two or more (fewer experiences=)")
    part = {c: i for i, group in enumerate(groups) for c in group}
    of_class = small([part[c] for c in range(len(classes))], len(groups))
    sentence = f"{'Task' if task else 'Class'}-incremental: {len(classes)} classes in {len(groups)} experiences."
    return Division(names, sentence, lambda labels, _: of_class[labels])


def by_time(target: Values, experiences: int) -> Division:
    """Parts of equal length in the order of the file, named by their first and last rows."""
    numbers = _usable(target)
    rows = len(numbers)
    if rows < 2 * experiences:
        raise ValueError(f"{rows} rows in {experiences} experiences: give experiences= from 1 to {rows // 2}")
    ends = np.cumsum(_lengths(rows, experiences)).tolist()
    names = tuple(f"rows {numbers[a]}–{numbers[b - 1]}" for a, b in zip([0, *ends], ends, strict=False))
    sentence = f"Domain-incremental: {rows} rows in {experiences} parts, in the order of the file."
    part = small(range(experiences), experiences)

    def parts(labels: Array, values: Sequence[Values]) -> Array:
        usable = _usable(values[0])
        found = np.repeat(part, _lengths(len(usable), experiences))
        if isinstance(usable, range):
            return found
        every = np.zeros(len(labels), part.dtype)
        every[usable] = found
        return every

    return Division(names, sentence, parts)


def by_column(column: Values, order: Order, seed: int) -> Division:
    """One experience for each value of a column."""
    found = column.found()
    values = found if any(isinstance(value, str) for value in found) else sorted(set(found))
    ordered = [values[i] for i in class_order(as_numbers(column.path, order, values), len(values), seed)]
    sentence = f"Domain-incremental: an experience for each of the {len(values)} values of {column.name!r}."
    names = tuple(f"{column.name} {value}" for value in ordered)
    return Division(names, sentence, lambda _, values: values[1].numbered(ordered))


def as_numbers(path: Path, order: Order, values: Sequence[Value]) -> Sequence[int] | Literal["shuffled"] | None:
    """An order of ``values`` as one of their places."""
    if order is None or order == "shuffled":
        return order
    place: dict[Value, int] = {str(value): i for i, value in enumerate(values)}
    place |= {value: i for i, value in enumerate(values)}
    for value in order:
        if value not in place:
            raise missing(path, "value of order=,", str(value), list(map(str, values)))
    return [place[value] for value in order]


def _usable(target: Values) -> range | Array:
    """The rows that are not bad."""
    return range(len(target)) if target.bad is None else np.flatnonzero(~target.bad.mask)


def _lengths(rows: int, parts: int) -> Array:
    """Lengths that differ by at most one, the longer first."""
    return rows // parts + (np.arange(parts) < rows % parts).astype(np.int64)
