"""CSV with a header line, plain or gzipped; read from its beginning, so one chunk."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from perdure.streams._errors import FileError
from perdure.streams.files._columns import Columns, column_types
from perdure.streams.files._errors import reading


class CSV(Columns):
    """The rows of a CSV file.

    The first megabyte tells which columns are numeric; these are then read as float64 to the end, and keys as text, so
    that types do not depend on what stands at the beginning. Empty cells and NA, NaN, null are missing values.
    """

    def __init__(self, path: Path, keys: Sequence[str], features: Sequence[str] | None) -> None:
        from pyarrow import csv

        with reading(path), csv.open_csv(path, csv.ReadOptions(use_threads=False)) as reader:
            types = column_types(path, reader.schema)
        super().__init__(path, [path], types, keys, features)
        self._types, self._keys = types, tuple(keys)

    def _read(self, names: Sequence[str], chunk: int) -> Iterator[Any]:
        import pyarrow
        from pyarrow import csv

        del chunk  # there is one
        kinds = {
            name: kind if pyarrow.types.is_boolean(kind) else pyarrow.float64() for name, kind in self._types.items()
        }
        kinds |= dict.fromkeys(self._keys, pyarrow.string())
        options = csv.ConvertOptions(
            include_columns=list(names), column_types=kinds, strings_can_be_null=True, quoted_strings_can_be_null=False
        )
        serial = csv.ReadOptions(use_threads=False)  # else errors would not name the row
        try:
            with csv.open_csv(self.path, serial, convert_options=options) as reader:
                rows = 0
                for batch in reader:
                    rows += len(batch)
                    self._check_rows(rows)
                    yield batch
        except pyarrow.ArrowInvalid as error:
            raise self._explain(error) from error

    def _explain(self, error: Exception) -> Exception:
        """A line in our words where a cell is not a number; else the error itself."""
        found = re.match(
            r"In CSV column #(\d+): Row #(\d+): CSV conversion error to \w+: invalid value '(.*)'", str(error)
        )
        if not found:
            return error
        name, row = list(self._types)[int(found[1])], int(found[2]) - 2
        return FileError(
            f"{self.path}: column {name!r} holds {found[3]!r} in row {row} (from 0) where numbers are due: "
            "encode it, or leave it out by features="
        )
