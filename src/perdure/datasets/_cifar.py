"""CIFAR-100 from lossless strips, official pickles or the official archive: the same rows in the same order each time.

The order is by class, then by original file name, since that is what all three can tell.
"""

from __future__ import annotations

import io
import tarfile
import zipfile
import zlib
from pathlib import Path
from typing import IO

import numpy as np

from perdure.datasets._cached import cached
from perdure.datasets._files import damaged
from perdure.datasets._info import DatasetInfo, Pair
from perdure.datasets._pickles import ByteTable, read_pickle

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
    with train.open("rb") as first, test.open("rb") as second:
        return _rows(train, first), _rows(test, second)


def read_archive(info: DatasetInfo, files: tuple[Path, ...]) -> tuple[Pair, Pair]:
    """The official ``cifar-100-python.tar.gz``, read without unpacking it."""
    (path,) = files
    return cached(info.name, files, lambda: _members(path))


def _strips(info: DatasetInfo, path: Path, rows: int) -> Pair:
    from PIL import Image

    per_class = rows // info.num_classes
    x = np.empty((info.num_classes, per_class, *info.shape), np.uint8)
    try:
        with zipfile.ZipFile(path) as archive:
            for label, name in enumerate(info.classes):
                member = archive.getinfo(f"{name}.webp")
                if member.file_size > STRIP_LIMIT:
                    raise damaged(path, f"{member.filename} has {member.file_size} bytes")
                image = Image.open(io.BytesIO(archive.read(member)), formats=["WEBP"])
                if image.size != (SIDE, SIDE * per_class):
                    raise damaged(path, f"{member.filename} is {image.size}, not {SIDE} x {SIDE * per_class}")
                x[label] = np.asarray(image.convert("RGB")).reshape(per_class, SIDE, SIDE, 3).transpose(0, 3, 1, 2)
    except (zipfile.BadZipFile, KeyError, EOFError, zlib.error, OSError) as fault:
        raise damaged(path, fault) from fault
    return x.reshape(rows, *info.shape), np.repeat(np.arange(info.num_classes), per_class)


def _members(path: Path) -> tuple[Pair, Pair]:
    found: dict[str, Pair] = {}
    try:
        with tarfile.open(path, "r|gz") as archive:
            for member in archive:
                folder, _, part = member.name.rpartition("/")
                if folder == "cifar-100-python" and part in PARTS and (file := archive.extractfile(member)):
                    found[part] = _rows(f"{path}:{member.name}", file)
    except (tarfile.TarError, EOFError, zlib.error, OSError) as fault:
        raise damaged(path, fault) from fault
    if len(found) < len(PARTS):
        raise damaged(path, "cifar-100-python/train or test is missing in it")
    return found["train"], found["test"]


def _rows(path: Path | str, file: IO[bytes]) -> Pair:
    content = read_pickle(path, file)
    try:
        table, labels, names = (content[key] for key in (b"data", b"fine_labels", b"filenames"))
        order = sorted(range(len(names)), key=lambda row: (labels[row], names[row]))
        y = np.array(labels, np.int64)[order]
    except (LookupError, TypeError, OverflowError) as fault:
        raise damaged(path, f"not a CIFAR-100 file: {fault!r}") from fault
    if not isinstance(table, ByteTable) or table.values.shape != (len(order), 3 * SIDE * SIDE):
        raise damaged(path, f"not a CIFAR-100 file: no table of {len(order)} images")
    return table.values.reshape(-1, 3, SIDE, SIDE)[order], y
