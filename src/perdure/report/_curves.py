"""Curves and matrices of one method, over its seeds."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from perdure.evaluation._record import Record

Array = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Curves:
    """Accuracy while learning: ``mean``, ``low`` and ``high`` over seeds (N, T) at ``updates`` (N,)."""

    updates: Array
    mean: Array
    low: Array
    high: Array
    changes: Array

    @property
    def progress(self) -> Array:
        """``updates`` as experiences learnt: t when experience t begins, T at the end."""
        bounds = np.append(self.changes, max(self.updates[-1], self.changes[-1] + 1))
        return np.interp(self.updates, bounds, np.arange(len(bounds)))


def curves_over_seeds(records: Sequence[Record]) -> Curves:
    """Mean, lowest and highest over seeds, at the updates where the first seed was measured.

    Other seeds are read off between their own measurements. Undefined for one seed is undefined for all.
    """
    updates, _ = _measured(records[0])
    stack = np.stack([_read_off(r, updates) for r in records])
    changes = np.asarray(records[0].changes, dtype=np.float64)
    return Curves(updates, stack.mean(0), stack.min(0), stack.max(0), changes)


def matrix_over_seeds(records: Sequence[Record]) -> Array:
    """The accuracy matrix, averaged over seeds."""
    mean: Array = np.mean([r.accuracy for r in records], axis=0, dtype=np.float64)
    return mean


def _measured(record: Record) -> tuple[Array, Array]:
    """The curve, with the rows of the accuracy matrix where each experience begins and at the end.

    At a boundary the matrix knows better: it is measured on all held-out data, after what a method does there.
    """
    batches = -(-record.cost.samples * len(record.batch_sizes) // sum(record.batch_sizes))
    end = max(record.curve.updates[-1] if record.curve.updates else batches, record.changes[-1] + 1)
    rows = dict(zip(record.curve.updates, record.curve.accuracy, strict=True))
    rows |= zip([*record.changes, end], record.accuracy, strict=True)
    updates = sorted(rows)
    return np.array(updates, dtype=np.float64), np.array([rows[u] for u in updates], dtype=np.float64)


def _read_off(record: Record, updates: Array) -> Array:
    own, accuracy = _measured(record)
    if np.array_equal(own, updates):
        return accuracy
    return np.stack([np.interp(updates, own, column) for column in accuracy.T], axis=1)
