"""Opening a file of examples by the ending of its name, and reading its keys."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from perdure.streams._errors import FileError
from perdure.streams.files._bad_rows import BadRows
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


def open_source(path: Path, keys: Sequence[str], features: Sequence[str] | None, *, skip: bool) -> Source:
    """A reader of ``path`` in which ``keys`` and ``features`` were found; ``skip``: it takes note of bad rows."""
    if not path.exists():
        raise FileNotFoundError(f"{path}: no such file or folder: check the path")
    bad = BadRows(path) if skip else None
    if path.is_dir():
        return Parquet(path, keys, features, bad)
    for ending, reader in READERS.items():
        if path.name.lower().endswith(ending):
            return reader(regular(path), keys, features, bad)
    raise FileError(f"{path}: this ending is not known: give one of {', '.join(READERS)}, or a folder of Parquet parts")


def open_test(path: Path, keys: Sequence[str], learnt: Source) -> Source:
    """A reader of held-out examples like those of ``learnt``."""
    source = open_source(path, keys, learnt.features, skip=learnt.bad is not None)
    if (source.shape, source.dtype) != (learnt.shape, learnt.dtype):
        raise FileError(
            f"{path}: examples are {source.dtype} of shape {source.shape}, those of {learnt.path} {learnt.dtype} "
            f"of shape {learnt.shape}: make them alike"
        )
    return source


def read_values(source: Source, keys: Sequence[str]) -> list[Values]:
    """The values of the columns ``keys``, by one pass over these columns only.

    Bad rows are found before, by a pass over the features: what only they have is no class.
    """
    if source.bad is not None:
        for _ in source.examples():
            pass
    columns = [Values(source.path, key, source.bad) for key in keys]
    for row, arrays in source.values(keys):
        plain = []
        for column, array in zip(columns, arrays, strict=True):
            with reading(source.path, f"column {column.name!r}"):
                plain.append(column.plain(row, array))
        for column, array in zip(columns, plain, strict=True):
            with reading(source.path, f"column {column.name!r}"):
                column.add(row, array)
    if source.bad is not None:
        source.bad.check()
        for column in columns:
            column.pad(len(source.bad))
    if not len(columns[0]):
        raise FileError(f"{source.path}: no rows: give a file with examples")
    return columns


def stem(path: Path) -> str:
    """The name of a file without the endings known here."""
    name = path.name
    for ending in sorted(READERS, key=len, reverse=True):
        name = name[: -len(ending)] if name.lower().endswith(ending) else name
    return name
