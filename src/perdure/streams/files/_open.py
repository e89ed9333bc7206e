"""Opening a file of examples by the ending of its name, and reading its keys."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from perdure.streams._errors import FileError
from perdure.streams.files._csv import CSV
from perdure.streams.files._errors import reading
from perdure.streams.files._npz import NPZ
from perdure.streams.files._parquet import Parquet
from perdure.streams.files._paths import regular
from perdure.streams.files._source import Source
from perdure.streams.files._values import Values

READERS: dict[str, type[Parquet] | type[CSV] | type[NPZ]] = {
    ".parquet": Parquet,
    ".csv": CSV,
    ".csv.gz": CSV,
    ".npz": NPZ,
}


def open_source(path: Path, keys: Sequence[str], features: Sequence[str] | None) -> Source:
    """A reader of ``path`` in which ``keys`` and ``features`` were found."""
    if not path.exists():
        raise FileNotFoundError(f"{path}: no such file or folder: check the path")
    if path.is_dir():
        return Parquet(path, keys, features)
    for ending, reader in READERS.items():
        if path.name.lower().endswith(ending):
            return reader(regular(path), keys, features)
    raise FileError(f"{path}: this ending is not known: give one of {', '.join(READERS)}, or a folder of Parquet parts")


def open_test(path: Path, keys: Sequence[str], learnt: Source) -> Source:
    """A reader of held-out examples like those of ``learnt``."""
    source = open_source(path, keys, learnt.features)
    if (source.shape, source.dtype) != (learnt.shape, learnt.dtype):
        raise FileError(
            f"{path}: examples are {source.dtype} of shape {source.shape}, those of {learnt.path} {learnt.dtype} "
            f"of shape {learnt.shape}: make them alike"
        )
    return source


def read_values(source: Source, keys: Sequence[str]) -> list[Values]:
    """The values of the columns ``keys``, by one pass over these columns only."""
    columns = [Values(source.path, key) for key in keys]
    for row, arrays in source.values(keys):
        for column, array in zip(columns, arrays, strict=True):
            with reading(source.path, f"column {column.name!r}"):
                column.add(row, array)
    if not len(columns[0]):
        raise FileError(f"{source.path}: no rows: give a file with examples")
    return columns


def stem(path: Path) -> str:
    """The name of a file without the endings known here."""
    name = path.name
    for ending in sorted(READERS, key=len, reverse=True):
        name = name[: -len(ending)] if name.lower().endswith(ending) else name
    return name
