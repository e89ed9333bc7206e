"""What every reader gives: the values of some columns, and the examples, front to back in pieces of bounded size."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from perdure.streams._errors import FileError
from perdure.streams.files._errors import reading

if TYPE_CHECKING:
    from perdure.streams.files._bad_rows import BadRows

Array = np.ndarray[Any, Any]
PIECE_BYTES = 4 << 20  # read at once, at most
PIECE_ROWS = 1 << 16
EXAMPLE_BYTES = 64 << 20  # of one example, at most: a batch of 32 such takes two gigabytes
ROWS_ALWAYS = 1 << 24  # rows that a file of any size may have
ROWS_PER_BYTE = 8  # of the file, above that: a few bytes a row are kept in memory


class Source(ABC):
    """A file of examples, one row each, counted from 0.

    ``shape`` and ``dtype`` are those of one example. ``starts``: the first row of each chunk that can be read by itself
    (a row group); one chunk where a file can only be read from its beginning. ``features``: the columns of x;
    ``left_out``: those that are neither features nor asked for. ``bad``: where rows that cannot be learnt from are
    taken note of, and x then holds anything; without it they are refused.
    """

    starts: tuple[int, ...] = (0,)

    def __init__(
        self,
        path: Path,
        files: Iterable[Path],
        features: Sequence[str],
        shape: Sequence[int],
        dtype: Any,
        left_out: Sequence[str] = (),
        bad: BadRows | None = None,
    ) -> None:
        self.bad = bad
        self.path, self.features, self.left_out = path, tuple(features), tuple(left_out)
        self.shape, self.dtype = tuple(shape), np.dtype(dtype)
        self._files = tuple(files)
        self._stamp = self._look()
        if self.row_bytes > EXAMPLE_BYTES:
            raise FileError(
                f"{path}: one example, {self.dtype} of shape {self.shape}, takes {self.row_bytes >> 20} MB, more than "
                f"{EXAMPLE_BYTES >> 20}: make examples smaller, or check that each row is one example"
            )

    @abstractmethod
    def values(self, names: Sequence[str]) -> Iterator[tuple[int, tuple[Any, ...]]]:
        """First row and Arrow arrays of the columns ``names``, piece by piece."""

    @abstractmethod
    def _examples(self, chunk: int) -> Iterator[tuple[int, Array]]:
        """First row and x (n, *shape) of the pieces of one chunk, checked to be finite but for bad rows."""

    def examples(self, chunks: Iterable[int] | None = None) -> Iterator[tuple[int, Array]]:
        """First row and x (n, *shape), piece by piece, of the ``chunks`` named or of all."""
        self._check_unchanged()
        for chunk in range(len(self.starts)) if chunks is None else chunks:
            for row, x in self._examples(chunk):
                self._check_unchanged()
                yield row, x
        self._check_unchanged()

    @property
    def row_bytes(self) -> int:
        """Bytes of one example in memory."""
        return max(1, math.prod(self.shape) * int(self.dtype.itemsize))

    @property
    def piece_rows(self) -> int:
        """Rows read at once, at most."""
        return max(1, min(PIECE_ROWS, PIECE_BYTES // self.row_bytes))

    def _refuse(self, first: int, wrong: Array, why: Callable[[int], str], remedy: str) -> None:
        """Rows of a piece from row ``first`` on that are ``wrong`` (n,): refuse them, or take note of them."""
        if self.bad is not None:
            self.bad.meet(first, wrong, why)
        elif wrong.any():
            i = int(wrong.argmax())
            raise FileError(f"{self.path}: {why(i)} in row {first + i} (from 0): {remedy}")

    def _check_rows(self, rows: int) -> None:
        """Refuse a file that swells beyond what real data does: its rows would fill the memory."""
        size = sum(num_bytes for num_bytes, _ in self._stamp)
        if rows > max(ROWS_ALWAYS, ROWS_PER_BYTE * size):
            raise FileError(
                f"{self.path}: {rows} rows or more in {size} bytes would swell beyond all bounds: if they are real, "
                "write them without compression"
            )

    def _check_unchanged(self) -> None:
        with reading(self.path):
            found = self._look()
        if found != self._stamp:
            raise FileError(f"{self.path} has changed since the stream was made: make the stream again")

    def _look(self) -> list[tuple[int, int]]:
        return [(stat.st_size, stat.st_mtime_ns) for stat in (file.stat() for file in self._files)]
