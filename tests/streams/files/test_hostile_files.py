"""Files that strangers may send: nothing runs, nothing outside is read, nothing grows past its bounds."""

import gzip
import io
import os
import pickle
import resource
import struct
import time
import tracemalloc
import zipfile
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from PIL import Image
from pyarrow import parquet

from perdure.streams import from_file, from_folder
from perdure.streams.files import _source

Y = np.arange(40) % 2


@contextmanager
def refused(pattern: str, megabytes: float = 40, seconds: float = 20) -> Any:
    """One printable line, reached with little memory and in little time."""
    tracemalloc.start()
    before, started = pa.total_allocated_bytes(), time.monotonic()
    try:
        with pytest.raises(ValueError, match=pattern) as caught:
            yield
        peak = tracemalloc.get_traced_memory()[1] + pa.total_allocated_bytes() - before
    finally:
        tracemalloc.stop()
    assert str(caught.value).isprintable()
    assert len(str(caught.value)) <= 1010
    assert peak < megabytes * 2**20
    assert time.monotonic() - started < seconds


def attempt(read: Any) -> tuple[str, Any]:
    """What is said, and what was read."""
    try:
        return "", read()
    except ValueError as error:
        return str(error), None


class Runs:
    """Makes a folder when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> Any:
        return os.mkdir, (str(self.path),)


# --- npz


def archive(path: Path, method: int = zipfile.ZIP_DEFLATED, **members: bytes) -> Path:
    with zipfile.ZipFile(path, "w", method) as made:
        for name, content in members.items():
            made.writestr(f"{name}.npy", content)
    return path


def npy(shape: Any, descr: str = "<f4", order: bool = False, body: bytes = b"", version: int = 1) -> bytes:
    header = f"{{'descr': {descr!r}, 'fortran_order': {order}, 'shape': {shape}, }}\n".encode()
    length = struct.pack("<H" if version == 1 else "<I", len(header))
    return b"\x93NUMPY" + bytes([version, 0]) + length + header + body


def array(values: Any) -> bytes:
    file = io.BytesIO()
    np.save(file, values)
    return file.getvalue()


def declare_size(path: Path, name: str, size: int) -> None:
    """Let the archive say that a member unpacks to ``size`` bytes (below 4 GiB)."""
    raw = bytearray(path.read_bytes())
    at = raw.rindex(f"{name}.npy".encode()) - 46  # its entry in the central directory
    raw[at + 24 : at + 28] = struct.pack("<I", size)
    path.write_bytes(raw)


def test_objects_in_an_npz_are_not_unpickled(tmp_path: Path) -> None:
    marker = tmp_path / "ran"
    evil = np.array([Runs(marker)] * 40, object)
    for x, y in ((evil, Y), (np.zeros((40, 2)), evil)):
        np.savez(tmp_path / "t.npz", x=x, y=y, allow_pickle=True)
        with refused("holds object where numbers"):
            from_file(tmp_path / "t.npz")
    assert not marker.exists()
    np.load(tmp_path / "t.npz", allow_pickle=True)["y"]
    assert marker.exists()  # the attack is real


def test_a_pickle_called_npz_is_no_archive(tmp_path: Path) -> None:
    marker = tmp_path / "ran"
    (tmp_path / "t.npz").write_bytes(pickle.dumps(Runs(marker)))
    with refused("t.npz: this file cannot be read .*not a zip file"):
        from_file(tmp_path / "t.npz")
    assert not marker.exists()


@pytest.mark.parametrize(
    ("x", "why"),
    [
        (npy((10**12, 3)), "does not have"),
        (npy((2**62, 2**62)), "does not have"),
        (npy((-40, -3), body=b"\0" * 480), "does not have"),
        (npy((40, 3), body=b"\0" * 480, version=2)[:8] + b"\xff\xff\xff\xff", "cannot be read"),  # 4 GiB of header
        (npy("(" * 3000 + ")" * 3000), "cannot be read"),
        (npy("(9**9**9,)"), "cannot be read"),
        (npy("(40, __import__('os').mkdir('ran'))"), "cannot be read"),
        (npy((40,), "|O", body=b"\x80\x04."), "holds object where numbers are due"),
        (npy((40,), "|V900000000"), "where numbers are due"),
        (npy((1,), "<U400000000"), "where numbers are due"),
    ],
)
def test_headers_are_not_believed(tmp_path: Path, x: bytes, why: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with refused(f"t.npz: .*{why}"):
        from_file(archive(Path("t.npz"), x=x, y=array(Y)))
    assert not Path("ran").exists()


def test_a_header_of_fifty_megabytes_is_not_read(tmp_path: Path) -> None:
    header = b"\x93NUMPY\2\0" + struct.pack("<I", 50 << 20) + b" " * (50 << 20)
    path = archive(tmp_path / "t.npz", x=header, y=array(Y))
    assert path.stat().st_size < 1 << 17
    with refused("t.npz: this file cannot be read", megabytes=4):
        from_file(path)


@pytest.mark.parametrize(
    ("shape", "order", "why"),
    [
        ((40, 20_000_000), False, "one example, float32 of shape .* takes 76 MB, more than 64: make examples smaller"),
        ((800_000_000,), False, "800000000 rows or more in .* bytes would swell beyond all bounds"),
        ((40, 20_000_000), True, "stored column by column .* save numpy.ascontiguousarray"),
    ],
)
def test_sizes_that_header_and_archive_both_declare(tmp_path: Path, shape: Any, order: bool, why: str) -> None:
    y = npy(shape[:1], "|u1")
    path = archive(tmp_path / "t.npz", x=npy(shape, "<f4", order), y=y)
    declare_size(path, "x", len(npy(shape, "<f4", order)) + 4 * int(np.prod(shape)))
    declare_size(path, "y", len(y) + shape[0])
    with refused(why):
        from_file(path)


def test_an_array_that_swells_is_read_in_pieces(tmp_path: Path) -> None:
    """100 MB of zeros from 100 kB, refused for the last row after all were seen."""
    x = np.zeros((200_000, 128), np.float32)
    x[-1] = np.nan
    np.savez_compressed(tmp_path / "t.npz", x=x, y=np.arange(200_000) % 2)
    del x
    with refused("holds nan in row 199999", megabytes=80):
        from_file(tmp_path / "t.npz", experiences=2, memory_limit_mb=16)


def test_labels_of_any_length_are_refused(tmp_path: Path) -> None:
    np.savez_compressed(tmp_path / "t.npz", x=np.zeros((40, 2)), y=np.array(["a" * 300_000, "b"] * 20))
    with refused(r"array 'y' holds <U300000, text of any length"):
        from_file(tmp_path / "t.npz")
    np.savez_compressed(tmp_path / "t.npz", x=np.zeros((40, 2)), y=np.array(["a" * 3_000, "b"] * 20))
    with refused("column 'y' holds text of 3000 bytes, more than 1000"):
        from_file(tmp_path / "t.npz")


@pytest.mark.parametrize("method", [zipfile.ZIP_LZMA, zipfile.ZIP_BZIP2])
def test_other_compression_is_refused(tmp_path: Path, method: int) -> None:
    path = archive(tmp_path / "t.npz", method, x=array(np.zeros((40, 2))), y=array(Y))
    with refused("'x' is compressed in a way that NumPy does not use"):
        from_file(path)


def test_an_encrypted_member_is_refused(tmp_path: Path) -> None:
    path = archive(tmp_path / "t.npz", zipfile.ZIP_STORED, x=array(np.zeros((40, 2))), y=array(Y))
    raw = bytearray(path.read_bytes())
    at = raw.rindex(b"x.npy") - 46
    raw[at + 8] |= 1
    raw[6] |= 1
    path.write_bytes(raw)
    with refused("t.npz: this file cannot be read .*encrypted"):
        from_file(path)


# --- CSV


def test_a_gzip_bomb_of_rows_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_source, "ROWS_ALWAYS", 1 << 16)
    path = tmp_path / "t.csv.gz"
    path.write_bytes(gzip.compress(b"x,y\n" + b"1,1\n1,0\n" * 5_000_000))
    with refused("rows or more in .* bytes would swell beyond all bounds: if they are real, write them without"):
        from_file(path)


@pytest.mark.parametrize("ending", [".csv", ".csv.gz"])
def test_an_endless_line_is_refused(tmp_path: Path, ending: str) -> None:
    path = tmp_path / f"t{ending}"
    for raw in (b"7" * (30 << 20), b"x,y\n1,0\n" + b"7" * (30 << 20), b'x,y\n1,"' + b"\n" * (30 << 20)):
        path.write_bytes(gzip.compress(raw, 1) if ending.endswith("gz") else raw)
        with refused(f"t{ending}: "):
            from_file(path)


def test_columns_without_number_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_text(",".join(map(str, range(100_000))) + ",y\n")
    with refused("100001 columns, more than 65536", megabytes=80):
        from_file(path)


def test_a_number_of_each_row_is_no_class(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_text("x,y\n" + "".join(f"1,name{i}\n" for i in range(100_000)))
    with refused("column 'y' has more than 65536 different values: they are classes or domains", megabytes=80):
        from_file(path)


def test_cells_cannot_steer_the_terminal_or_fill_the_screen(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_text("x,y\n" + "1,0\n2,1\n" * 200_000 + "\x1b[2J\x07ruined,1\n")
    with refused(r"holds '\\x1b\[2J\\x07ruined' in row 400000"):
        from_file(path, experiences=2)
    path.write_text("x" * 500_000 + ",y\n" + "1,1\n2,0\n" * 20 + ",0\n")
    with refused(r"xxx \.\.\. .*fill or drop such rows"):
        from_file(path, experiences=2)


# --- Parquet


def test_extension_types_run_nothing(tmp_path: Path) -> None:
    """CVE-2023-47248: older pyarrow unpickled what the metadata of a column said."""
    marker = tmp_path / "ran"
    payload = pickle.dumps(Runs(marker), protocol=0)
    told = {b"ARROW:extension:name": b"arrow.py_extension_type", b"ARROW:extension:metadata": payload}
    fields = [pa.field("x", pa.float64(), metadata=told), pa.field("y", pa.int64())]
    parquet.write_table(pa.table([np.zeros(40), Y], schema=pa.schema(fields)), tmp_path / "t.parquet")
    said, stream = attempt(lambda: from_file(tmp_path / "t.parquet", experiences=2))
    assert stream is not None or "t.parquet" in said
    assert not marker.exists()
    pickle.loads(payload)  # noqa: S301 - to show that the attack is real
    assert marker.exists()


def test_rows_that_swell_from_nothing_are_refused(tmp_path: Path) -> None:
    n = 30_000_000
    table = pa.table({"x": pa.array(np.zeros(n, np.int8)), "y": pa.array(np.zeros(n, np.int8))})
    parquet.write_table(table, tmp_path / "t.parquet", row_group_size=n)
    del table
    assert (tmp_path / "t.parquet").stat().st_size < 1_000_000
    with refused("30000000 rows or more in .* bytes would swell beyond all bounds"):
        from_file(tmp_path / "t.parquet")


def test_long_text_is_not_spelt_out_for_each_row(tmp_path: Path) -> None:
    """A dictionary of two texts of a megabyte: 65,536 rows of it would take 64 gigabytes."""
    words = pa.DictionaryArray.from_arrays(pa.array(np.arange(65_536, dtype=np.int8) % 2), ["a" * 2**20, "b" * 2**20])
    table = pa.table({"x": np.zeros(65_536), "y": words.cast(pa.dictionary(pa.int32(), pa.string()))})
    parquet.write_table(table, tmp_path / "t.parquet", store_schema=False)
    del words, table
    with refused("column 'y' holds text of 1048576 bytes, more than 1000"):
        from_file(tmp_path / "t.parquet")
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss < 8 << 20  # kilobytes


def varint(value: int) -> bytes:
    """An integer as Thrift writes it."""
    value, written = value << 1, bytearray()
    while value > 127:
        written.append(value & 127 | 128)
        value >>= 7
    return bytes([*written, value])


@pytest.mark.parametrize("declared", [0, 399, 401, 2**40])
def test_row_counts_in_the_footer_are_not_believed(tmp_path: Path, declared: int) -> None:
    path = tmp_path / "t.parquet"
    x = np.random.default_rng(0).normal(size=400)
    parquet.write_table(pa.table({"x": x, "y": np.arange(400) % 2}), path, compression="none")
    raw = path.read_bytes()
    length = struct.unpack("<I", raw[-8:-4])[0]
    body, footer = raw[: -8 - length], raw[-8 - length : -8]
    places = [i for i in range(len(footer)) if footer.startswith(varint(400), i)]
    assert len(places) >= 4  # of the file, the row group and two columns
    refusals = 0
    for at in places:
        changed = footer[:at] + varint(declared) + footer[at + len(varint(400)) :]
        path.write_bytes(body + changed + struct.pack("<I", len(changed)) + b"PAR1")
        said, stream = attempt(lambda: from_file(path, experiences=1))
        refusals += "t.parquet" in said
        if stream is not None:  # then all that is shown was there
            data = [e.data for e in (*stream.experiences, *stream.evaluations)]
            found = np.concatenate([b.x[:, 0].numpy() for d in data for b in d.batches(9)])
            assert len(found) in (declared, 400)
            assert set(found) <= set(x.astype(np.float32))
    assert refusals or declared == 399


# --- paths


def images(folder: Path) -> Path:
    for label in ("a", "b"):
        (folder / label).mkdir(parents=True)
        for i in range(5):
            Image.new("L", (4, 4), i).save(folder / label / f"{i}.png")
    return folder


def test_train_and_test_cannot_be_links_that_lead_out(tmp_path: Path) -> None:
    secret = images(tmp_path / "secret")
    folder = tmp_path / "sent"
    images(folder / "train")
    (folder / "test").symlink_to(secret)
    with refused(r"sent/test: this link leads out of .*sent: put the file itself there, or remove the link"):
        from_folder(folder, experiences=1)
    (tmp_path / "named").symlink_to(secret)
    assert from_folder(tmp_path / "named", experiences=1).num_classes == 2  # the user's own link is followed
    assert from_folder(folder / "train", test=folder / "test", experiences=1).num_classes == 2


def test_relative_links_and_loops(tmp_path: Path) -> None:
    folder = images(tmp_path / "sent")
    link = folder / "a" / "x.png"
    link.symlink_to("../../secret.png")
    Image.new("L", (4, 4)).save(tmp_path / "secret.png")
    with refused("x.png: this link leads out of"):
        from_folder(folder, experiences=1)
    for target, why in (("x.png", "x.png: .*"), ("/dev/zero", "x.png: this link leads out"), ("no", "no regular file")):
        link.unlink()
        link.symlink_to(target)
        with refused(why):
            from_folder(folder, experiences=1)


def test_parts_that_lead_out_are_refused(tmp_path: Path) -> None:
    (tmp_path / "sent").mkdir()
    for at in ("secret.parquet", "sent/1.parquet"):
        parquet.write_table(pa.table({"x": np.arange(40.0), "y": Y}), tmp_path / at)
    (tmp_path / "sent" / "2.parquet").symlink_to(tmp_path / "secret.parquet")
    with refused("2.parquet: this link leads out of"):
        from_file(tmp_path / "sent")


@pytest.mark.parametrize("ending", [".parquet", ".csv", ".csv.gz", ".npz"])
def test_pipes_are_refused_rather_than_waited_for(tmp_path: Path, ending: str) -> None:
    os.mkfifo(tmp_path / f"t{ending}")
    with refused("no regular file: remove it, or put a file there"):
        from_file(tmp_path / f"t{ending}")
    if ending == ".parquet":
        with refused("no regular file"):
            from_file(tmp_path)


def test_pipes_and_folders_called_as_images(tmp_path: Path) -> None:
    folder = images(tmp_path / "sent")
    (folder / "b" / "x.png").mkdir()
    with refused("x.png: no regular file"):
        from_folder(folder, experiences=1)
    (folder / "b" / "x.png").rmdir()
    os.mkfifo(folder / "b" / "x.png")
    with refused("x.png: no regular file"):
        from_folder(folder, experiences=1)


def test_names_of_files_stay_in_their_line(tmp_path: Path) -> None:
    folder = images(tmp_path / "sent")
    (folder / "b" / "x\n\x1b[31m.png").write_bytes(b"no image")
    with refused(r"x \\x1b\[31m\.png: this file cannot be read"):
        from_folder(folder, experiences=1)


# --- images


def test_other_formats_are_not_opened_whatever_their_name(tmp_path: Path) -> None:
    """EPS would start Ghostscript, and the readers of rare formats are little tested."""
    folder = images(tmp_path / "sent")
    image = Image.new("RGB", (4, 4))
    for kind in ("EPS", "TIFF", "GIF", "PPM", "ICO", "TGA", "PDF"):
        image.save(folder / "b" / "x.png", kind)
        with refused("x.png: this file cannot be read .*cannot identify"):
            from_folder(folder, experiences=1)


def png(*chunks: tuple[bytes, bytes]) -> bytes:
    import zlib

    made = b"\x89PNG\r\n\x1a\n"
    for kind, content in chunks:
        made += struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))
    return made


def test_images_that_declare_or_carry_too_much(tmp_path: Path) -> None:
    import zlib

    folder = images(tmp_path / "sent")
    victim = folder / "b" / "x.png"
    header = struct.pack(">IIBBBBB", 2**31 - 1, 2**31 - 1, 8, 2, 0, 0, 0)
    victim.write_bytes(png((b"IHDR", header), (b"IDAT", zlib.compress(b"")), (b"IEND", b"")))
    with refused("x.png: (more than .* pixels|this file cannot be read)"):
        from_folder(folder, experiences=1, size=4)
    header = struct.pack(">IIBBBBB", 4, 4, 8, 0, 0, 0, 0)
    bomb = b"key\0\0" + zlib.compress(b"a" * (80 << 20))
    victim.write_bytes(
        png((b"IHDR", header), *[(b"zTXt", bomb)] * 3, (b"IDAT", zlib.compress(bytes(20))), (b"IEND", b""))
    )
    said, stream = attempt(lambda: from_folder(folder, experiences=1))  # Pillow leaves out the text, or refuses it
    assert stream is not None or "x.png" in said


def test_images_too_large_to_learn_from_are_refused_by_their_headers(tmp_path: Path) -> None:
    for label in ("a", "b"):
        (tmp_path / label).mkdir()
        header = struct.pack(">IIBBBBB", 9000, 9000, 8, 0, 0, 0, 0)
        (tmp_path / label / "0.png").write_bytes(png((b"IHDR", header), (b"IDAT", b""), (b"IEND", b"")))
    with refused("images of 9000×9000 pixels take 77 MB each, more than 64: give a smaller size="):
        from_folder(tmp_path, experiences=1)
    with refused("images of 9000×9000 pixels take 77 MB each"):
        from_folder(tmp_path, experiences=1, size=9000)
