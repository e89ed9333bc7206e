"""The arrays in an npz, read piece by piece. Nothing is unpickled, and no size that a header declares is believed."""

from __future__ import annotations

import io
import math
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any
from zipfile import ZIP_DEFLATED, ZIP_STORED, ZipFile

import numpy as np
from numpy.lib import format as npy

from perdure.streams._errors import FileError
from perdure.streams.files._source import Array

HEADER_BYTES = 1 << 14  # NumPy itself reads 10,000 characters of one
BY_COLUMN_BYTES = 1 << 30  # an array stored column by column must be read whole


@dataclass(frozen=True)
class Header:
    """What is declared of an array, checked against the bytes that are announced for it."""

    shape: tuple[int, ...]
    by_column: bool
    dtype: np.dtype[Any]

    @property
    def row_bytes(self) -> int:
        """Bytes of one row."""
        return math.prod(self.shape[1:]) * self.dtype.itemsize

    @property
    def num_bytes(self) -> int:
        """Bytes of the array."""
        return math.prod(self.shape) * self.dtype.itemsize


def read_header(path: Path, archive: ZipFile, name: str, kinds: str) -> Header:
    """The header of an array that must be of one of the NumPy ``kinds``, have rows and be complete."""
    member = archive.getinfo(f"{name}.npy")
    if member.compress_type not in (ZIP_STORED, ZIP_DEFLATED):
        raise ValueError(f"array {name!r} is compressed in a way that NumPy does not use")
    with archive.open(member) as file:
        header = _header(file)
        if header.dtype.kind not in kinds:
            due = "numbers or strings" if "U" in kinds else "numbers"
            raise FileError(f"{path}: array {name!r} holds {header.dtype} where {due} are due: convert it by astype()")
        if not header.shape:
            raise FileError(f"{path}: array {name!r} is a single value: give one row for each example")
        if min(header.shape) < 0 or member.file_size != file.tell() + header.num_bytes:
            raise EOFError(f"array {name!r} of shape {header.shape} does not have {member.file_size} bytes")
    if header.by_column and len(header.shape) > 1 and header.num_bytes > BY_COLUMN_BYTES:
        raise FileError(
            f"{path}: array {name!r} is stored column by column and so read whole, but takes more than "
            f"{BY_COLUMN_BYTES >> 20} MB: save numpy.ascontiguousarray of it"
        )
    return header


def read_rows(path: Path, name: str, count: int) -> Iterator[Array]:
    """The rows of one array, ``count`` at a time."""
    with ZipFile(path) as archive, archive.open(f"{name}.npy") as file:
        header = _header(file)
        rows, *of_one = header.shape
        if header.by_column and of_one:
            whole = _array(file, header, header.num_bytes).reshape(header.shape, order="F")
            yield from (whole[start : start + count] for start in range(0, rows, count))
            return
        for start in range(0, rows, count):
            n = min(count, rows - start)
            yield _array(file, header, n * header.row_bytes).reshape(n, *of_one)


def _array(file: IO[bytes], header: Header, num_bytes: int) -> Array:
    raw = file.read(num_bytes)
    if len(raw) < num_bytes:
        raise EOFError("the array ends early")
    values = np.frombuffer(raw, header.dtype)
    return values.astype(str if header.dtype.kind == "S" else header.dtype.newbyteorder("="))


def _header(file: IO[bytes]) -> Header:
    """The header of a .npy, and ``file`` behind it."""
    head = io.BytesIO(file.read(HEADER_BYTES))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of dtypes and headers as they were written long ago
        read = npy.read_array_header_1_0 if npy.read_magic(head) == (1, 0) else npy.read_array_header_2_0
        header = Header(*read(head))
    file.seek(head.tell())
    return header
