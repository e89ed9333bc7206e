"""Rows that cannot be learnt from: which, and why the first of them cannot."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from perdure.streams._errors import FileError
from perdure.streams.files._source import Array

TOLD = 3  # reasons, at most
LEFT_OUT = "Left out: "  # how their note begins


class BadRows:
    """The rows of a file, met piece by piece, that are to be left out. ``close`` ends the search.

    From then on a row that turns out bad is one of these, or else the file has changed.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._marks = bytearray()
        self._reasons: list[tuple[int, str]] = []
        self._end = ""  # why nothing is known of what comes after the last row
        self._closed = False

    def __len__(self) -> int:
        """Rows met."""
        return len(self._marks)

    @property
    def mask(self) -> Array:
        """Which rows are bad: (N,) bool. Let it go before more rows are met."""
        return np.frombuffer(self._marks, bool)

    def meet(self, first: int, wrong: Array, why: Callable[[int], str]) -> None:
        """Take note of a piece from row ``first`` on: which of its rows are ``wrong`` (n,), and ``why`` the i-th is."""
        for i in self._mark(first, wrong)[:TOLD].tolist():
            self._tell(first + i, f"row {first + i}: {why(i)}")

    def lose(self, first: int, stop: int | None, why: str) -> None:
        """The rows from ``first`` cannot be read; ``stop`` is None where nobody knows how many these are."""
        if stop is None:
            self._mark(first, np.zeros(0, bool))
            self._end = self._end or f"row {first} and after: cannot be read ({why})"
        elif self._mark(first, np.ones(stop - first, bool)).size:
            self._tell(first, f"rows {first} to {stop - 1}: cannot be read ({why})")

    def check(self) -> None:
        """Refuse a file of which more than half would be left out."""
        if 2 * (count := int(self.mask.sum())) > len(self):
            raise FileError(refusal(self.path, count, len(self), "rows", self._told(), "target= and features="))

    def close(self, parts: Array, mark: int) -> Array:
        """``parts`` (N,) with ``mark`` for what is left out; no more is."""
        self.check()
        self._closed = True
        return np.where(self.mask, mark, parts).astype(np.min_scalar_type(mark))

    def note(self, of: str = "") -> list[str]:
        """In words how many rows were left out, if any were; ``of`` names the file."""
        count = int(self.mask.sum())
        if not count and not self._end:
            return []
        total = f"the first {len(self)} rows{of}, and all after them," if self._end else f"{len(self)} rows{of}"
        return [left_out_note(count, total, "learnt from", self._told())]

    def _told(self) -> list[str]:
        return [text for _, text in self._reasons] + [self._end] * bool(self._end)

    def _tell(self, row: int, text: str) -> None:
        self._reasons = sorted([*self._reasons, (row, text)])[:TOLD]

    def _mark(self, first: int, wrong: Array) -> Array:
        """Places in the piece that were not known to be bad."""
        stop = first + len(wrong)
        if not self._closed:
            self._marks.extend(bytes(max(0, stop - len(self))))
        marks = self.mask[first:stop]
        if len(marks) < len(wrong) or (self._closed and (wrong & ~marks).any()):
            raise FileError(f"{self.path} has changed since the stream was made: make the stream again")
        new = np.flatnonzero(wrong & ~marks)
        marks |= wrong
        return new


def check_on_bad(on_bad: str) -> None:
    """Refuse what is no policy for bad examples."""
    if on_bad not in ("raise", "skip"):
        raise ValueError(f'on_bad={on_bad!r}: give "raise" or "skip"')


def left_out_note(count: int, total: str, purpose: str, reasons: Sequence[str]) -> str:
    """The note of a stream on what was left out of it."""
    more = "; ..." if count > len(reasons) else ""
    text = f"{LEFT_OUT}{count} of {total} that cannot be {purpose} ({'; '.join(reasons)}{more})."
    return str(FileError(text))  # cells and names of files can hold anything


def refusal(path: Path, count: int, total: int, what: str, reasons: Sequence[str], suspects: str) -> str:
    """What to say of a file of which more than half is bad."""
    return (
        f"{path}: {count} of {total} {what} cannot be used ({'; '.join(reasons)}; ...): more than half are not left "
        f"out; check {suspects}, or repair the file"
    )
