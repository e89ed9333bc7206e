"""MNIST's idx files."""

from __future__ import annotations

import math
import struct
from pathlib import Path

import numpy as np

from perdure.datasets._files import damaged, read_bytes
from perdure.datasets._info import Array, DatasetInfo, Pair

UNSIGNED_BYTES = b"\x00\x00\x08"


def read_idx(path: Path) -> Array:
    """The array of unsigned bytes in an idx file, after its header was checked against the real length."""
    data = read_bytes(path)
    if data[:3] != UNSIGNED_BYTES or len(data) < 4 or data[3] not in (1, 3):
        raise damaged(path, "not an idx file of images or labels")
    start = 4 + 4 * data[3]
    if len(data) < start:
        raise damaged(path, "ends inside its header")
    shape = struct.unpack_from(f">{data[3]}I", data, 4)
    if math.prod(shape) != len(data) - start:
        raise damaged(path, f"the header promises {shape}, {len(data) - start} bytes follow")
    return np.frombuffer(data, np.uint8, offset=start).reshape(shape)


def read_idx_set(_: DatasetInfo, files: tuple[Path, ...]) -> tuple[Pair, Pair]:
    """Images and labels for training, then for test."""
    train_x, train_y, test_x, test_y = map(read_idx, files)
    return (train_x[:, None], train_y.astype(np.int64)), (test_x[:, None], test_y.astype(np.int64))
