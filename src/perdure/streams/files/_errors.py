"""One line for each way in which a file can be bad."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from perdure.streams._errors import FileError, first_line


class Unreadable(FileError):
    """Content that is damaged; ``why`` in the words of its reader."""

    def __init__(self, message: str, why: str) -> None:
        super().__init__(message)
        self.why = why


@contextmanager
def reading(path: Path, where: str = "") -> Iterator[None]:
    """Turn whatever a reader raises into one line that names the file and ``where`` in it.

    Readers of damaged content raise anything, so everything is caught; the cause is kept.
    """
    try:
        yield
    except FileError:
        raise
    except Exception as error:
        of_system = isinstance(error, OSError) and error.errno
        why = str(error.strerror) if isinstance(error, OSError) and of_system else first_line(error)
        remedy = "check the disk and who may read it" if of_system else "it is damaged or cut short; write it again"
        line = f"{path}: {where or 'this file'} cannot be read ({why}): {remedy}"
        if of_system or isinstance(error, MemoryError):  # another time the same content may be read
            raise FileError(line) from error
        raise Unreadable(line, why) from error


def numbered(path: Path, pieces: Iterable[Any], start: int = 0, stop: int | None = None) -> Iterator[tuple[int, Any]]:
    """Each piece with the number of its first row; where reading fails, the rows are named.

    If ``stop`` is known, the rows must end there.
    """
    row, iterator = start, iter(pieces)
    while True:
        with reading(path, f"row {row} and after" if stop is None else f"rows {row} to {stop - 1}"):
            piece = next(iterator, None)
            if stop is not None and (row != stop if piece is None else row + len(piece) > stop):
                raise EOFError(f"{stop - start} rows were announced, others are there")
        if piece is None:
            return
        yield row, piece
        row += len(piece)


def missing(path: Path, what: str, name: str, present: Sequence[str]) -> FileError:
    """The error for a ``name`` that is not among those ``present``, with the nearest one."""
    near = difflib.get_close_matches(name, present, n=1, cutoff=0.5)
    shown = ", ".join(map(repr, present[:20])) + (", ..." if len(present) > 20 else "")
    return FileError(
        f"{path}: no {what} {name!r}: " + (f"did you mean {near[0]!r}?" if near else f"choose from {shown}")
    )
