"""Files that are complete or absent: written beside, flushed to disk, renamed into place."""

from __future__ import annotations

import os
from pathlib import Path

PART = ".part"  # ends the names of what is not complete yet


def beside(path: Path) -> Path:
    """Where this process writes what is to become ``path``."""
    return path.with_name(f".{path.name}.{os.getpid()}{PART}")


def write_file(path: Path, data: str | bytes) -> None:
    """Write ``path``, or leave what was there as it was. Raises ``OSError`` (disk full, read-only, folder gone)."""
    part = beside(path)
    try:
        with part.open("wb") as file:
            file.write(data.encode() if isinstance(data, str) else data)
            file.flush()
            os.fsync(file.fileno())
        part.replace(path)
    except BaseException:
        part.unlink(missing_ok=True)
        raise
    flush(path.parent)


def flush(path: Path) -> None:
    """Flush a file or a directory to disk."""
    if os.name == "nt" and path.is_dir():  # Windows cannot, and need not
        return
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
