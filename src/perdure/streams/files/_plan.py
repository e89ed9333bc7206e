"""Which experience each row of a file belongs to, and whether it is held out: a few bytes a row."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from perdure._random import address
from perdure.streams._errors import FileError
from perdure.streams.files._source import Array, Source

BLOCK_ROWS = 1 << 16  # looked at together


@dataclass(frozen=True, eq=False)
class Plan:
    """The place of every row of ``source``. ``labels``, ``parts``: (N,) unsigned, its class and its experience.

    The part of a row that is left out is ``num_parts``, and no experience has it.
    A row is held out if a number in [0, 1), addressed by ``seed`` and its row number, is below ``holdout``: nothing
    about it depends on how the file is read. 0 holds out none, 1 all.
    """

    source: Source
    labels: Array
    parts: Array
    num_classes: int
    num_parts: int
    holdout: float
    seed: int

    def __len__(self) -> int:
        return len(self.labels)

    @property
    def num_bytes(self) -> int:
        """What all examples would take in memory."""
        return len(self) * self.source.row_bytes

    def held(self, rows: Array) -> Array:
        """Which of ``rows`` (n,) are held out: (n,) bool."""
        return (_hash(rows, address(self.seed, "holdout")) >> np.uint64(11)) * 2.0**-53 < self.holdout

    def rows(self, part: int, start: int, stop: int) -> Array:
        """The rows from start to stop that ``part`` learns from."""
        rows = start + np.flatnonzero(self.parts[start:stop] == part)
        return rows[~self.held(rows)]

    @cached_property
    def counts(self) -> Array:
        """Rows learnt from and held out: (2, experiences, classes)."""
        shape = 2, self.num_parts, self.num_classes
        total = np.zeros(shape, np.int64)
        for start in range(0, len(self), BLOCK_ROWS):
            rows = np.arange(start, min(start + BLOCK_ROWS, len(self)))
            rows = rows[self.parts[rows] < self.num_parts]
            cell = np.ravel_multi_index((self.held(rows).astype(np.intp), self.parts[rows], self.labels[rows]), shape)
            total += np.bincount(cell, minlength=total.size).reshape(shape)
        return total

    def usable(self) -> Array:
        """The rows that are not left out, ascending."""
        return np.flatnonzero(self.parts < self.num_parts)

    def classes(self, part: int) -> tuple[int, ...]:
        """The classes that ``part`` learns from."""
        return tuple(np.flatnonzero(self.counts[0, part]).tolist())

    def sample(self, limit: int) -> Array:
        """Held-out rows, ascending: of each experience at most ``limit``, those of smallest addressed number."""
        key = address(self.seed, "evaluation")
        kept = [np.empty(0, np.int64)] * self.num_parts
        for start in range(0, len(self), BLOCK_ROWS):
            rows = np.arange(start, min(start + BLOCK_ROWS, len(self)))
            rows = rows[self.held(rows)]
            for part in range(self.num_parts):
                found = np.concatenate([kept[part], rows[self.parts[rows] == part]])
                kept[part] = found[np.argsort(_hash(found, key))[:limit]] if len(found) > limit else found
        return np.sort(np.concatenate(kept))


def check_counts(learnt: Plan, judged: Plan, names: Sequence[str], classes: Sequence[str]) -> None:
    """Refuse a division in which a class, or an experience, has no row to learn from or none to be judged on."""
    for plan, counts, purpose in ((learnt, learnt.counts[0], "learn from"), (judged, judged.counts[1], "be judged on")):
        for axis, what, called in ((0, "class", classes), (1, "experience", names)):
            empty = np.flatnonzero(counts.sum(axis) == 0)
            if len(empty):
                raise FileError(
                    f"{plan.source.path}: {what} {called[empty[0]]!r} has no row to {purpose}: "
                    "add rows, or try another holdout= or seed=, fewer experiences=, or a test= file"
                )


def _hash(rows: Array, key: int) -> Array:
    """A well-mixed 64-bit number for each row number and ``key``.

    The finaliser of splitmix64: Steele, Lea and Flood 2014, doi:10.1145/2660193.2660195.
    """
    z = rows.astype(np.uint64) * np.uint64(0x9E3779B97F4A7C15) + np.uint64(key)
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return z ^ (z >> np.uint64(31))
