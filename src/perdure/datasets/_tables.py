"""Streams kept as text."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from perdure.datasets._files import damaged, read_bytes
from perdure.datasets._info import Array, DatasetInfo, Pair

LIMIT = 16 * 2**20  # bytes of a table: five times the largest
LARGEST = float(np.finfo(np.float32).max)


def read_csv(_: DatasetInfo, files: tuple[Path, ...]) -> tuple[Pair, None]:
    """A table with a header line whose last column is the class."""
    (path,) = files
    table = _numbers(path, delimiter=",", header_lines=1)
    return (table[:, :-1].astype(np.float32), _labels(path, table[:, -1])), None


def read_columns(_: DatasetInfo, files: tuple[Path, ...]) -> tuple[Pair, None]:
    """Features and labels in two files, parted by spaces, without headers."""
    features, labels = files
    return (_numbers(features).astype(np.float32), _labels(labels, _numbers(labels)[:, 0])), None


def _numbers(path: Path, *, delimiter: str | None = None, header_lines: int = 0) -> Array:
    data = read_bytes(path, LIMIT)
    try:
        lines = [line for line in data.decode("ascii").splitlines()[header_lines:] if line.strip()]
        table = np.loadtxt(lines, delimiter=delimiter, comments=None, ndmin=2) if lines else np.empty((0, 0))
    except ValueError as fault:
        raise damaged(path, f"not a table of numbers: {fault}") from fault
    if not (table.size and (np.abs(table) <= LARGEST).all()):
        raise damaged(path, "no rows, missing values or numbers beyond float32")
    return table


def _labels(path: Path, column: Array) -> Array:
    labels = column.astype(np.int64)
    if (labels != column).any():
        raise damaged(path, "classes are not whole numbers")
    return labels
