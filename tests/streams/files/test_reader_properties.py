"""Every reader of files: sound content comes back to the bit, damaged content is read or refused in one line.

The examples are the same each time. To search further, with new ones: PERDURE_FUZZ=2000 pytest <this file>
"""

import csv
import gzip
import io
import os
import tempfile
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from pyarrow import parquet

from perdure.streams import from_file, from_folder
from perdure.streams.files._images import Form, ImageData

FUZZ = int(os.environ.get("PERDURE_FUZZ", "0"))
TABLES = (".parquet", ".csv", ".csv.gz", ".npz")
PICTURES = (".png", ".jpg", ".webp", ".bmp")


def examples(count: int) -> settings:
    return settings(max_examples=FUZZ or count, derandomize=not FUZZ, database=None)


# --- sound files

NUMBERS = st.floats(width=32, allow_nan=False, allow_infinity=False)
WORDS = st.text(st.characters(exclude_categories=["Cs", "Cc", "Zl", "Zp"]), max_size=8).map("k".__add__)


@st.composite
def tables(draw: st.DrawFn) -> tuple[np.ndarray[Any, Any], list[Any]]:
    """Rows of float32 (N, F) and a label for each."""
    kinds = draw(st.sampled_from([st.integers(-5, 300), st.integers(-(2**53), 2**53), WORDS]))
    classes = draw(st.lists(kinds, min_size=2, max_size=5, unique=True))
    labels = [*classes, *draw(st.lists(st.sampled_from(classes), max_size=25))]
    width = draw(st.integers(1, 4))
    row = st.lists(NUMBERS, min_size=width, max_size=width)
    return np.array([draw(row) for _ in labels], np.float32), labels


def save_table(path: Path, x: np.ndarray[Any, Any], labels: list[Any], rows: int = 7) -> Path:
    columns = {f"f{j}": x[:, j] for j in range(x.shape[1])}
    if path.name.endswith(".npz"):
        np.savez_compressed(path, x=x, y=np.array(labels))
    elif path.name.endswith(".parquet"):
        parquet.write_table(pa.table(columns | {"y": labels}), path, row_group_size=rows, write_page_checksum=False)
    else:
        text = io.StringIO()
        lines = csv.writer(text, lineterminator="\n")
        lines.writerow([*columns, "y"])
        lines.writerows([*map(repr, row), label] for row, label in zip(x.tolist(), labels, strict=True))
        raw = text.getvalue().encode()
        path.write_bytes(gzip.compress(raw) if path.name.endswith(".gz") else raw)
    return path


@pytest.mark.parametrize("ending", TABLES)
@examples(40)
@given(table=tables(), rows=st.integers(1, 30))
def test_a_table_comes_back_to_the_bit(ending: str, table: Any, rows: int) -> None:
    x, labels = table
    with tempfile.TemporaryDirectory() as folder:
        path = save_table(Path(folder) / f"t{ending}", x, labels, rows)
        stream = from_file(path, by="time", experiences=1, test=path)
    assert list(stream.classes) == [str(label) for label in sorted(set(labels))]
    for e in (*stream.experiences, *stream.evaluations):
        batches = list(e.data.batches(7))
        assert torch.cat([b.x for b in batches]).numpy().tobytes() == x.tobytes()
        assert [stream.classes[y] for b in batches for y in b.y] == [str(label) for label in labels]


@examples(60)
@given(
    data=st.data(),
    shape=st.lists(st.integers(1, 4), max_size=3),
    dtype=st.sampled_from(["u1", "i2", "<f4", ">f4", "f8", "f2", "?"]),
    order=st.sampled_from("CF"),
    packed=st.booleans(),
)
def test_an_array_of_any_kind_comes_back_to_the_bit(
    data: st.DataObject, shape: list[int], dtype: str, order: Any, packed: bool
) -> None:
    n = data.draw(st.integers(2, 9))
    raw = data.draw(st.binary(min_size=n * int(np.prod(shape)), max_size=n * int(np.prod(shape))))
    x = np.asarray(np.frombuffer(raw, np.uint8).reshape(n, *shape).astype(dtype), order=order)
    with tempfile.TemporaryDirectory() as folder:
        (np.savez_compressed if packed else np.savez)(Path(folder) / "t.npz", x=x, y=np.arange(n) % 2)
        stream = from_file(Path(folder) / "t.npz", by="time", experiences=1, test=Path(folder) / "t.npz")
    found = next(stream.experiences[0].data.batches(n)).x.numpy()
    assert found.dtype == (np.uint8 if dtype == "u1" and len(shape) >= 2 else np.float32)
    assert found.tobytes() == x.astype(found.dtype).tobytes(order="C")


@pytest.mark.parametrize("ending", [".png", ".bmp", ".webp"])
@examples(15)
@given(data=st.data(), height=st.integers(1, 9), width=st.integers(1, 9), mode=st.sampled_from(["L", "RGB"]))
def test_images_come_back_to_the_bit(ending: str, data: st.DataObject, height: int, width: int, mode: str) -> None:
    channels = len(mode) if mode == "RGB" or ending != ".webp" else 3  # WebP knows no grey
    size = height * width * len(mode)
    pixels = [data.draw(st.binary(min_size=size, max_size=size)) for _ in range(4)]
    with tempfile.TemporaryDirectory() as folder:
        for i, raw in enumerate(pixels):
            (Path(folder) / str(i % 2)).mkdir(exist_ok=True)
            image = Image.frombytes(mode, (width, height), raw)
            image.save(Path(folder) / str(i % 2) / f"{i}{ending}", lossless=True)
        stream = from_folder(folder, test=folder, experiences=1)
    x = next(stream.experiences[0].data.batches(4)).x
    assert x.shape == (4, channels, height, width)
    for found, i in zip(x, (0, 2, 1, 3), strict=True):
        due = np.frombuffer(pixels[i], np.uint8).reshape(height, width, len(mode)).transpose(2, 0, 1)
        assert (found.numpy() == due).all()


# --- damaged files


def damage(data: st.DataObject, raw: bytes) -> bytes:
    """``raw`` cut at any byte, with up to four bytes changed anywhere, or other bytes altogether."""
    kind = data.draw(st.sampled_from(["cut", "one byte", "some bytes", "both", "other"]))
    if kind == "other":
        return data.draw(st.binary(max_size=300))
    broken = bytearray(raw)
    for _ in range({"cut": 0, "one byte": 1}[kind] if kind in ("cut", "one byte") else data.draw(st.integers(1, 4))):
        start = data.draw(st.sampled_from([0, max(0, len(raw) - 1000)]))  # footers and directories are at the end
        at = data.draw(st.integers(start, len(raw) - 1))
        broken[at] ^= data.draw(st.integers(1, 255))
    return bytes(broken[: data.draw(st.integers(0, len(raw) - 1))] if kind in ("cut", "both") else broken)


def verdict(path: Path, read: Any) -> str:
    """What is said of a file, in one line that names it, or nothing if it can be read; never a warning."""
    with warnings.catch_warnings(record=True) as warned:
        warnings.simplefilter("always")
        try:
            read()
            said = ""
        except (ValueError, FileNotFoundError) as error:
            said = str(error)
            assert path.name in said
            assert len(said.splitlines()) == 1
            assert said.isprintable()
    assert [str(w.message) for w in warned] == []
    return said


def read_through(path: Path) -> None:
    stream = from_file(path, experiences=2)
    for e in (*stream.experiences, *stream.evaluations):
        assert sum(map(len, e.data.batches(512))) == len(e.data)


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """The bytes of a sound file of each ending."""
    folder = tmp_path_factory.mktemp("sound")
    x = np.random.default_rng(0).normal(size=(400, 3)).astype(np.float32)
    labels = ["fern", "moss", "lichen", "moss"] * 100
    made = {ending: save_table(folder / f"t{ending}", x, labels, 150).read_bytes() for ending in TABLES}
    np.savez_compressed(folder / "packed.npz", x=np.asfortranarray(x), y=np.arange(400) % 3)
    made["packed.npz"] = (folder / "packed.npz").read_bytes()
    pixels = np.random.default_rng(0).integers(0, 256, (12, 10, 3), dtype=np.uint8)
    for ending in PICTURES:
        Image.fromarray(pixels).save(folder / f"i{ending}")
        made[ending] = (folder / f"i{ending}").read_bytes()
    return made


@pytest.mark.parametrize("ending", [*TABLES, "packed.npz"])
@examples(120)
@given(data=st.data())
def test_a_damaged_table_is_read_or_refused_in_one_line(sound: Any, ending: str, data: st.DataObject) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"t{ending}"
        path.write_bytes(damage(data, sound[ending]))
        verdict(path, lambda: read_through(path))


@pytest.mark.parametrize("ending", PICTURES)
@examples(120)
@given(data=st.data())
def test_a_damaged_image_is_read_or_refused_in_one_line(sound: Any, ending: str, data: st.DataObject) -> None:
    with tempfile.TemporaryDirectory() as folder:
        for name in ("a/0", "a/1", "b/0", "b/1"):
            (Path(folder) / name).parent.mkdir(exist_ok=True)
            Path(folder, f"{name}{ending}").write_bytes(sound[ending])
        victim = Path(folder, f"b/1{ending}")
        victim.write_bytes(damage(data, sound[ending]))
        said = verdict(victim, lambda: from_folder(folder, experiences=2, size=8))
        lazy = ImageData([victim], [0], Form("RGB", 8, 8, True))
        assert bool(verdict(victim, lambda: list(lazy.batches(1)))) <= bool(said)
