"""Files read with a limit and written whole or not at all."""

from __future__ import annotations

import gzip
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

LIMIT = 256 * 2**20  # bytes after decompression: five times the largest file that is read whole


def cache_dir() -> Path:
    """``PERDURE_CACHE``, else ``perdure`` in the user's cache folder. It need not exist yet."""
    if own := os.environ.get("PERDURE_CACHE"):
        return Path(own).expanduser()
    return Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache").expanduser() / "perdure"


class DamagedError(ValueError):
    """A file that is not what it should be."""


def damaged(path: Path | str, why: object) -> DamagedError:
    """The one error for files that are not what they should be."""
    shown = "".join(c if c.isprintable() else repr(c)[1:-1] for c in " ".join(str(why).split())[:200])
    return DamagedError(f"{path} is damaged ({shown}): delete it and load again, or put the original file there")


@contextmanager
def reading(path: Path | str) -> Iterator[None]:
    """Turn whatever a reader raises into the one error; readers of damaged content raise anything.

    That the file is not there, or may not be read, stays as the system says it.
    """
    try:
        yield
    except (DamagedError, FileNotFoundError, PermissionError):
        raise
    except Exception as fault:
        raise damaged(path, str(fault) or type(fault).__name__) from fault


def read_bytes(path: Path, limit: int = LIMIT) -> bytearray:
    """The content of a file, decompressed if named ``.gz``; ``ValueError`` where truncated, corrupt or too large."""
    data = bytearray()
    with reading(path), gzip.open(path) if path.suffix == ".gz" else path.open("rb") as file:
        while chunk := file.read(2**20):
            data += chunk
            if len(data) > limit:
                raise damaged(path, f"more than {limit} bytes")
    return data


@contextmanager
def written_beside(path: Path) -> Iterator[BinaryIO]:
    """A new file beside ``path`` that takes its place when the block ends, and is gone if the block fails."""
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = path.with_name(f"{path.name}.{secrets.token_hex(4)}.part")
    try:
        with beside.open("xb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        beside.replace(path)
    finally:
        beside.unlink(missing_ok=True)
