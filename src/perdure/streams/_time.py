"""Streams in the order in which the data arose."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import torch

from perdure.streams._data import ArrayData
from perdure.streams._split import by_label, class_names, count_classes, holdout_note, pair, split_off, stream_of
from perdure.streams._stream import Stream


def time_ordered(
    x: Any,
    y: Any,
    *,
    experiences: int,
    holdout: float = 0.2,
    seed: int = 0,
    name: str = "data",
    classes: Sequence[str] = (),
) -> Stream:
    """The rows in order of time, cut into parts of equal length: domain-incremental by drift.

    ``x`` (N, ...) and ``y`` (N,), integers 0..C-1, are ordered by time; parts differ in length by at most one, the
    longer first. In each part the share ``holdout`` (0 to 1), drawn by ``seed``, is held out; the rest stays in order.
    ``classes`` names the classes. Raises ``ValueError`` where a part would have no row to learn or none to hold out.

    >>> stream = time_ordered(torch.rand(10, 3), torch.arange(10) % 2, experiences=2)
    >>> [(e.name, len(e.data)) for e in stream.experiences]
    [('rows 0–4', 4), ('rows 5–9', 4)]
    """
    data = ArrayData(x, y)
    num_classes = count_classes(data.labels)
    if experiences < 1 or len(data) // experiences < 2:
        raise ValueError(f"{len(data)} rows in {experiences} experiences: give experiences= from 1 to {len(data) // 2}")
    parts = torch.arange(len(data)).tensor_split(experiences)
    part = torch.cat([torch.full_like(rows, t) for t, rows in enumerate(parts)])
    kept, held = split_off(part, holdout, seed)
    learn, judge = data.select(kept), data.select(held)
    views = zip(parts, by_label(part[kept]), by_label(part[held]), strict=True)
    pairs = [
        pair(t, f"rows {int(rows[0])}–{int(rows[-1])}", learn.select(a), judge.select(b))
        for t, (rows, a, b) in enumerate(views)
    ]
    sentence = f"Domain-incremental: {len(data)} rows in {experiences} parts, in order of time."
    notes = (sentence, *holdout_note(holdout, seed))
    stream = stream_of(pairs, "domain-incremental", num_classes, name, class_names(classes, num_classes), notes)
    return replace(stream, ordered=True)
