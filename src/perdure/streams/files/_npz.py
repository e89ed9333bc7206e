"""NumPy's .npz: one array of examples, one of labels. Nothing is unpickled. Read from its beginning, so one chunk."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import IO, Any
from zipfile import ZipFile

import numpy as np
from numpy.lib import format as npy

from perdure.streams.files._errors import FileError, missing, numbered, reading
from perdure.streams.files._source import PIECE_ROWS, Array, Source


class NPZ(Source):
    """Rows of the array ``features`` (x by default), of any shape (N, ...).

    Images, that is uint8 of three or more dimensions, keep uint8. An array stored column by column (Fortran order) is
    read whole each time.
    """

    def __init__(self, path: Path, keys: Sequence[str], features: Sequence[str] | None) -> None:
        names = ["x"] if features is None else list(features)
        if len(names) != 1:
            raise FileError(f"{path}: features={names}: an npz has one array of examples; name just one")
        with reading(path), ZipFile(path) as archive:
            present = [member.removesuffix(".npy") for member in archive.namelist()]
            for name in (*keys, *names):
                if name not in present:
                    raise missing(path, "array", name, present)
            (rows, *of_one), dtype = _checked_header(path, archive, names[0], "uifb")
            for key in keys:
                shape, _ = _checked_header(path, archive, key, "uifbSU")
                if shape != (rows,):
                    raise FileError(
                        f"{path}: array {key!r} has shape {shape}: give one value for each of {rows} examples"
                    )
        image = dtype == np.uint8 and len(of_one) >= 2
        super().__init__(path, [path], names, of_one, np.uint8 if image else np.float32)

    def values(self, names: Sequence[str]) -> Iterator[tuple[int, tuple[Any, ...]]]:
        import pyarrow

        readers = [numbered(self.path, _rows(self.path, name, PIECE_ROWS)) for name in names]
        for pieces in zip(*readers, strict=True):
            yield pieces[0][0], tuple(pyarrow.array(values) for _, values in pieces)

    def _examples(self, chunk: int) -> Iterator[tuple[int, Array]]:
        del chunk  # there is one
        for row, raw in numbered(self.path, _rows(self.path, self.features[0], self.piece_rows)):
            with np.errstate(over="ignore"):
                x = raw.astype(self.dtype)
            if not np.isfinite(x).all():
                where = np.argwhere(~np.isfinite(x))[0].tolist()
                raise FileError(
                    f"{self.path}: array {self.features[0]!r} holds {raw[tuple(where)]} in row {row + where[0]} "
                    "(from 0): features are finite float32 numbers; fill such places or leave out the rows"
                )
            yield row, x


def _checked_header(path: Path, archive: ZipFile, name: str, kinds: str) -> tuple[tuple[int, ...], np.dtype[Any]]:
    """Shape and dtype of an array that must be of one of the NumPy ``kinds``, have rows and be complete."""
    member = archive.getinfo(f"{name}.npy")
    with archive.open(member) as file:
        shape, _, dtype = _header(file)
        if dtype.kind not in kinds:
            due = "numbers or strings" if "U" in kinds else "numbers"
            raise FileError(f"{path}: array {name!r} holds {dtype} where {due} are due: convert it by astype()")
        if not shape:
            raise FileError(f"{path}: array {name!r} is a single value: give one row for each example")
        if member.file_size != file.tell() + math.prod(shape) * dtype.itemsize:
            raise EOFError(f"array {name!r} of shape {shape} does not have {member.file_size} bytes")
    return shape, dtype


def _header(file: IO[bytes]) -> tuple[tuple[int, ...], bool, np.dtype[Any]]:
    """Shape, Fortran order, dtype."""
    read = npy.read_array_header_1_0 if npy.read_magic(file) == (1, 0) else npy.read_array_header_2_0
    return read(file)


def _rows(path: Path, name: str, count: int) -> Iterator[Array]:
    """The rows of one array, ``count`` at a time."""
    with ZipFile(path) as archive, archive.open(f"{name}.npy") as file:
        shape, by_column, dtype = _header(file)
        if by_column and len(shape) > 1:
            file.seek(0)
            whole = npy.read_array(file, allow_pickle=False)
            yield from (whole[start : start + count] for start in range(0, shape[0], count))
            return
        row_bytes = math.prod(shape[1:]) * dtype.itemsize
        for start in range(0, shape[0], count):
            rows = min(count, shape[0] - start)
            raw = file.read(rows * row_bytes)
            if len(raw) < rows * row_bytes:
                raise EOFError(f"{name}.npy ends early")
            values = np.frombuffer(raw, dtype).reshape(rows, *shape[1:])
            yield values.astype(str if dtype.kind == "S" else dtype.newbyteorder("="))
