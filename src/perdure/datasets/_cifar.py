"""CIFAR-100 from lossless strips, official pickles or the official archive: the same rows in the same order each time.

The order is by class, then by original file name, since that is what all three can tell.
"""

from __future__ import annotations

import io
import warnings
import zipfile
from pathlib import Path

import numpy as np

from perdure.datasets._cached import cached
from perdure.datasets._files import damaged, read_bytes, reading
from perdure.datasets._info import Array, DatasetInfo, Pair
from perdure.datasets._pickles import ByteTable, read_pickle
from perdure.datasets._tar import read_members

SIDE = 32
PARTS = ("train", "test")
STRIP_LIMIT = 64 * 2**20  # bytes of one compressed strip: thirty times a real one


def read_strips(info: DatasetInfo, files: tuple[Path, ...]) -> tuple[Pair, Pair]:
    """``train.zip`` and ``test.zip`` with one lossless WebP per class, its images stacked top to bottom."""
    train, test = files
    return cached(
        info.name, files, lambda: (_strips(info, train, info.train_size), _strips(info, test, info.test_size))
    )


def read_pickles(_: DatasetInfo, files: tuple[Path, ...]) -> tuple[Pair, Pair]:
    """The official ``train`` and ``test`` files."""
    train, test = files
    return _rows(train, read_bytes(train)), _rows(test, read_bytes(test))


def read_archive(info: DatasetInfo, files: tuple[Path, ...]) -> tuple[Pair, Pair]:
    """The official ``cifar-100-python.tar.gz``, read without unpacking it."""
    (path,) = files
    return cached(info.name, files, lambda: _members(path))


def _strips(info: DatasetInfo, path: Path, rows: int) -> Pair:
    per_class = rows // info.num_classes
    x = np.empty((info.num_classes, per_class, *info.shape), np.uint8)
    with reading(path), zipfile.ZipFile(path) as archive:
        for label, name in enumerate(info.classes):
            x[label] = _strip(path, archive, f"{name}.webp", per_class)
    return x.reshape(rows, *info.shape), np.repeat(np.arange(info.num_classes), per_class)


def _strip(path: Path, archive: zipfile.ZipFile, name: str, count: int) -> Array:
    """The images (N, C, H, W) of one class."""
    from PIL import Image

    member = archive.getinfo(name)
    if member.file_size > STRIP_LIMIT or member.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        raise damaged(path, f"{name} has {member.file_size} bytes, or is compressed in an unusual way")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the size is checked here
        image = Image.open(io.BytesIO(archive.read(member)), formats=["WEBP"])
        if image.size != (SIDE, SIDE * count):
            raise damaged(path, f"{name} is {image.size}, not {SIDE} x {SIDE * count}")
        return np.asarray(image.convert("RGB")).reshape(count, SIDE, SIDE, 3).transpose(0, 3, 1, 2)


def _members(path: Path) -> tuple[Pair, Pair]:
    names = [f"cifar-100-python/{part}" for part in PARTS]
    found = read_members(path, names)
    if len(found) < len(PARTS):
        raise damaged(path, f"cifar-100-python/{' or '.join(PARTS)} is missing in it")
    train, test = (_rows(f"{path}:{name}", found.pop(name)) for name in names)
    return train, test


def _rows(path: Path | str, data: bytes | bytearray) -> Pair:
    content = read_pickle(path, data)
    try:
        table, labels, names = (content[key] for key in (b"data", b"fine_labels", b"filenames"))
    except (LookupError, TypeError) as fault:
        raise damaged(path, f"not a CIFAR-100 file: {fault!r}") from fault
    if not (_is_list(labels, int) and _is_list(names, bytes) and len(labels) == len(names)):
        raise damaged(path, "not a CIFAR-100 file: no list of labels and one of names")
    if not isinstance(table, ByteTable) or table.values.shape != (len(labels), 3 * SIDE * SIDE):
        raise damaged(path, f"not a CIFAR-100 file: no table of {len(labels)} images")
    if not all(0 <= label < 100 for label in labels):
        raise damaged(path, "not a CIFAR-100 file: labels are not 0 to 99")
    order = sorted(range(len(labels)), key=lambda row: (labels[row], names[row]))
    return table.values.reshape(-1, 3, SIDE, SIDE)[order], np.array(labels, np.int64)[order]


def _is_list(values: object, kind: type) -> bool:
    return isinstance(values, list) and all(type(value) is kind for value in values)
