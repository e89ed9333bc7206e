"""Files read with a limit and written whole or not at all."""

from __future__ import annotations

import gzip
import os
import secrets
import zlib
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


def damaged(path: Path | str, why: object) -> ValueError:
    """The one error for files that are not what they should be."""
    return ValueError(f"{path} is damaged ({why}): delete it and load again, or put the original file there")


def read_bytes(path: Path) -> bytearray:
    """The content of a file, decompressed if named ``.gz``; ``ValueError`` where truncated, corrupt or too large."""
    data = bytearray()
    try:
        with gzip.open(path) if path.suffix == ".gz" else path.open("rb") as file:
            while chunk := file.read(2**20):
                data += chunk
                if len(data) > LIMIT:
                    raise damaged(path, f"more than {LIMIT} bytes")
    except (EOFError, gzip.BadGzipFile, zlib.error) as fault:
        raise damaged(path, fault) from fault
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
