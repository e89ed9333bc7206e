"""CIFAR's pickles, read without letting them run anything.

A pickle names the functions that rebuild its content. Here the three that an array of bytes needs lead to the harmless
stand-ins below, and every other name is refused, so that no code outside this file is ever called.
"""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import IO, Any

import numpy as np

from perdure.datasets._files import damaged
from perdure.datasets._info import Array


class ByteTable:
    """Stands in for ``numpy.ndarray``: takes the state of an array of unsigned bytes, nothing else."""

    values: Array

    def __init__(self, *_: object) -> None:
        pass

    def __setstate__(self, state: tuple[int, tuple[int, ...], Dtype, bool, bytes]) -> None:
        _, shape, dtype, by_column, raw = state
        if dtype.code != b"u1":
            raise pickle.UnpicklingError(f"an array of {dtype.code!r}, not of bytes")
        self.values = np.frombuffer(raw, np.uint8).reshape(shape, order="F" if by_column else "C")


class Dtype:
    """Stands in for ``numpy.dtype``."""

    def __init__(self, code: bytes | str, *_: object) -> None:
        self.code = code.encode() if isinstance(code, str) else code

    def __setstate__(self, _: object) -> None:
        pass


ALLOWED = {
    ("numpy.core.multiarray", "_reconstruct"): ByteTable,
    ("numpy._core.multiarray", "_reconstruct"): ByteTable,
    ("numpy", "ndarray"): ByteTable,
    ("numpy", "dtype"): Dtype,
}


# What the unpickler raises on bytes that are no pickle, or a broken one.
FAULTS = (
    pickle.UnpicklingError,
    EOFError,
    LookupError,
    TypeError,
    ValueError,
    AttributeError,
    OverflowError,
    MemoryError,
)


class _Unpickler(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        if (module, name) not in ALLOWED:
            raise pickle.UnpicklingError(f"it asks for {module}.{name}, which image data has no use for")
        return ALLOWED[module, name]


def read_pickle(path: Path | str, file: IO[bytes]) -> Any:
    """Numbers, strings, containers and byte tables from ``file``; ``ValueError`` naming ``path`` for anything else."""
    try:
        return _Unpickler(file, encoding="bytes").load()
    except FAULTS as fault:
        raise damaged(path, fault) from fault
