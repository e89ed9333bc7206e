"""One column of a file as small numbers: which values occur, and which of them each row has."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from perdure.streams._errors import FileError
from perdure.streams.files._bad_rows import BadRows
from perdure.streams.files._source import Array

Value = int | float | str
MOST = 1 << 16  # different values of a column
LONGEST = 1000  # bytes of one


class Values:
    """The values of one column, read piece by piece; one to four bytes are kept of each row.

    Those of ``bad`` rows, where these are taken note of, do not count.
    """

    def __init__(self, path: Path, name: str, bad: BadRows | None = None) -> None:
        self.path, self.name, self.bad = path, name, bad
        self._codes: dict[Any, int] = {}
        self._pieces: list[Array] = []

    def __len__(self) -> int:
        return sum(map(len, self._pieces))

    def plain(self, row: int, column: Any) -> Any:
        """An Arrow array whose first row is ``row``, fit to be added. Rows without value are bad."""
        import pyarrow.compute

        longest = _longest(column)
        if longest > LONGEST:
            raise FileError(
                f"{self.path}: column {self.name!r} holds text of {longest} bytes, more than {LONGEST}: "
                "classes and domains have short names; choose another column"
            )
        column = _plain(column)
        if column is None:
            raise FileError(f"{self.path}: column {self.name!r} holds neither whole numbers nor strings: convert it")
        empty = pyarrow.compute.is_null(column, nan_is_null=True).to_numpy(zero_copy_only=False)
        if self.bad is not None:
            self.bad.meet(row, empty, lambda i: f"column {self.name!r} holds no value")
        elif empty.any():
            raise FileError(
                f"{self.path}: column {self.name!r} has no value (NaN) in row {row + empty.argmax()} (from 0): "
                "fill such cells or drop such rows"
            )
        return column

    def add(self, row: int, column: Any) -> None:
        """Take up a plain Arrow array whose first row is ``row``."""
        import pyarrow

        good = None
        if self.bad is not None:
            self.pad(row)
            good = ~self.bad.mask[row : row + len(column)]
            column = column.filter(pyarrow.array(good))
        encoded = column.dictionary_encode()
        codes = [self._codes.setdefault(value, len(self._codes)) for value in encoded.dictionary.to_pylist()]
        if len(self._codes) > MOST:
            raise FileError(
                f"{self.path}: column {self.name!r} has more than {MOST} different values: they are classes or "
                "domains; choose another column, or make ranges of it"
            )
        piece = small(codes, len(self._codes))[encoded.indices.to_numpy(zero_copy_only=False)]
        if good is not None:
            piece, found = np.zeros(len(good), piece.dtype), piece
            piece[good] = found
        self._pieces.append(piece)

    def pad(self, length: int) -> None:
        """Stand-ins for rows that could not be read, up to ``length`` rows."""
        if length > len(self):
            self._pieces.append(np.zeros(length - len(self), np.uint8))

    def found(self) -> list[Value]:
        """The values in the order of their first appearance; strings that all read as numbers are numbers."""
        numbers = [_number(value) for value in self._codes]
        if any(number is None for number in numbers):
            return [str(value) for value in self._codes]
        return [number for number in numbers if number is not None]

    def numbered(self, values: Sequence[Value]) -> Array:
        """The place in ``values`` of what each row has: (N,) unsigned. ``FileError`` where a row has something else.

        With bad rows taken note of, a row that has something else becomes one, and their numbers mean nothing.
        """
        place = {value: i for i, value in enumerate(values)}
        as_text = any(isinstance(value, str) for value in values)
        found = [str(value) if as_text or (number := _number(value)) is None else number for value in self._codes]
        for code, value in enumerate(found):
            if value not in place and self.bad is not None:
                self._leave_out(code, value)
            elif value not in place:
                raise FileError(
                    f"{self.path}: column {self.name!r} is {value!r} in row {self.first(code)} (from 0), "
                    "which does not occur in the file that is learnt from: drop such rows"
                )
        places = small([place.get(value, 0) for value in found], len(values))
        return np.concatenate([places[piece] for piece in self._pieces])

    def first(self, code: int) -> int:
        """The first row that has the value which was the ``code``-th to appear."""
        row = 0
        for piece in self._pieces:
            hits = self._hits(row, piece, code)
            if hits.any():
                return row + int(hits.argmax())
            row += len(piece)
        raise IndexError(code)

    def _leave_out(self, code: int, value: Value) -> None:
        """Every row that has the value of this ``code``."""
        assert self.bad is not None
        row = 0
        for piece in self._pieces:
            why = f"column {self.name!r} is {value!r}, which does not occur in the file that is learnt from"
            self.bad.meet(row, self._hits(row, piece, code), lambda i, why=why: why)  # type: ignore[misc]
            row += len(piece)

    def _hits(self, row: int, piece: Array, code: int) -> Array:
        """Which rows of a piece from ``row`` on have the value of this ``code``."""
        hits: Array = piece == code
        return hits if self.bad is None else hits & ~self.bad.mask[row : row + len(piece)]


def class_values(target: Values) -> Sequence[Value]:
    """The classes in sorted order: whole numbers, or strings."""
    found = target.found()
    for code, value in enumerate(found):
        if isinstance(value, float) and not value.is_integer():
            raise FileError(
                f"{target.path}: target {target.name!r} is {value} in row {target.first(code)} (from 0): "
                "classes are whole numbers or strings; make ranges of it, or choose another target="
            )
    classes = sorted({int(value) if isinstance(value, float) else value for value in found})
    if len(classes) < 2:
        raise FileError(
            f"{target.path}: target {target.name!r} has one class only, {classes[0]!r}: give rows of at least two"
        )
    return classes


def small(values: Sequence[int], count: int) -> Array:
    """Numbers below ``count`` in the smallest unsigned type."""
    return np.array(values, np.min_scalar_type(max(0, count - 1)))


def _longest(column: Any) -> int:
    """Bytes of the longest text in a column; of a dictionary without spelling it out for each row."""
    import pyarrow.compute
    from pyarrow import types

    values = column.dictionary if types.is_dictionary(column.type) else column
    if not (types.is_string(values.type) or types.is_large_string(values.type)):
        return 0
    return pyarrow.compute.max(pyarrow.compute.binary_length(values)).as_py() or 0


def _plain(column: Any) -> Any:
    """A column without dictionary, points in time as text; None where it has neither numbers nor text."""
    import pyarrow
    from pyarrow import types

    if types.is_dictionary(column.type):
        column = column.dictionary_decode()
    if types.is_temporal(column.type):
        column = column.cast(pyarrow.string())
    tests = (types.is_integer, types.is_floating, types.is_boolean, types.is_string, types.is_large_string)
    return column if any(test(column.type) for test in tests) else None


def _number(value: Any) -> int | float | None:
    """A value read as a number, or None where it is none."""
    if isinstance(value, (int, float)):
        return value
    for read in (int, float):
        try:
            return read(value)
        except ValueError:
            continue
    return None
