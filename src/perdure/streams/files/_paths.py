"""Which paths are read: regular files only, and in a folder only what does not lead out of it."""

from __future__ import annotations

from pathlib import Path

from perdure.streams._errors import FileError
from perdure.streams.files._errors import reading


def inside(folder: Path, entry: Path) -> Path:
    """``entry``, if it does not lead out of ``folder``."""
    if entry.is_symlink():
        with reading(entry, "this link"):
            leads_out = not entry.resolve().is_relative_to(folder.resolve())
        if leads_out:
            raise FileError(f"{entry}: this link leads out of {folder}: put the file itself there, or remove the link")
    return entry


def regular(path: Path) -> Path:
    """``path``, if it is a file that can be read again and again: no pipe, whose reader would wait, and no device."""
    if not path.is_file():
        raise FileError(f"{path}: no regular file: remove it, or put a file there")
    return path
