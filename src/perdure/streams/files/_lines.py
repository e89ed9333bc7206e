"""The text of a gzipped file that may be cut short."""

from __future__ import annotations

import gzip
import io
from pathlib import Path
from typing import Any


class WholeLines(io.RawIOBase):
    """Text read as far as it goes: of a file cut short the lines that are whole, and ``cut`` is True at their end.

    Arrow reads ahead, so that an error in the middle would lose one block more or less by chance.
    """

    def __init__(self, path: Path) -> None:
        self._file = gzip.open(path)  # noqa: SIM115 closed by close()
        self._held = b""
        self._ended = self.cut = False

    def readable(self) -> bool:
        return True

    def read(self, size: int = -1) -> bytes:
        """At most ``size`` bytes, of whole lines but at the end; none when there are no more."""
        while not self._ended and len(self._held) < size:
            try:
                piece = self._file.read1(size - len(self._held))
            except EOFError:
                piece, self.cut = b"", True
            self._held += piece
            self._ended = not piece
        end = len(self._held) if self._ended and not self.cut else self._held.rfind(b"\n") + 1
        if not end and not self._ended:
            raise ValueError(f"a line is longer than {size} bytes")
        given, self._held = self._held[:end], b"" if self._ended else self._held[end:]
        return given

    def close(self) -> None:
        self._file.close()
        super().close()


def text_of(path: Path, *, lines: bool) -> Any:
    """What Arrow opens: ``path``, or the whole lines of a gzipped file."""
    return WholeLines(path) if lines and path.suffix == ".gz" else path
