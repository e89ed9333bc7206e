"""Parquet: a file, or a folder of parts in the order of their names. A chunk is a row group."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from itertools import accumulate
from pathlib import Path
from typing import TYPE_CHECKING, Any

from perdure.streams._errors import FileError
from perdure.streams.files._columns import Columns, Types, choose, column_types
from perdure.streams.files._errors import reading
from perdure.streams.files._paths import inside, regular

if TYPE_CHECKING:
    from perdure.streams.files._bad_rows import BadRows

BUFFER_BYTES = 1 << 20  # read ahead of each column


class Parquet(Columns):
    """The rows of one or several Parquet files, put end to end."""

    def __init__(
        self, path: Path, keys: Sequence[str], features: Sequence[str] | None, bad: BadRows | None = None
    ) -> None:
        self._keys = tuple(keys)
        parts = _parts(path) if path.is_dir() else [path]
        footers = [_footer(part) for part in parts]
        super().__init__(path, parts, footers[0][1], keys, features, bad)
        for part, (_, types) in zip(parts, footers, strict=True):
            choose(part, types, keys, self.features)
        self._groups = [(part, g) for part, (groups, _) in zip(parts, footers, strict=True) for g in range(len(groups))]
        *starts, self._rows = accumulate((rows for groups, _ in footers for rows in groups), initial=0)
        self.starts = tuple(starts)
        self._check_rows(self._rows)

    def _read(self, names: Sequence[str], chunk: int) -> Iterator[Any]:
        part, group = self._groups[chunk]
        with _open(part, self._keys) as file:
            for batch in file.iter_batches(self.piece_rows, row_groups=[group], columns=list(names)):
                yield batch.select(names)


def _open(part: Path, keys: Sequence[str] = ()) -> Any:
    """The file, whose text in the columns ``keys`` is not spelt out for each row: that can be of any length."""
    from pyarrow.parquet import ParquetFile

    # By default whole row groups are read ahead.
    return ParquetFile(
        part, pre_buffer=False, buffer_size=BUFFER_BYTES, page_checksum_verification=True, read_dictionary=list(keys)
    )


def _footer(part: Path) -> tuple[list[int], Types]:
    """The rows of each row group, and the type of each column."""
    with reading(part), _open(part) as file:
        groups = range(file.metadata.num_row_groups)
        return [file.metadata.row_group(group).num_rows for group in groups], column_types(part, file.schema_arrow)


def _parts(folder: Path) -> list[Path]:
    parts = [part for part in folder.glob("*.parquet") if not part.name.startswith((".", "_"))]
    for part in parts:
        regular(inside(folder, part))
    if not parts:
        raise FileError(f"{folder}: no *.parquet in this folder: give a file, or a folder of Parquet parts")
    return sorted(parts, key=_natural)


def _natural(part: Path) -> list[str | int]:
    """Part 10 after part 9: every second piece of the name is a number."""
    return [int(s) if i % 2 else s for i, s in enumerate(re.split(r"(\d+)", part.name))]
