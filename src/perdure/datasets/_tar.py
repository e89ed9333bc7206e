"""Files in a ``.tar.gz``, read without unpacking it: no path of the archive ever becomes one on disk."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path

from perdure.datasets._files import damaged, read_bytes, reading

BLOCK = 512
NAME, SIZE, CHECKSUM, KIND = slice(0, 100), slice(124, 136), slice(148, 156), slice(156, 157)
REGULAR = (b"0", b"\0")


def read_members(path: Path, names: Collection[str]) -> dict[str, bytes]:
    """The content of the regular files called ``names``, those that are there.

    Links, devices, long names and everything else is passed over; the whole has the bounds of ``read_bytes``.
    """
    data, found, at = read_bytes(path), {}, 0
    with reading(path):
        while any(header := bytes(data[at : at + BLOCK])):
            start = at + BLOCK
            if len(header) < BLOCK or _octal(header[CHECKSUM]) != _checksum(header):
                raise damaged(path, "no tar archive, or a broken one")
            size = _octal(header[SIZE])
            if size > len(data) - start:
                raise damaged(path, "it ends early")
            name = header[NAME].split(b"\0")[0].decode()
            if name in names and header[KIND] in REGULAR:
                found[name] = bytes(data[start : start + size])
            at = start + -(-size // BLOCK) * BLOCK
    return found


def _octal(field: bytes) -> int:
    digits = field.strip(b" \0") or b"0"
    if not digits.isdigit():  # a sign would lead backwards, without end
        raise ValueError(f"{digits!r} where an octal number is due")
    return int(digits, 8)


def _checksum(header: bytes) -> int:
    """The sum of all bytes, those of the sum itself taken as spaces."""
    return sum(header) - sum(header[CHECKSUM]) + 8 * ord(" ")
