"""CSV with a header line, plain or gzipped; read from its beginning, so one chunk."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from perdure.streams._errors import FileError
from perdure.streams.files._cells import numbers, share_of_numbers, truths
from perdure.streams.files._columns import Columns, Types, column_types
from perdure.streams.files._errors import Unreadable, reading
from perdure.streams.files._lines import WholeLines, text_of

if TYPE_CHECKING:
    from perdure.streams.files._bad_rows import BadRows

MOSTLY = 0.9  # of a column's cells, if numbers, make it a feature with bad rows; of one that is asked for, half
GOOD_BEFORE = ("CSV parser got out of sync", "straddling object")


class CSV(Columns):
    """The rows of a CSV file.

    The first megabyte tells which columns are numeric; these are then read as float64 to the end, and keys as text, so
    that types do not depend on what stands at the beginning. Empty cells and NA, NaN, null are missing values.

    Where bad rows are taken note of, features are read as bytes, which are made numbers later, one by one; and rows
    that have too few or too many cells are there as rows without values.
    """

    def __init__(
        self, path: Path, keys: Sequence[str], features: Sequence[str] | None, bad: BadRows | None = None
    ) -> None:
        from pyarrow import csv

        ragged = csv.ParseOptions(invalid_row_handler=None if bad is None else lambda row: "skip")
        with (
            reading(path),
            csv.open_csv(text_of(path, lines=bad is not None), csv.ReadOptions(use_threads=False), ragged) as reader,
        ):
            types = column_types(path, reader.schema)
        if bad is not None:
            with reading(path):
                types = _mostly_numeric(path, types, keys, features or ())
        super().__init__(path, [path], types, keys, features, bad)
        self._types, self._keys = types, tuple(keys)

    def _read(self, names: Sequence[str], chunk: int) -> Iterator[Any]:
        import pyarrow
        from pyarrow import csv

        del chunk  # there is one
        if self.bad is None:
            number = pyarrow.float64()
            kinds = {name: kind if pyarrow.types.is_boolean(kind) else number for name, kind in self._types.items()}
        else:
            kinds = dict.fromkeys(self._types, pyarrow.binary())
        kinds |= dict.fromkeys(self._keys, pyarrow.string())
        options = csv.ConvertOptions(
            include_columns=list(names), column_types=kinds, strings_can_be_null=True, quoted_strings_can_be_null=False
        )
        serial = csv.ReadOptions(use_threads=False)  # else errors would not name the row
        ragged, text = _Ragged(self.bad), text_of(self.path, lines=self.bad is not None)
        try:
            with csv.open_csv(text, serial, ragged.options(), options) as reader:
                rows = 0
                for batch in reader:
                    whole = ragged.restored(rows, batch)
                    rows += len(whole)
                    self._check_rows(rows)
                    yield whole
        except pyarrow.ArrowInvalid as error:
            raise self._explain(error) from error
        ragged.tell()
        if self.bad is not None and isinstance(text, WholeLines) and text.cut:
            self.bad.lose(max(rows, len(self.bad)), None, "the compressed text is cut short")

    def _numeric(self, name: str, column: Any) -> Any:
        import pyarrow

        if self.bad is None:
            return column
        return truths(column) if pyarrow.types.is_boolean(self._types[name]) else numbers(column)

    def _is_good_before(self, error: Unreadable) -> bool:
        return error.why.startswith(GOOD_BEFORE)

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


class _Ragged:
    """Rows with too few or too many cells during one reading; without ``bad`` Arrow refuses them."""

    def __init__(self, bad: BadRows | None) -> None:
        self._bad = bad
        self._found: list[tuple[int, str]] = []  # of those to come, in the order of the file

    def options(self) -> Any:
        from pyarrow import csv

        return csv.ParseOptions(invalid_row_handler=None if self._bad is None else self._meet)

    def restored(self, first: int, batch: Any) -> Any:
        """``batch``, whose first row is ``first``, with rows of nulls where such rows were."""
        import pyarrow

        places = [row - first - k for k, (row, _) in enumerate(self._found)]  # rows of the batch before each
        places = [place for place in places if place < len(batch)]
        if not places:
            return batch
        self.tell(len(places))
        order = np.insert(np.arange(len(batch)), places, -1)
        return batch.take(pyarrow.array(order, mask=order < 0))

    def tell(self, count: int | None = None) -> None:
        """Take note of the first ``count`` of those found, or of all."""
        told, self._found = self._found[:count], [] if count is None else self._found[count:]
        for row, why in told:
            assert self._bad is not None
            self._bad.meet(row, np.ones(1, bool), lambda i, why=why: why)  # type: ignore[misc]

    def _meet(self, row: Any) -> str:
        self._found.append((row.number - 2, f"{row.actual_columns} cells where {row.expected_columns} are due"))
        return "skip"


def _mostly_numeric(path: Path, types: Types, keys: Sequence[str], features: Sequence[str]) -> Types:
    """``types`` with the columns of text that hold numbers but for a few cells as numbers, judged as all types are."""
    import pyarrow
    from pyarrow import csv

    text = [name for name, kind in types.items() if pyarrow.types.is_string(kind) and name not in keys]
    if not text:
        return types
    options = csv.ConvertOptions(
        include_columns=text, column_types=dict.fromkeys(text, pyarrow.binary()), strings_can_be_null=True
    )
    ragged = csv.ParseOptions(invalid_row_handler=lambda row: "skip")
    with csv.open_csv(text_of(path, lines=True), csv.ReadOptions(use_threads=False), ragged, options) as reader:
        first = reader.read_next_batch()
    shares = {name: share_of_numbers(first.column(name)) for name in text}
    found = [name for name in text if shares[name] >= (0.5 if name in features else MOSTLY)]
    return {**types, **dict.fromkeys(found, pyarrow.float64())}
