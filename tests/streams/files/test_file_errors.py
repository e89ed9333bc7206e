"""Each way in which a file can be bad gives one line that says what is wrong and what to do."""

import gzip
import re
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from pyarrow import parquet

from perdure.streams.files import from_file

RNG = np.random.default_rng(0)
X, Y = RNG.normal(size=(3000, 3)).astype(np.float32), np.arange(3000) % 3
GOOD: dict[str, Any] = {"speed": X[:, 0].tolist(), "weight": X[:, 1].tolist(), "kind": Y.tolist()}


def write(folder: Path, ending: str, columns: dict[str, Any]) -> Path:
    path = folder / f"t{ending}"
    if ending == ".parquet":
        parquet.write_table(pa.table(columns), path, row_group_size=1000)
    elif ending == ".npz":
        x = [np.array(v) for k, v in columns.items() if k != "kind"]
        np.savez(path, x=np.stack(x, 1), kind=np.array(columns["kind"]))
    else:
        cells = zip(*columns.values(), strict=True)
        lines = [",".join("" if v is None else str(v) for v in row) for row in cells]
        path.write_text("\n".join([",".join(columns), *lines]) + "\n")
    return path


def replaced(column: str, row: int, value: Any) -> dict[str, Any]:
    return {**GOOD, column: [*GOOD[column][:row], value, *GOOD[column][row + 1 :]]}


def refused(path: Path, pattern: str, **options: Any) -> None:
    before = sorted((p, p.stat().st_mtime_ns) for p in path.parent.iterdir()) if path.parent.exists() else []
    with pytest.raises((ValueError, FileNotFoundError), match=pattern) as caught:
        from_file(path, **{"target": "kind", "experiences": 2, **options})
    assert len(str(caught.value).splitlines()) == 1
    assert before == (sorted((p, p.stat().st_mtime_ns) for p in path.parent.iterdir()) if before else [])


ENDINGS = (".parquet", ".csv", ".npz")


def test_file_missing(tmp_path: Path) -> None:
    refused(tmp_path / "none.parquet", "no such file or folder: check the path")
    refused(write(tmp_path, ".csv", GOOD), "no such file or folder", test=tmp_path / "none.csv")


def test_ending_unknown_and_empty_folder(tmp_path: Path) -> None:
    (tmp_path / "t.xlsx").write_text("x")
    refused(tmp_path / "t.xlsx", "give one of .parquet, .csv, .csv.gz, .npz")
    refused(tmp_path, r"no \*.parquet in this folder")


@pytest.mark.parametrize("ending", ENDINGS)
def test_column_missing_names_the_nearest(tmp_path: Path, ending: str) -> None:
    path = write(tmp_path, ending, GOOD)
    refused(path, "no (column|array) 'kinds': did you mean 'kind'", target="kinds")
    refused(path, "no (column|array) 'kin_': did you mean 'kind'", by="column:kin_")
    refused(path, "no (column|array) 'zzz': choose from '", features=["zzz"])
    if ending != ".npz":
        refused(path, "no column 'weigth': did you mean 'weight'", features=["speed", "weigth"])


@pytest.mark.parametrize("ending", ENDINGS)
def test_target_without_value(tmp_path: Path, ending: str) -> None:
    value = float("nan") if ending == ".npz" else None
    refused(write(tmp_path, ending, replaced("kind", 2100, value)), r"'kind' has no value \(NaN\) in row 2100")


@pytest.mark.parametrize("ending", ENDINGS)
@pytest.mark.parametrize("bad", [float("nan"), float("inf"), 1e300])
def test_feature_not_finite(tmp_path: Path, ending: str, bad: float, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("perdure.streams.files._source.PIECE_ROWS", 700)
    name = "'x'" if ending == ".npz" else "'weight'"
    path = write(tmp_path, ending, replaced("weight", 2222, bad))
    refused(path, rf"{name} holds (no value|nan|inf|1e\+300) in row 2222 .*fill")


def test_a_large_file_is_checked_before_learning(tmp_path: Path) -> None:
    n = 200_000
    columns = {"speed": np.zeros(n), "weight": np.arange(n), "kind": np.arange(n) % 2}
    bad = tmp_path / "bad.npz"
    columns["weight"] = np.where(np.arange(n) == 123_456, np.nan, 0)
    write(tmp_path, ".npz", columns).rename(bad)
    path = write(tmp_path, ".npz", {**columns, "weight": np.arange(n)})
    for options in ({}, {"test": path}):
        refused(bad, "'x' holds nan in row 123456", memory_limit_mb=1, **options)
    refused(path, "bad.npz: array 'x' holds nan in row 123456", memory_limit_mb=1, test=bad)


def test_strings_where_numbers_are_due(tmp_path: Path) -> None:
    bad = {**GOOD, "weight": ["heavy"] * 3000}
    for ending in (".parquet", ".csv"):
        refused(write(tmp_path, ending, bad), "'weight' holds string where numbers are due", features=["weight"])
    refused(write(tmp_path, ".npz", {"a": ["heavy"] * 3000, "kind": Y}), "'x' holds <U5 where numbers are due")
    refused(write(tmp_path, ".parquet", {"a": ["x", "y"], "kind": [0, 1]}), r"no numeric column .* 'a' \(string\)")


def test_a_string_far_down_a_csv(tmp_path: Path) -> None:
    n = 300_000
    weight: list[Any] = [1] * n
    weight[150_000], weight[250_000] = 0.5, "heavy"
    path = write(tmp_path, ".csv", {"speed": [2] * n, "weight": weight, "kind": np.arange(n) % 2})
    refused(path, r"column 'weight' holds 'heavy' in row 250000 .*where numbers are due")
    assert from_file(path, target="kind", features=["speed"], experiences=1).num_classes == 2


@pytest.mark.parametrize("ending", ENDINGS)
def test_one_class_only_and_no_rows(tmp_path: Path, ending: str) -> None:
    refused(
        write(tmp_path, ending, {**GOOD, "kind": [4] * 3000}), "'kind' has one class only, 4: give rows of at least two"
    )
    refused(write(tmp_path, ending, {k: np.array(v[:0]) for k, v in GOOD.items()}), "no rows|no numeric column")


@pytest.mark.parametrize("ending", ENDINGS)
def test_target_is_no_class(tmp_path: Path, ending: str) -> None:
    path = write(tmp_path, ending, {**GOOD, "kind": [*map(float, Y[:50]), 0.25, *map(float, Y[51:])]})
    refused(path, r"target 'kind' is 0.25 in row 50 .*whole numbers or strings")


def test_npz_that_does_not_fit(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", x=X, kind=Y[:-1])
    refused(tmp_path / "a.npz", r"'kind' has shape \(2999,\): give one value for each of 3000 examples")
    np.savez(tmp_path / "b.npz", x=X, kind=np.array(["a", None] * 1500, dtype=object))
    refused(tmp_path / "b.npz", "'kind' holds object where numbers or strings are due")
    np.savez(tmp_path / "c.npz", x=np.array(3.0), kind=Y)
    refused(tmp_path / "c.npz", "'x' is a single value")


def test_columns_called_alike(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("a,a,kind\n1,2,0\n1,2,1\n")
    refused(tmp_path / "t.csv", "more than one column is called 'a'")


def test_parts_that_differ(tmp_path: Path) -> None:
    folder = tmp_path / "parts"
    folder.mkdir()
    parquet.write_table(pa.table(GOOD), folder / "a.parquet")
    parquet.write_table(pa.table({k: v for k, v in GOOD.items() if k != "weight"}), folder / "b.parquet")
    refused(folder, "b.parquet: no column 'weight'")


def test_nothing_held_out(tmp_path: Path) -> None:
    path = write(tmp_path, ".csv", {**GOOD, "kind": [9, *Y[1:]]})
    refused(path, "class '9' has no row to (learn from|be judged on): add rows, or try another holdout=")
    refused(write(tmp_path, ".csv", GOOD), "has no row to be judged on", by="time", experiences=1000, holdout=0.01)


@pytest.mark.parametrize(
    ("options", "line"),
    [
        ({"by": "colour"}, 'by=\'colour\': give "classes", "time" or "column:NAME"'),
        ({"by": "column:kind"}, "by='column:kind' is the target: use by=\"classes\""),
        ({"by": "time", "task": True}, "tasks are groups of classes"),
        ({"by": "time", "order": "shuffled"}, "the order is that of the file"),
        ({"by": "time", "experiences": 1501}, "3000 rows in 1501 experiences: give experiences= from 1 to 1500"),
        ({"experiences": 0}, "experiences=0: give at least 1"),
        ({"experiences": 4}, "4 experiences of 3 classes"),
        ({"holdout": 1.0}, "holdout=1.0: give a share between 0 and 1"),
        ({"memory_limit_mb": 0}, "memory_limit_mb=0: give at least 1"),
        ({"order": [0, 1, 7]}, "no value of order=, '7'"),
        ({"order": [0, 1, 1]}, "exactly once"),
        ({"features": []}, "name at least one column"),
        ({"features": ["speed", "speed"]}, "name at least one column, and each once"),
        ({"features": ["kind"]}, "'kind' is the target or the by-column"),
    ],
)
def test_arguments_that_do_not_fit(tmp_path: Path, options: dict[str, Any], line: str) -> None:
    refused(write(tmp_path, ".parquet", GOOD), re.escape(line), **options)


def damaged(folder: Path, ending: str, edit: Any) -> Path:
    path = write(folder, ending.removesuffix(".gz"), GOOD)
    raw = path.read_bytes()
    path = folder / f"t{ending}"
    path.write_bytes(edit(gzip.compress(raw) if ending.endswith(".gz") else raw))
    return path


@pytest.mark.parametrize("ending", [".parquet", ".npz", ".csv.gz"])
def test_cut_short(tmp_path: Path, ending: str) -> None:
    for share in (0, 0.01, 0.5, 0.999):
        path = damaged(tmp_path, ending, lambda raw, share=share: raw[: int(len(raw) * share)])
        refused(path, rf"t{ending}: .*cannot be read .*damaged or cut short; write it again")


def test_a_csv_cut_short_within_a_row(tmp_path: Path) -> None:
    path = damaged(tmp_path, ".csv", lambda raw: raw[: raw.rindex(b",")])
    refused(path, r"cannot be read .*Row #3001: Expected 3 columns, got 2")


def test_damage_in_the_middle_names_the_rows(tmp_path: Path) -> None:
    path = write(tmp_path, ".parquet", GOOD)
    start = parquet.ParquetFile(path).metadata.row_group(1).column(1).data_page_offset
    raw = bytearray(path.read_bytes())
    raw[start + 30 : start + 600] = b"\xff" * 570
    path.write_bytes(raw)
    refused(path, r"t.parquet: rows 1000 to 1999 cannot be read")
    path = write(tmp_path, ".npz", GOOD)
    raw = bytearray(path.read_bytes())
    raw[4000] ^= 1  # the checksum of the archive tells
    path.write_bytes(raw)
    refused(path, r"t.npz: row 0 and after cannot be read .*CRC")
