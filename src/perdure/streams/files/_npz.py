"""NumPy's .npz: one array of examples, one of labels. Nothing is unpickled. Read from its beginning, so one chunk."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any
from zipfile import ZipFile

import numpy as np

from perdure.streams._errors import FileError
from perdure.streams.files._errors import missing, numbered, reading
from perdure.streams.files._npy import read_header, read_rows
from perdure.streams.files._source import PIECE_BYTES, PIECE_ROWS, Array, Source

if TYPE_CHECKING:
    from perdure.streams.files._bad_rows import BadRows

VALUE_BYTES = 1 << 20  # of one class or domain


class NPZ(Source):
    """Rows of the array ``features`` (x by default), of any shape (N, ...).

    Images, that is uint8 of three or more dimensions, keep uint8. An array stored column by column (Fortran order) is
    read whole each time. Damage is refused even where bad rows are not: the checksum is that of the whole array, so no
    row before the place where reading fails is known to be good.
    """

    def __init__(
        self, path: Path, keys: Sequence[str], features: Sequence[str] | None, bad: BadRows | None = None
    ) -> None:
        names = ["x"] if features is None else list(features)
        if len(names) != 1:
            raise FileError(f"{path}: features={names}: an npz has one array of examples; name just one")
        with reading(path), ZipFile(path) as archive:
            present = [member.removesuffix(".npy") for member in archive.namelist()]
            for name in (*keys, *names):
                if name not in present:
                    raise missing(path, "array", name, present)
            x = read_header(path, archive, names[0], "uifb")
            rows, *of_one = x.shape
            self._key_bytes = 1
            for key in keys:
                header = read_header(path, archive, key, "uifbSU")
                if header.shape != (rows,):
                    raise FileError(
                        f"{path}: array {key!r} has shape {header.shape}: give one value for each of {rows} examples"
                    )
                if header.dtype.itemsize > VALUE_BYTES:
                    raise FileError(
                        f"{path}: array {key!r} holds {header.dtype}, text of any length, where classes or domains are "
                        "due: choose another array"
                    )
                self._key_bytes = max(self._key_bytes, header.dtype.itemsize)
        image = x.dtype == np.uint8 and len(of_one) >= 2
        super().__init__(path, [path], names, of_one, np.uint8 if image else np.float32, bad=bad)
        self._check_rows(rows)

    def values(self, names: Sequence[str]) -> Iterator[tuple[int, tuple[Any, ...]]]:
        import pyarrow

        count = max(1, min(PIECE_ROWS, PIECE_BYTES // self._key_bytes))
        readers = [numbered(self.path, map(pyarrow.array, read_rows(self.path, name, count))) for name in names]
        for pieces in zip(*readers, strict=True):
            yield pieces[0][0], tuple(values for _, values in pieces)

    def _examples(self, chunk: int) -> Iterator[tuple[int, Array]]:
        del chunk  # there is one
        for row, raw in numbered(self.path, read_rows(self.path, self.features[0], self.piece_rows)):
            with np.errstate(over="ignore", invalid="ignore"):
                x = raw.astype(self.dtype)
            finite = np.isfinite(x)
            if self.bad is not None or not finite.all():
                self._refuse(
                    row,
                    ~finite.reshape(len(x), -1).all(axis=1),
                    partial(self._trouble, raw, finite),
                    "features are finite float32 numbers; fill such places or leave out the rows",
                )
            yield row, x

    def _trouble(self, raw: Array, finite: Array, i: int) -> str:
        return f"array {self.features[0]!r} holds {raw[i][~finite[i]].flat[0]}"
