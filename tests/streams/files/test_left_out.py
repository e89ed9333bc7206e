"""``on_bad="skip"``: what cannot be learnt from is left out, all of it, nothing else, and told."""

import gzip
import itertools
import os
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from pyarrow import parquet

import perdure
from perdure.streams import Stream, from_file, from_folder
from perdure.streams.files._cells import numbers, truths

N, F = 5000, 64  # more than a megabyte of float32
X = np.random.default_rng(0).integers(0, 50, (N, F)).astype(np.float64) / 4
X[:, 0] = np.arange(N)  # each row says which it is
Y = np.arange(N) % 4
SITE = np.array(["north", "south"])[np.arange(N) // 2500]
BAD: dict[int, Any] = {250: None, 251: np.nan, 1200: np.inf, 3777: 1e300, 4999: -np.inf}  # feature 5 of these rows
NO_TARGET = (17, 4242)
NO_SITE = 2600
FORMS = ["t.csv", "t.csv.gz", "t.parquet", "parts", "t.npz"]


def write(path: Path, form: str, *, bad: bool) -> Path:
    """The table with or without what is wrong in it."""
    path = path / ("bad" if bad else "good") / form
    path.parent.mkdir(exist_ok=True)
    if form == "t.npz":
        x, y = X.copy(), Y.astype(float)
        if bad:
            x[list(BAD), 5] = [np.nan if value is None else value for value in BAD.values()]
            y[list(NO_TARGET)] = np.nan
        np.savez(path, x=x, y=y, site=SITE)
        return path
    columns: dict[str, list[Any]] = {f"f{j}": X[:, j].tolist() for j in range(F)} | {
        "y": Y.tolist(),
        "site": SITE.tolist(),
    }
    if bad:
        for row, value in BAD.items():
            columns["f5"][row] = value
        for row in NO_TARGET:
            columns["y"][row] = None
        columns["site"][NO_SITE] = None
    table = pa.table(columns)
    if form == "parts":
        path.mkdir()
        parquet.write_table(table[:2100], path / "p1.parquet", row_group_size=700)
        parquet.write_table(table[2100:], path / "p2.parquet", row_group_size=700)
    elif form == "t.parquet":
        parquet.write_table(table, path, row_group_size=900)
    else:
        if bad:  # a word where numbers are due, and rows of another length
            columns["f5"] = [str(v) if v is not None else "" for v in columns["f5"]]
            columns["f5"][3000] = "n.a. yet"
            table = pa.table(columns)
        pa.csv.write_csv(table, path.with_name("t"), pa.csv.WriteOptions(quoting_style="none"))
        lines = path.with_name("t").read_bytes().splitlines(keepends=True)
        if bad:
            lines[1 + 3100], lines[1 + 3101] = b"1,2\n", lines[1 + 3101].replace(b"\n", b",1\n")
        text = b"".join(lines)
        path.write_bytes(gzip.compress(text) if form.endswith("gz") else text)
    return path


def gone(form: str, by: str) -> set[int]:
    rows = {*BAD, *NO_TARGET}
    if by == "column:site" and form != "t.npz":
        rows.add(NO_SITE)
    return rows | ({3000, 3100, 3101} if "csv" in form else set())


def in_order(data: Any, seed: int | None = None) -> list[tuple[int, bytes, int]]:
    generator = None if seed is None else torch.Generator().manual_seed(seed)
    batches = list(data.batches(100, generator))
    return [(int(x[0]), x.tobytes(), int(y)) for b in batches for x, y in zip(b.x.numpy(), b.y.tolist(), strict=True)]


def read(path: Path, by: str = "classes", **options: Any) -> Stream:
    extra = {"features": [f"f{j}" for j in range(F)]} if path.suffix != ".npz" else {}
    return from_file(path, by=by, experiences=2, **extra | options)


@pytest.mark.parametrize("limit", [512, 1])
@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("by", ["classes", "column:site"])
def test_what_stays_is_what_it_was(tmp_path: Path, form: str, by: str, limit: int) -> None:
    """Bit for bit the stream of the same rows without faults, less the faulty rows; in memory and in pieces."""
    without = gone(form, by)
    whole = read(write(tmp_path, form, bad=False), by)
    left = read(write(tmp_path, form, bad=True), by, on_bad="skip", memory_limit_mb=limit)
    for a, b in zip((*whole.experiences, *whole.evaluations), (*left.experiences, *left.evaluations), strict=True):
        expected = [row for row in in_order(a.data) if row[0] not in without]
        assert in_order(b.data) == expected
        assert sorted(in_order(b.data, seed=3)) == expected
        assert len(b.data) == len(expected)
        assert (a.classes, a.name) == (b.classes, b.name)
    (note,) = [note for note in left.notes if note.startswith("Left out: ")]
    assert note.startswith(f"Left out: {len(without)} of {N} rows that cannot be learnt from (row 17: ")
    assert "row 250: " in note
    assert "row 251: " in note
    assert note.count("row ") == 3
    assert note.endswith("; ...).")


@pytest.mark.parametrize("limit", [512, 1])
@pytest.mark.parametrize("form", FORMS)
def test_parts_in_time_are_equal_in_what_stays(tmp_path: Path, form: str, limit: int) -> None:
    rows = [row for row in range(N) if row not in gone(form, "time")]
    half = (len(rows) + 1) // 2
    held = {row for e in read(write(tmp_path, form, bad=False)).evaluations for row, _, _ in in_order(e.data)}
    left = read(write(tmp_path, form, bad=True), "time", on_bad="skip", memory_limit_mb=limit)
    assert [e.name for e in left.experiences] == [f"rows 0–{rows[half - 1]}", f"rows {rows[half]}–{rows[-1]}"]
    for k, part in enumerate((rows[:half], rows[half:])):
        assert [row for row, _, _ in in_order(left.experiences[k].data)] == [r for r in part if r not in held]
        assert [row for row, _, _ in in_order(left.evaluations[k].data)] == [r for r in part if r in held]


@pytest.mark.parametrize("form", FORMS)
def test_refused_unless_asked_for(tmp_path: Path, form: str) -> None:
    with pytest.raises(ValueError, match=r"row 17 \(from 0\)|Expected 66 columns|numbers are due"):
        read(write(tmp_path, form, bad=True), features=["x"] if form == "t.npz" else None)
    with pytest.raises(ValueError, match='"raise" or "skip"'):
        read(write(tmp_path, "t.npz", bad=False), on_bad="drop")


def test_a_file_without_faults_is_what_it_is_without_the_option(tmp_path: Path) -> None:
    for form in FORMS:
        path = write(tmp_path, form, bad=False)
        plain, asked = read(path), read(path, on_bad="skip")
        assert plain.notes == asked.notes
        assert [in_order(e.data) for e in plain.experiences] == [in_order(e.data) for e in asked.experiences]


def test_a_class_that_only_bad_rows_have_is_none(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_text("a,y\n" + "nan,rare\n" + "1,b\n2,c\n" * 20)
    assert from_file(path, experiences=2, on_bad="skip").classes == ("b", "c")


def test_what_is_wrong_with_all_of_it_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_text("a,y\n" + "1,0\nnan,1\nnan,2\n" * 10)
    with pytest.raises(ValueError, match=r"20 of 30 rows cannot be used \(row 1: .*more than half"):
        from_file(path, experiences=1, on_bad="skip")
    path.write_text("a,y\n" + "1,0\nnan,1\n" * 10)
    with pytest.raises(ValueError, match="one class only, 0"):
        from_file(path, experiences=1, on_bad="skip")
    path.write_text("a,y\n" + "nan,1\n1,0.5\n2,1\n")
    with pytest.raises(ValueError, match=r"target 'y' is 0.5 in row 1 \(from 0\)"):
        from_file(path, experiences=1, on_bad="skip")
    with pytest.raises(ValueError, match="no column 'z'"):
        from_file(path, target="z", on_bad="skip")


def test_a_test_file_loses_bad_rows_and_unknown_labels(tmp_path: Path) -> None:
    learnt, judged = tmp_path / "t.csv", tmp_path / "judged.csv"
    learnt.write_text("a,y\n" + "1,b\n2,c\n" * 20)
    judged.write_text("a,y\n10,b\n11,c\n12,new\n,b\n14,\n15,c\n16,c\n")
    stream = from_file(learnt, experiences=1, test=judged, on_bad="skip")
    assert [row for row, _, _ in in_order(stream.evaluations[0].data)] == [10, 11, 15, 16]
    assert stream.notes[-1].startswith("Left out: 3 of 7 rows of judged.csv that cannot be learnt from (row 2: column")
    assert "'new', which does not occur in the file that is learnt from" in stream.notes[-1]
    judged.write_text("a,y\n10,d\n11,d\n12,b\n")
    with pytest.raises(ValueError, match=r"judged\.csv: 2 of 3 rows"):
        from_file(learnt, experiences=1, test=judged, on_bad="skip")


# --- what cannot be read


@pytest.mark.parametrize("limit", [512, 1])
@pytest.mark.parametrize(("group", "start", "stop"), [(2, 1800, 2700), (5, 4500, 5000)])
def test_a_damaged_page_costs_the_rest_of_its_row_group(
    tmp_path: Path, group: int, start: int, stop: int, limit: int
) -> None:
    path = write(tmp_path, "t.parquet", bad=False)
    good = read(path)
    at = parquet.ParquetFile(path).metadata.row_group(group).column(5).data_page_offset
    content = bytearray(path.read_bytes())
    content[at : at + 40] = b"\xff" * 40
    path.write_bytes(content)
    with pytest.raises(ValueError, match=f"rows {start} to {stop - 1} cannot be read"):
        read(path)
    left = read(path, on_bad="skip", memory_limit_mb=limit)
    for a, b in zip((*good.experiences, *good.evaluations), (*left.experiences, *left.evaluations), strict=True):
        assert in_order(b.data) == [row for row in in_order(a.data) if not start <= row[0] < stop]
    assert left.notes[-1].startswith(
        f"Left out: {stop - start} of {N} rows that cannot be learnt from (rows {start} to {stop - 1}: cannot be read ("
    )


@pytest.mark.parametrize("limit", [512, 1])
def test_a_gzip_cut_short_gives_its_whole_lines(tmp_path: Path, limit: int) -> None:
    path = write(tmp_path, "t.csv.gz", bad=False)
    good = {row[0]: row for part in (read(path).experiences + read(path).evaluations) for row in in_order(part.data)}
    path.write_bytes(path.read_bytes()[: path.stat().st_size * 3 // 4])
    with pytest.raises(ValueError, match="cannot be read"):
        read(path)
    found = []
    for _ in range(3):  # Arrow reads ahead: how far it came must not depend on chance
        left = read(path, on_bad="skip", memory_limit_mb=limit)
        found.append(sorted(row for e in (*left.experiences, *left.evaluations) for row in in_order(e.data)))
    stop = len(found[0])
    assert N // 2 < stop < N * 9 // 10
    assert found[0] == found[1] == found[2] == [good[row] for row in range(stop)]
    assert (
        f"the first {stop} rows, and all after them, that cannot be learnt from (row {stop} and after" in left.notes[-1]
    )


def test_archives_with_one_checksum_for_all_are_refused(tmp_path: Path) -> None:
    """Whatever comes before the place where reading fails may be wrong as well."""
    for form in ("t.npz", "t.csv.gz"):
        path = write(tmp_path, form, bad=False)
        content = bytearray(path.read_bytes())
        content[len(content) // 2] ^= 0xFF
        path.write_bytes(content)
        with pytest.raises(ValueError, match="cannot be read"):
            read(path, on_bad="skip")


def test_a_file_that_changes_is_not_read_on(tmp_path: Path) -> None:
    path = write(tmp_path, "t.csv", bad=True)
    stream = read(path, on_bad="skip", memory_limit_mb=1)
    path.write_bytes(path.read_bytes().replace(b"n.a. yet", b"0"))
    with pytest.raises(ValueError, match="has changed since the stream was made"):
        in_order(stream.experiences[0].data)
    stream = read(path, on_bad="skip", memory_limit_mb=1)
    times = path.stat().st_mtime_ns
    path.write_bytes(path.read_bytes().replace(b"\n4000.0,", b"\nfourth,").replace(b"\n4000,", b"\nword,"))
    os.utime(path, ns=(times, times))  # nothing but a row that has become bad tells
    with pytest.raises(ValueError, match="has changed since the stream was made"):
        in_order(stream.experiences[0].data)


# --- cells


@given(st.text("0123456789+-.eE xan", max_size=8) | st.floats().map(str))
def test_cells_are_numbers_where_arrow_takes_them_for_such(cell: str) -> None:
    try:
        text = f'a,b\n"{cell}",1\n'.encode()
        options = pa.csv.ConvertOptions(column_types={"a": pa.float64()}, null_values=[])
        expected = pa.csv.read_csv(pa.BufferReader(text), convert_options=options)["a"][0].as_py()
    except pa.ArrowInvalid:
        expected = None
    found = numbers(pa.array([cell.encode()], pa.binary()))[0].as_py()
    assert found == expected or (found is None and not np.isfinite(expected))


def test_cells_of_any_bytes() -> None:
    cells = pa.array([b"\xff1", b"1\x00", b"", None, b" 2\t", b"3\n"], pa.binary())
    assert numbers(cells).to_pylist() == [None, None, None, None, 2.0, None]
    assert truths(pa.array([b"true", b"0", b"maybe", None])).to_pylist() == [True, False, None, None]


def test_a_column_of_numbers_with_few_words_is_a_feature(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_text("a,code,y\n" + "1,7,0\n2,8,1\n3,V9,0\n4,9,1\n" * 10 + "x,7,0\n")
    stream = from_file(path, experiences=1, on_bad="skip")
    assert stream.notes[-2:] == (
        "Columns left out: code.",
        "Left out: 1 of 41 rows that cannot be learnt from (row 40: column 'a' holds 'x').",
    )
    assert "10 of 41 rows" in from_file(path, features=["code"], experiences=1, on_bad="skip").notes[-1]


# --- images


def photos(folder: Path) -> Path:
    for k, kind in enumerate(("dark", "light")):
        (folder / kind).mkdir(parents=True)
        for i in range(20):
            Image.fromarray(np.full((40, 40, 3), 90 * k + i, np.uint8)).save(folder / kind / f"{i:02}.png")
    return folder


@pytest.mark.parametrize("limit", [512, 1])
def test_images_that_cannot_be_decoded_are_left_out(tmp_path: Path, limit: int, monkeypatch: Any) -> None:
    size = 100 if limit == 1 else None  # more than a megabyte, decoded when wanted
    folder = photos(tmp_path / "photos")
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 2000)
    (folder / "dark/00.png").write_bytes((folder / "dark/00.png").read_bytes()[:60])  # the first: it tells no size
    (folder / "dark/03.png").write_bytes(b"no image")
    Image.new("RGB", (99, 99)).save(folder / "light/19.png")
    with pytest.raises(ValueError, match=r"(00|03|19)\.png"):
        from_folder(folder, experiences=2, size=size, memory_limit_mb=limit)
    left = from_folder(folder, experiences=2, size=size, memory_limit_mb=limit, on_bad="skip")
    assert left.notes[-1].startswith(f"Left out: 3 of 40 images that cannot be read ({folder}/dark/00.png: ")
    assert f"{folder}/light/19.png: more than 2000 pixels" in left.notes[-1]
    for name in ("dark/00.png", "dark/03.png", "light/19.png"):
        (folder / name).unlink()
    clean = from_folder(folder, experiences=2, size=size, memory_limit_mb=limit)
    for a, b in zip((*clean.experiences, *clean.evaluations), (*left.experiences, *left.evaluations), strict=True):
        expected, found = (list(e.data.batches(7, torch.Generator().manual_seed(1))) for e in (a, b))
        assert len(expected) == len(found)
        assert all(torch.equal(p.x, q.x) and torch.equal(p.y, q.y) for p, q in zip(expected, found, strict=True))


def test_folders_of_mostly_bad_images_are_refused(tmp_path: Path) -> None:
    folder = photos(tmp_path / "photos")
    for i in range(20):
        (folder / f"dark/{i:02}.png").write_bytes(b"")
    with pytest.raises(ValueError, match="dark: no image here can be read"):
        from_folder(folder, experiences=2, on_bad="skip")
    (folder / "light/00.png").write_bytes(b"")
    with pytest.raises(ValueError, match="21 of 40 images cannot be used"):
        from_folder(folder, experiences=2, on_bad="skip")


# --- learning


class Killed(Exception):
    """Stands for a process that ends."""


@pytest.mark.parametrize("limit", [512, 1])
def test_a_run_goes_on_to_the_same_weights(tmp_path: Path, limit: int) -> None:
    path = write(tmp_path, "t.csv", bad=True)

    def learn(folder: str, stop: int | None = None) -> str:
        torch.manual_seed(0)
        model = torch.nn.Sequential(torch.nn.BatchNorm1d(F), torch.nn.Linear(F, 4))
        learner = perdure.build("finetune", model, lambda p: torch.optim.SGD(p, lr=0.01), seed=0)
        observe = learner.observe
        updates = itertools.count()

        def observe_until(*args: Any, **options: Any) -> Any:
            if next(updates) == stop:
                raise Killed
            return observe(*args, **options)

        learner.observe = observe_until
        stream = read(path, "time", on_bad="skip", memory_limit_mb=limit)
        checkpoints = perdure.Checkpoints(tmp_path / folder, every=7)
        return perdure.run(learner, stream, batch_size=64, evaluate_every=0, checkpoints=checkpoints).weights_sha256

    straight = learn("a")
    with pytest.raises(Killed):
        learn("b", stop=40)
    assert any((tmp_path / "b").iterdir())
    assert learn("b") == straight
