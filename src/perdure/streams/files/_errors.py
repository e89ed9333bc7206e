"""One line for each way in which a file can be bad."""

from __future__ import annotations

import difflib
import struct
import zipfile
import zlib
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

# What libraries raise on content that is not what it should be.
DAMAGE = (
    *(EOFError, SyntaxError, ValueError, TypeError, LookupError, ArithmeticError, RuntimeError, MemoryError),
    *(struct.error, zlib.error, zipfile.BadZipFile),
)


class FileError(ValueError):
    """A file that cannot be used: the message says what was found and what to do."""


@contextmanager
def reading(path: Path, where: str = "") -> Iterator[None]:
    """Turn whatever a reader raises on damaged content into one line that names the file and ``where`` in it."""
    try:
        yield
    except FileError:
        raise
    except (OSError, *DAMAGE) as error:
        if isinstance(error, OSError) and error.errno:  # the system's own: not found, not permitted
            raise
        raise FileError(
            f"{path}: {where or 'this file'} cannot be read ({first_line(error)}): "
            "it is damaged or cut short; write it again"
        ) from error


def first_line(error: Exception) -> str:
    """What an error says, shortened."""
    return " ".join((str(error) or type(error).__name__).split())[:200]


def numbered(path: Path, pieces: Iterable[Any], start: int = 0, stop: int | None = None) -> Iterator[tuple[int, Any]]:
    """Each piece with the number of its first row; where reading fails, the rows are named, up to ``stop`` if known."""
    row, iterator = start, iter(pieces)
    while True:
        with reading(path, f"row {row} and after" if stop is None else f"rows {row} to {stop - 1}"):
            piece = next(iterator, None)
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
