"""A batch that cannot be read is one error that names file and place; with random access, the rest follows."""

import os
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
import torch
from PIL import Image
from pyarrow import parquet

from perdure import generator
from perdure.streams import ArrayData, ConcatData, DatasetData, FileError, from_file, from_folder
from perdure.streams.files import _source, _table

X = np.random.default_rng(0).integers(0, 256, (60, 1, 12, 12), dtype=np.uint8)
Y = np.arange(60) % 3


def shuffle():
    return generator(3, "order")


def goes_on_behind(sound, spoilt, size, bad, order):
    """Read ``spoilt`` as a loop does that leaves out what it cannot read; all but batch ``bad`` must come."""
    due = list(sound.batches(size, order()))
    start, found, said = 0, {}, []
    while start < len(due):
        batches = spoilt.batches(size, order(), start)
        try:
            for batch in batches:
                found[start] = batch
                start += 1
        except FileError as error:
            said.append(error)
            start += 1
    assert sorted(found) == [k for k in range(len(due)) if k != bad]
    for k, batch in found.items():
        assert torch.equal(batch.x, due[k].x)
        assert torch.equal(batch.y, due[k].y)
    assert len(said) == 1
    assert len(str(said[0]).splitlines()) == 1
    return said[0]


class Broken:
    """A dataset of which one item raises."""

    def __init__(self, error):
        self.error = error

    def __len__(self):
        return 60

    def __getitem__(self, i):
        if i == 17:
            raise self.error
        return X[i], Y[i]


@pytest.mark.parametrize(
    ("error", "why"),
    [
        (OSError("image file is truncated"), "OSError: image file is truncated"),
        (KeyError("label"), "KeyError: 'label'"),
        (RuntimeError("line\nbreak"), "RuntimeError: line break"),
        (ValueError("no pixels"), r"\(no pixels\)"),
    ],
)
@pytest.mark.parametrize("order", [lambda: None, shuffle])
def test_an_item_that_raises(error, why, order):
    spoilt, sound = DatasetData(Broken(error), targets=Y), ArrayData(X, Y)
    places = torch.arange(60) if order() is None else torch.randperm(60, generator=order())
    bad = places.tolist().index(17) // 8
    said = goes_on_behind(sound, spoilt, 8, bad, order)
    assert said.__cause__ is error
    with pytest.raises(FileError, match=rf"item 17 of the dataset cannot be read \(?.*{why}.*: repair it, or leave it"):
        list(spoilt.batches(60))


def test_an_item_that_raises_in_joined_data_and_while_labels_are_found():
    spoilt = ConcatData([DatasetData(Broken(OSError("gone")), targets=Y), ArrayData(X, Y)])
    goes_on_behind(ConcatData([ArrayData(X, Y)] * 2), spoilt, 8, 2, lambda: None)
    with pytest.raises(FileError, match="item 17 of the dataset cannot be read"):
        DatasetData(Broken(OSError("gone")))


def test_what_interrupts_is_no_bad_item():
    with pytest.raises(KeyboardInterrupt):
        list(DatasetData(Broken(KeyboardInterrupt()), targets=Y).batches(60))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Images of noise, more than a megabyte of them, by class."""
    for i, pixels in enumerate(np.kron(X, np.ones((1, 1, 13, 13), np.uint8))):
        (tmp_path / str(Y[i])).mkdir(exist_ok=True)
        Image.fromarray(pixels[0]).save(tmp_path / str(Y[i]) / f"{i}.png")
    return tmp_path


def shorten(file: Path) -> None:
    os.truncate(file, file.stat().st_size // 2)


@pytest.mark.parametrize(
    ("spoil", "why"),
    [
        (shorten, "this file cannot be read .*: it is damaged or cut short; write it again"),
        (lambda file: os.truncate(file, 0), "this file cannot be read .*cannot identify"),
        (Path.unlink, "this file cannot be read .No such file or directory.: check the disk"),
        (lambda file: Image.new("L", (4, 4)).save(file), "has 4×4 pixels, 156×156 when the stream was made"),
    ],
)
@pytest.mark.parametrize("order", [lambda: None, shuffle])
def test_an_image_that_is_spoilt_while_learning(folder, spoil, why, order):
    sound = from_folder(folder, test=folder, experiences=1).experiences[0].data
    data = from_folder(folder, test=folder, experiences=1, memory_limit_mb=1).experiences[0].data
    assert type(data).__name__ == "ImageData"
    victim = data._files[33]
    spoil(victim)
    places = torch.arange(60) if order() is None else torch.randperm(60, generator=order())
    said = goes_on_behind(sound, data, 7, places.tolist().index(33) // 7, order)
    assert str(victim) in str(said)
    with pytest.raises(FileError, match=f"{victim.name}.*{why}"):
        list(data.batches(60, order()))


def save(path: Path, n: int = 6000) -> Path:
    random = np.random.default_rng(0)
    x = random.normal(size=(n, 50)).astype(np.float32)
    columns: dict[str, Any] = {f"f{j}": x[:, j] for j in range(50)} | {"y": np.arange(n) % 3}
    if path.suffix == ".parquet":
        parquet.write_table(pa.table(columns), path, row_group_size=1000, use_dictionary=False)
    elif path.suffix == ".npz":
        np.savez(path, x=x, y=columns["y"])
    else:
        np.savetxt(path, np.c_[x, columns["y"]], "%.5g", ",", header=",".join(columns), comments="")
    return path


def large(path: Path) -> Any:
    """What is learnt from a file that is read again at each pass."""
    data = from_file(path, by="time", experiences=1, memory_limit_mb=1).experiences[0].data
    assert type(data).__name__ == "TableData"
    assert sum(map(len, data.batches(512))) == len(data)
    return data


def test_a_row_group_that_is_damaged_while_learning(tmp_path):
    path = save(tmp_path / "t.parquet")
    data = large(path)
    raw, stat = bytearray(path.read_bytes()), path.stat()
    start = parquet.ParquetFile(path).metadata.row_group(3).column(7).data_page_offset
    raw[start : start + 300] = b"\xff" * 300
    path.write_bytes(raw)
    os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns))  # as where the disk is at fault
    with pytest.raises(FileError, match=r"t\.parquet: rows 3000 to 3999 cannot be read"):
        list(data.batches(512))


@pytest.mark.parametrize("ending", [".parquet", ".csv", ".npz"])
@pytest.mark.parametrize("order", [lambda: None, shuffle])
@pytest.mark.parametrize(
    ("spoil", "why"),
    [
        (shorten, "cannot be read|has changed since the stream was made"),
        (Path.unlink, "this file cannot be read .No such file|cannot be read"),
        (lambda path: save(path, 6001), "has changed since the stream was made: make the stream again"),
    ],
)
def test_a_file_that_changes_between_and_within_passes(tmp_path, monkeypatch, ending, order, spoil, why):
    monkeypatch.setattr(_source, "PIECE_BYTES", 1 << 17)
    monkeypatch.setattr(_table, "WINDOW_BYTES", 1 << 18)
    path = save(tmp_path / f"t{ending}")
    sound = path.read_bytes()
    data = large(path)
    batches = data.batches(256, order())
    next(batches)
    spoil(path)
    with pytest.raises(FileError, match=f"{path.name}.*({why})"):
        list(batches)
    with pytest.raises(FileError, match=f"{path.name}.*({why})"):
        list(data.batches(256, order()))
    path.write_bytes(sound)


def test_rows_missing_at_the_end_are_noticed_even_if_nothing_is_left_to_read(tmp_path, monkeypatch):
    path = save(tmp_path / "t.csv")
    data = large(path)
    stat, lines = path.stat(), path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join(lines[:-1]) + b"\n" * len(lines[-1]))  # as long, one row less
    os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns))
    with pytest.raises(FileError, match=r"t\.csv has changed since the stream was made, 1 rows are missing"):
        list(data.batches(512))
