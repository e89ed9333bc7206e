"""Data sets from strangers: nothing runs, no path leaves its folder, nothing grows past its bounds, one line if bad.

The properties at the end try the same examples each time. To search further: PERDURE_FUZZ=2000 pytest <this file>
"""

import dataclasses
import gzip
import io
import os
import pickle
import struct
import sys
import tarfile
import tempfile
import time
import tracemalloc
import warnings
import zipfile
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from perdure.datasets._catalogue import CATALOGUE
from perdure.datasets._cifar import _strips, read_archive, read_pickles
from perdure.datasets._files import read_bytes
from perdure.datasets._idx import read_idx
from perdure.datasets._pickles import read_pickle
from perdure.datasets._tables import read_columns, read_csv
from perdure.datasets._tar import read_members

FUZZ = int(os.environ.get("PERDURE_FUZZ", "0"))
INFO = dataclasses.replace(CATALOGUE["cifar100"], classes=("apple", "worm"), train_size=4, test_size=4)


def examples(count: int) -> settings:
    return settings(max_examples=FUZZ or count, derandomize=not FUZZ, database=None)


@contextmanager
def refused(pattern: str, megabytes: float = 30, seconds: float = 15) -> Any:
    """One line, reached with little memory and in little time."""
    tracemalloc.start()
    started = time.monotonic()
    try:
        with pytest.raises(ValueError, match=pattern) as caught:
            yield
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert str(caught.value).isprintable()
    assert peak < megabytes * 2**20
    assert time.monotonic() - started < seconds


# --- pickles


class Runs:
    """Makes a folder when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> Any:
        return os.mkdir, (str(self.path),)


def test_pythons_unpickler_is_nowhere_in_the_library() -> None:
    source = Path(sys.modules["perdure.datasets._pickles"].__file__ or "").parents[1]
    words = ("import pickle", "from pickle", "torch.load(", "joblib", "allow_pickle=True", "shelve", "marshal")
    found = [f"{path.name}: {word}" for path in source.rglob("*.py") for word in words if word in path.read_text()]
    assert found == []


@pytest.mark.parametrize("protocol", range(6))
def test_no_protocol_runs_anything(tmp_path: Path, protocol: int) -> None:
    marker = tmp_path / "ran"
    content = pickle.dumps({b"data": Runs(marker)}, protocol=protocol)
    with refused("train is damaged"):
        read_pickle("train", content)
    assert not marker.exists()


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (b"\x80\x02(S'ls'\nios\nsystem\n.", "operation b'S'"),  # the old way to call
        (b"\x80\x02cos\nsystem\nU\x02ls\x85R.", "it asks for os.system"),
        (b"\x80\x02cbuiltins\neval\nU\x011\x85R.", "it asks for builtins.eval"),
        (b"\x80\x04\x8c\x02os\x8c\x06system\x93.", "operation"),  # a name made of two strings
        (b"\x80\x02\x82\x01.", "operation"),  # a registered extension
        (b"\x80\x02cnumpy\nndarray\n)\x81.", "operation"),  # __new__
        (b"\x80\x02cnumpy\nndarray\n}U\x09__class__U\x01xsb.", "a dict where a tuple is due"),  # attributes
        (b"\x80\x02]K\x01\x85b.", "a state for a list"),
        (b"\x80\x02U\x02ls\x85R.", "pop from empty list"),
        (b"\x80\x02U\x02lsU\x02ls\x85R.", "a bytes where a Name is due"),
    ],
)
def test_ways_to_call_something_are_refused(content: bytes, why: str) -> None:
    with refused(f"train is damaged .*{why}"):
        read_pickle("train", content)


def nested(depth: int) -> bytes:
    """A tuple in a tuple in a tuple."""
    return b")" + b"\x85" * depth


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (b"\x80\x02T\xff\xff\xff\xffshort.", "it ends early"),  # four gigabytes declared
        (b"\x80\x03B\xff\xff\xff\x7fshort.", "it ends early"),
        (b"\x80\x04\x8e" + b"\xff" * 8 + b".", "operation"),
        (b"\x80\x02]r\xff\xff\xff\x7f0.", "operation"),  # a memo of two billion places
        (b"\x80\x02}" + nested(200_000) + b"K\x01s.", "a tuple as a key"),  # to hash it recurses that deep
        (b"\x80\x02}]K\x01s.", "a list as a key"),
        (b"\x80\x02" + b"K\x01" * 1_000_000 + b".", "more than 1000000 operations"),
        (b"\x80\x02\x8a\xff" + b"\xff" * 40 + b".", "it ends early"),
    ],
)
def test_pickles_that_would_fill_memory_or_stack(content: bytes, why: str) -> None:
    with refused(f"train is damaged .*{why}", megabytes=100):
        read_pickle("train", content)


def official(labels: bytes, names: bytes = b"]", data: bytes = b"]") -> bytes:
    return b"\x80\x02}(U\x04data" + data + b"U\x0bfine_labels" + labels + b"U\x09filenames" + names + b"u."


def laughs(count: int) -> bytes:
    """A list that holds twice a list that holds twice ...: small, but endless to compare or to show."""
    return b"]K\x01a" + b"".join(b"q\x01]h\x01ah\x01a" for _ in range(count))


@pytest.mark.parametrize(
    "labels", [b"](" + laughs(60) + laughs(60) + b"e", b"]" + nested(100_000) + b"a", b"}", b"]U\x01aa"]
)
def test_labels_that_would_never_compare(tmp_path: Path, labels: bytes) -> None:
    (tmp_path / "train").write_bytes(official(labels, labels))
    with refused("train is damaged .not a CIFAR-100 file", megabytes=100):
        read_pickles(INFO, (tmp_path / "train", tmp_path / "train"))


TABLE = b"cnumpy.core.multiarray\n_reconstruct\ncnumpy\nndarray\nK\x00\x85U\x01b\x87R"
DTYPE = b"cnumpy\ndtype\nU\x02u1K\x00K\x01\x87R"


@pytest.mark.parametrize(
    ("shape", "raw"),
    [
        (b"(J\xff\xff\xff\x7fJ\xff\xff\xff\x7ft", b"U\x00"),
        (b"(J\xff\xff\xff\xffJ\xff\xff\xff\xfft", b"U\x01a"),  # -1 times -1
        (b"K\x02\x85", b"U\x01a"),
        (b"U\x01a\x85", b"U\x01a"),
        (b"K\x01\x85", b"K\x01"),
        (b"K\x01", b"U\x01a"),
    ],
)
def test_shapes_are_not_believed(shape: bytes, raw: bytes) -> None:
    with refused("train is damaged .an array (of 1|of 0|without)"):
        read_pickle("train", b"\x80\x02" + TABLE + b"(K\x01" + shape + DTYPE + b"\x89" + raw + b"tb.")


# --- tar


def tar(path: Path, *members: tuple[tarfile.TarInfo, bytes], form: int = tarfile.GNU_FORMAT) -> Path:
    with tarfile.open(path, "w:gz", format=form) as archive:
        for member, content in members:
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    return path


def member(name: str, kind: bytes = tarfile.REGTYPE, target: str = "") -> tarfile.TarInfo:
    made = tarfile.TarInfo(name)
    made.type, made.linkname = kind, target
    return made


def test_no_path_of_an_archive_becomes_one_on_disk(tmp_path: Path) -> None:
    folder = tmp_path / "data" / "cifar100"
    folder.mkdir(parents=True)
    names = ("../../train", "/tmp/train", "cifar-100-python/../../train", "cifar-100-python/./train", "train")
    path = tar(folder / "a.tar.gz", *((member(name), b"evil") for name in names))
    before = sorted(tmp_path.rglob("*"))
    with refused("cifar-100-python/train or test is missing"):
        read_archive(INFO, (path,))
    assert sorted(tmp_path.rglob("*")) == before


@pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.CHRTYPE, tarfile.FIFOTYPE, tarfile.DIRTYPE])
def test_what_is_no_regular_file_is_passed_over(tmp_path: Path, kind: bytes) -> None:
    names = [f"cifar-100-python/{part}" for part in ("train", "test")]
    path = tar(tmp_path / "a.tar.gz", *((member(name, kind, "/etc/passwd"), b"") for name in names))
    with refused("is missing"):
        read_archive(INFO, (path,))


@pytest.mark.parametrize("size", [b"77777777777\0", b"\x80" + b"\0" * 3 + b"\xff" * 8, b"-00000001000", b"not a size"])
def test_sizes_in_a_tar_are_not_believed(tmp_path: Path, size: bytes) -> None:
    header = bytearray(member("cifar-100-python/train").tobuf(tarfile.USTAR_FORMAT))
    header[124:136] = size.ljust(12, b"\0")[:12]
    header[148:156] = b"        "
    header[148:156] = b"%06o\0 " % sum(header)
    (tmp_path / "a.tar.gz").write_bytes(gzip.compress(bytes(header) + b"x" * 1024))
    with refused("a.tar.gz is damaged"):
        read_members(tmp_path / "a.tar.gz", ["cifar-100-python/train"])


def test_extended_headers_are_passed_over(tmp_path: Path) -> None:
    """Python's reader searches them with patterns that take quadratic time on digits (CVE-2024-6232)."""
    headers = (member("x", tarfile.XHDTYPE), b"1" * 3_000_000), (member("g", tarfile.XGLTYPE), b"9" * 3_000_000)
    path = tar(tmp_path / "a.tar.gz", *headers, (member("a"), b"content"), (member("b"), b""))
    started = time.monotonic()
    assert read_members(path, ["a", "b", "c"]) == {"a": b"content", "b": b""}
    assert time.monotonic() - started < 5


@pytest.mark.parametrize("name", ["bomb.gz", "bomb"])
def test_a_bomb_stops_at_the_limit(tmp_path: Path, name: str) -> None:
    raw = b"\0" * (40 << 20)
    (tmp_path / name).write_bytes(gzip.compress(raw, 1) if name.endswith("gz") else raw)
    del raw
    with refused(f"{name} is damaged .more than 4194304 bytes", megabytes=12):
        read_bytes(tmp_path / name, 4 << 20)


# --- zip


def strip(count: int = 2) -> bytes:
    pixels = np.random.default_rng(0).integers(0, 256, (32 * count, 32, 3), dtype=np.uint8)
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "WEBP", lossless=True)
    return file.getvalue()


def zipped(path: Path, method: int = zipfile.ZIP_STORED, **members: bytes) -> Path:
    with zipfile.ZipFile(path, "w", method) as archive:
        for name, content in members.items():
            archive.writestr(f"{name}.webp", content)
    return path


def patched(path: Path, name: str, at: int, value: bytes) -> Path:
    """``value`` at ``at`` of the entry of ``name`` in the central directory."""
    raw = bytearray(path.read_bytes())
    start = raw.rindex(f"{name}.webp".encode()) - 46 + at
    raw[start : start + len(value)] = value
    path.write_bytes(raw)
    return path


def test_hostile_strips(tmp_path: Path) -> None:
    path, good = tmp_path / "train.zip", strip()
    assert _strips(INFO, zipped(path, apple=good, worm=good), 4)[0].shape == (4, 3, 32, 32)
    vast = bytearray(good)
    at = vast.index(b"VP8L") + 9
    vast[at : at + 4] = struct.pack("<I", 0x0FFFFFFF)  # 16,384 pixels square
    for method, why in ((zipfile.ZIP_LZMA, "unusual way"), (zipfile.ZIP_BZIP2, "unusual way")):
        with refused(f"train.zip is damaged .*{why}", megabytes=120):
            _strips(INFO, zipped(path, method, apple=good, worm=good), 4)
    with refused("train.zip is damaged .apple.webp has 4294967294 bytes"):
        _strips(INFO, patched(zipped(path, apple=good, worm=good), "apple", 24, b"\xfe\xff\xff\xff"), 4)
    with refused("train.zip is damaged"):  # to members before the beginning of the file
        raw = bytearray(zipped(path, apple=good, worm=good).read_bytes())
        raw[-6:-2] = struct.pack("<I", struct.unpack("<I", raw[-6:-2])[0] + 64)
        path.write_bytes(raw)
        _strips(INFO, path, 4)
    with refused("train.zip is damaged .*encrypted"):
        encrypted = patched(zipped(path, apple=good, worm=good), "apple", 8, b"\1")
        raw = bytearray(encrypted.read_bytes())
        raw[6] |= 1
        encrypted.write_bytes(raw)
        _strips(INFO, encrypted, 4)
    with refused("train.zip is damaged", megabytes=20):
        _strips(INFO, zipped(path, apple=bytes(vast), worm=good), 4)
    with refused("train.zip is damaged .*no item named 'apple.webp'"):
        _strips(INFO, zipped(path, **{"../apple": good, "/apple": good, "worm": good}), 4)


# --- properties


def damage(data: st.DataObject, raw: bytes) -> bytes:
    """``raw`` cut at any byte, with up to four bytes changed anywhere, or other bytes altogether."""
    kind = data.draw(st.sampled_from(["cut", "one byte", "some bytes", "both", "other"]))
    if kind == "other":
        return data.draw(st.binary(max_size=300))
    broken = bytearray(raw)
    for _ in range({"cut": 0, "one byte": 1}[kind] if kind in ("cut", "one byte") else data.draw(st.integers(1, 4))):
        start = data.draw(st.sampled_from([0, max(0, len(raw) - 300)]))
        broken[data.draw(st.integers(start, len(raw) - 1))] ^= data.draw(st.integers(1, 255))
    return bytes(broken[: data.draw(st.integers(0, len(raw) - 1))] if kind in ("cut", "both") else broken)


def small() -> dict[str, tuple[bytes, Any]]:
    """A sound file for each reader, and how it is read."""
    idx = b"\0\0\x08\x03" + struct.pack(">III", 2, 3, 3) + bytes(range(18))
    fields = {b"data": np.zeros((2, 3072), np.uint8), b"fine_labels": [3, 1], b"filenames": [b"a.png", b"b.png"]}
    pickled = pickle.dumps(fields, protocol=3)
    packed, images = io.BytesIO(), io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as archive:
        for part in ("train", "test"):
            made = member(f"cifar-100-python/{part}")
            made.size = len(pickled)
            archive.addfile(made, io.BytesIO(pickled))
    with zipfile.ZipFile(images, "w") as archive_:
        archive_.writestr("apple.webp", strip())
        archive_.writestr("worm.webp", strip())
    table = b"a,b,class\n" + b"1.5,2,0\n-3e5,4,1\n" * 20
    return {
        "images": (idx, read_idx),
        "images.gz": (gzip.compress(idx), read_idx),
        "t.csv": (table, lambda path: read_csv(INFO, (path,))),
        "t.csv.gz": (gzip.compress(table), lambda path: read_csv(INFO, (path,))),
        "t.labels": (b"1 2\n3 4\n", lambda path: read_columns(INFO, (path, path))),
        "train": (pickled, lambda path: read_pickles(INFO, (path, path))),
        "cifar-100-python.tar.gz": (packed.getvalue(), lambda path: read_archive(INFO, (path,))),
        "train.zip": (images.getvalue(), lambda path: _strips(INFO, path, 4)),
    }


SMALL = small()


@pytest.mark.parametrize("name", SMALL)
@examples(120)
@given(data=st.data())
def test_a_damaged_file_is_read_or_refused_in_one_line(name: str, data: st.DataObject) -> None:
    raw, read = SMALL[name]
    broken = damage(data, raw)
    with tempfile.TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
        patch.setenv("PERDURE_CACHE", f"{folder}/cache")
        path = Path(folder) / name
        path.write_bytes(raw)
        read(path)
        path.write_bytes(broken)
        with warnings.catch_warnings(record=True) as warned:
            warnings.simplefilter("always")
            try:
                read(path)
            except ValueError as error:
                said = str(error)
                assert name in said
                assert said.isprintable()
        assert [str(w.message) for w in warned] == []


@examples(60)
@given(data=st.data(), packed=st.booleans())
def test_idx_files_come_back_to_the_bit(data: st.DataObject, packed: bool) -> None:
    shape = data.draw(st.tuples(st.integers(0, 9)) | st.tuples(*[st.integers(0, 4)] * 3))
    content = data.draw(st.binary(min_size=int(np.prod(shape)), max_size=int(np.prod(shape))))
    raw = b"\0\0\x08" + bytes([len(shape)]) + struct.pack(f">{len(shape)}I", *shape) + content
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / ("a.gz" if packed else "a")
        path.write_bytes(gzip.compress(raw) if packed else raw)
        found = read_idx(path)
    assert found.shape == shape
    assert found.tobytes() == content


@examples(60)
@given(
    rows=st.lists(
        st.tuples(*[st.floats(width=32, allow_nan=False, allow_infinity=False)] * 3, st.integers(0, 9)), min_size=1
    ),
    packed=st.booleans(),
)
def test_tables_come_back_to_the_bit(rows: list[Any], packed: bool) -> None:
    text = "a,b,c,class\n" + "".join(",".join(map(repr, row)) + "\n" for row in rows)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / ("t.csv.gz" if packed else "t.csv")
        path.write_bytes(gzip.compress(text.encode()) if packed else text.encode())
        (x, y), _ = read_csv(INFO, (path,))
    assert x.tobytes() == np.array([row[:3] for row in rows], np.float32).tobytes()
    assert y.tolist() == [row[3] for row in rows]


PLAIN = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**31), 2**31 - 1) | st.binary(max_size=300) | st.text(max_size=9),
    lambda inner: st.lists(inner) | st.lists(inner).map(tuple) | st.dictionaries(st.binary() | st.text(), inner),
    max_leaves=20,
)


@examples(80)
@given(value=PLAIN, protocol=st.sampled_from([2, 3]))
def test_plain_pickles_come_back_as_they_are(value: Any, protocol: int) -> None:
    if protocol == 2:  # in which Python 3 writes bytes as a call
        value = str(value)
    assert read_pickle("train", pickle.dumps(value, protocol)) == value


@examples(40)
@given(data=st.data(), shape=st.lists(st.integers(0, 5), min_size=1, max_size=3), order=st.sampled_from("CF"))
def test_pickled_bytes_come_back_to_the_bit(data: st.DataObject, shape: list[int], order: Any) -> None:
    content = data.draw(st.binary(min_size=int(np.prod(shape)), max_size=int(np.prod(shape))))
    table = np.asarray(np.frombuffer(content, np.uint8).reshape(shape), order=order).copy(order)
    found = read_pickle("train", pickle.dumps(table, protocol=3)).values
    assert found.shape == table.shape
    assert (found == table).all()


@examples(40)
@given(contents=st.dictionaries(st.text("abc/._-", min_size=1, max_size=90), st.binary(max_size=1500), max_size=5))
def test_members_of_a_tar_come_back_to_the_bit(contents: dict[str, bytes]) -> None:
    contents = {tarfile.TarInfo(name).name: content for name, content in contents.items() if not name.endswith("/")}
    with tempfile.TemporaryDirectory() as folder:
        path = tar(Path(folder) / "a.tar.gz", *((member(name), content) for name, content in contents.items()))
        assert read_members(path, contents) == contents
