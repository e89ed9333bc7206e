"""Decoded images kept in the user's cache, because decoding takes seconds."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import numpy as np

from perdure.datasets._files import cache_dir, written_beside
from perdure.datasets._info import Pair


def cached(name: str, files: tuple[Path, ...], decode: Callable[[], tuple[Pair, Pair]]) -> tuple[Pair, Pair]:
    """What ``decode`` returned for files of this very content, or what it returns now.

    A cache that cannot be written, or that holds something unreadable, costs time and nothing else.
    """
    path = cache_dir() / "decoded" / f"{name}-{_digest(files)}.npz"
    with suppress(Exception), path.open("rb") as file, np.load(file) as kept:
        return (kept["train_x"], kept["train_y"]), (kept["test_x"], kept["test_y"])
    (train_x, train_y), (test_x, test_y) = pairs = decode()
    with suppress(OSError), written_beside(path) as beside:
        np.savez(beside, train_x=train_x, train_y=train_y, test_x=test_x, test_y=test_y)
    return pairs


def _digest(files: tuple[Path, ...]) -> str:
    digest = hashlib.sha256()
    for path in files:
        with path.open("rb") as file:
            digest.update(hashlib.file_digest(file, "sha256").digest())
    return digest.hexdigest()[:32]
