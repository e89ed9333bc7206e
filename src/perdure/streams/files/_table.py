"""Rows of a file as data: read whole, or in pieces each time they are wanted."""

from __future__ import annotations

import itertools
from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor

from perdure._records import Batch
from perdure.streams._data import ArrayData, check_pass
from perdure.streams._errors import FileError
from perdure.streams.files._plan import Plan
from perdure.streams.files._source import Array

WINDOW_BYTES = 16 << 20  # of x; rows are shuffled within a window of this size
Piece = tuple[Tensor, Tensor]


class TableData:
    """What one experience learns from, in a file too large for memory.

    Each pass reads the file again in pieces, only the row groups that hold rows of the experience. A shuffled pass is
    approximate: row groups come in random order, and rows are drawn from a window of ``WINDOW_BYTES`` that moves over
    them; each row comes once.
    """

    def __init__(self, plan: Plan, part: int, task: int | None = None) -> None:
        self._plan, self._part, self._task = plan, part, task
        self._length = int(plan.counts[0, part].sum())
        spans = zip(plan.source.starts, (*plan.source.starts[1:], len(plan)), strict=True)
        self._chunks = [chunk for chunk, (start, stop) in enumerate(spans) if (plan.parts[start:stop] == part).any()]

    def __len__(self) -> int:
        return self._length

    def batches(self, size: int, generator: torch.Generator | None = None, start: int = 0) -> Iterator[Batch]:
        """Each row once, ``size`` at a time: in the order of the file, or shuffled approximately by ``generator``.

        The first ``start`` batches are left out: in the order of the file the row groups that hold nothing else are not
        read; a shuffled pass is read from its beginning.
        """
        check_pass(size, start)
        if generator is None:
            return self._told(_cut(self._pieces(self._chunks, start * size), size))
        order = torch.randperm(len(self._chunks), generator=generator).tolist()
        own = torch.Generator().manual_seed(int(torch.randint(2**62, (), generator=generator)))
        window = max(2, WINDOW_BYTES // self._plan.source.row_bytes)
        pieces = _cut(_shuffled(self._pieces([self._chunks[i] for i in order]), window, own), size)
        return self._told(itertools.islice(pieces, start, None))

    def _pieces(self, chunks: list[int], late: int = 0) -> Iterator[Piece]:
        """All rows but the first ``late`` ones, piece by piece."""
        left = self._length
        if late:
            chunks, gone = self._without(chunks, min(late, left))
            left, late = left - gone, late - gone
        for start, x in self._plan.source.examples(chunks):
            rows = self._plan.rows(self._part, start, start + len(x))
            left -= len(rows)
            late, rows = max(0, late - len(rows)), rows[late:]
            if len(rows):
                yield torch.from_numpy(x[rows - start]), torch.from_numpy(self._plan.labels[rows].astype(np.int64))
            if not left:
                return
        _complete(self._plan, left)

    def _without(self, chunks: list[int], late: int) -> tuple[list[int], int]:
        """``chunks`` less the first ones that hold none but the first ``late`` rows, and how many rows these hold."""
        gone = 0
        ends = (*self._plan.source.starts[1:], len(self._plan))
        for i, chunk in enumerate(chunks):
            held = len(self._plan.rows(self._part, self._plan.source.starts[chunk], ends[chunk]))
            if gone + held > late:
                return chunks[i:], gone
            gone += held
        return [], gone

    def _told(self, pieces: Iterator[Piece]) -> Iterator[Batch]:
        for x, y in pieces:
            yield Batch(x, y, None if self._task is None else torch.full_like(y, self._task))


class HeldRows:
    """Some rows of a file in memory. ``rows``: their numbers (n,), ascending."""

    def __init__(self, plan: Plan, rows: Array) -> None:
        source = plan.source
        x = np.empty((len(rows), *source.shape), source.dtype)
        last = 0
        for start, piece in source.examples():
            first, last = np.searchsorted(rows, (start, start + len(piece)))
            x[first:last] = piece[rows[first:last] - start]
        _complete(plan, len(rows) - int(last))
        self._data = ArrayData(x, plan.labels[rows])
        self._parts, self._held = plan.parts[rows], plan.held(rows)

    def of(self, part: int, *, held: bool, task: int | None) -> ArrayData:
        """Those that the experience ``part`` learns from, or those held out for it."""
        positions = np.flatnonzero((self._parts == part) & (self._held == held))
        return self._data.select(torch.from_numpy(positions)).told(task)


def _complete(plan: Plan, left: int) -> None:
    if left:
        raise FileError(
            f"{plan.source.path} has changed since the stream was made, {left} rows are missing: make the stream again"
        )


def _shuffled(pieces: Iterator[Piece], window: int, generator: torch.Generator) -> Iterator[Piece]:
    """Fill a window, give away a random half of it, fill it again."""
    waiting: list[Piece] = []
    for piece in pieces:
        waiting.append(piece)
        count = sum(len(y) for _, y in waiting)
        if count >= window:
            x, y = _joined(waiting)
            given, kept = torch.tensor_split(torch.randperm(count, generator=generator), [count - window // 2])
            waiting = [(x[kept], y[kept])]
            yield x[given], y[given]
    if waiting:
        x, y = _joined(waiting)
        order = torch.randperm(len(y), generator=generator)
        yield x[order], y[order]


def _cut(pieces: Iterator[Piece], size: int) -> Iterator[Piece]:
    """The same rows, ``size`` at a time; the last piece may be shorter."""
    waiting: list[Piece] = []
    for piece in pieces:
        waiting.append(piece)
        count = sum(len(y) for _, y in waiting)
        if count >= size:
            x, y = _joined(waiting)
            whole = count - count % size
            waiting = [(x[whole:], y[whole:])] if whole < count else []
            yield from zip(torch.split(x[:whole], size), torch.split(y[:whole], size), strict=True)
    if waiting:
        yield _joined(waiting)


def _joined(pieces: list[Piece]) -> Piece:
    return torch.cat([x for x, _ in pieces]), torch.cat([y for _, y in pieces])
