"""Files that are not what they should be: one ValueError that names the file and the remedy."""

import gzip
import struct

import numpy as np
import pytest

from perdure.datasets import _files, load
from perdure.datasets._idx import read_idx

LABELS = b"\0\0\x08\x01" + struct.pack(">I", 5) + bytes(range(5))
IMAGES = b"\0\0\x08\x03" + struct.pack(">III", 2, 3, 3) + bytes(range(18))


def write(path, content):
    path.write_bytes(gzip.compress(content) if path.suffix == ".gz" else content)
    return path


@pytest.mark.parametrize("name", ["file", "file.gz"])
def test_sound_idx_files_are_read(tmp_path, name):
    assert read_idx(write(tmp_path / name, LABELS)).tolist() == [0, 1, 2, 3, 4]
    images = read_idx(write(tmp_path / name, IMAGES))
    assert (images == np.arange(18).reshape(2, 3, 3)).all()


@pytest.mark.parametrize("name", ["file", "file.gz"])
@pytest.mark.parametrize(
    ("content", "why"),
    [
        (b"", "not an idx file"),
        (b"\0\0\x08", "not an idx file"),
        (b"<html>404</html>", "not an idx file"),
        (b"\0\0\x0d" + LABELS[3:], "not an idx file"),  # floats
        (b"\0\0\x08\x02" + LABELS[4:], "not an idx file"),  # a matrix
        (IMAGES[:10], "ends inside its header"),
        (LABELS[:-1], r"promises \(5,\), 4 bytes follow"),
        (LABELS + b"x", r"promises \(5,\), 6 bytes follow"),
        (b"\0\0\x08\x03" + b"\xff" * 12 + b"few", "3 bytes follow"),  # 2**96 bytes promised, none allocated
    ],
)
def test_a_wrong_idx_file_is_refused(tmp_path, name, content, why):
    path = write(tmp_path / name, content)
    with pytest.raises(ValueError, match=why) as caught:
        read_idx(path)
    assert str(path) in str(caught.value)
    assert "delete it and load again" in str(caught.value)


@pytest.mark.parametrize(
    "spoil",
    [
        lambda zipped: zipped[: len(zipped) // 2],  # truncated
        lambda zipped: zipped[:-4],  # without its length
        lambda zipped: b"",
        lambda zipped: b"not gzip" + zipped,
        lambda zipped: zipped[:10] + b"\xff" * 20 + zipped[30:],  # garbage inside
        lambda zipped: zipped[:-8] + b"\0\0\0\0" + zipped[-4:],  # wrong check sum
    ],
)
def test_a_damaged_gzip_file_is_refused(tmp_path, spoil):
    path = tmp_path / "labels.gz"
    path.write_bytes(spoil(gzip.compress(LABELS * 50)))
    with pytest.raises(ValueError, match=r"labels\.gz is damaged"):
        read_idx(path)


def test_a_file_that_swells_past_the_limit_is_refused(tmp_path):
    path = write(tmp_path / "bomb.gz", b"\0" * (2**20 + 1))
    with pytest.raises(ValueError, match="more than 1048576 bytes"):
        _files.read_bytes(path, 2**20)


HEADER = "a,b,c,d,e,f,class\n"


@pytest.mark.parametrize(
    ("content", "why"),
    [
        ("", "no rows"),
        (HEADER, "no rows"),
        (HEADER + "1,2,3,4,5,6,1\n1,2,3\n", "not a table of numbers"),
        (HEADER + "1,2,3,4,5,six,1\n", "not a table of numbers"),
        (HEADER + "1,2,3,4,5,6,é\n", "not a table of numbers"),
        (HEADER + "1,2,nan,4,5,6,1\n", "missing values"),
        (HEADER + "1,2,3,4,5,6,0.5\n", "not whole numbers"),
    ],
)
def test_a_wrong_table_is_refused(alone, tmp_path, content, why):
    (tmp_path / "electricity").mkdir()
    (tmp_path / "electricity" / "electricity.csv").write_text(content, encoding="utf-8")
    with pytest.raises(ValueError, match=why) as caught:
        load("electricity", root=tmp_path, download=False)
    assert "electricity.csv is damaged" in str(caught.value)


def test_a_table_with_other_columns_is_refused(alone, tmp_path):
    (tmp_path / "electricity").mkdir()
    (tmp_path / "electricity" / "electricity.csv").write_text(HEADER[2:] + "2,3,4,5,6,1\n" * 45_312)
    with pytest.raises(ValueError, match=r"examples \(45312, 5\) and labels \(45312,\), not \(45312, 6\)"):
        load("electricity", root=tmp_path, download=False)


def test_a_file_written_beside_appears_whole_or_not_at_all(tmp_path):
    path = tmp_path / "new" / "file"
    with _files.written_beside(path) as file:
        file.write(b"first")
        assert not path.exists()
    with pytest.raises(TypeError), _files.written_beside(path) as file:
        file.write("text is refused")
    assert path.read_bytes() == b"first"
    assert list(path.parent.iterdir()) == [path]
