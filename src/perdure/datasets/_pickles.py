"""CIFAR's pickles, read by the few operations that they are made of.

A pickle is a program for a stack machine. Python's own machine calls what the program names, allocates what it declares
and can be made to recurse without end. The one below knows numbers, text, lists, tuples, dicts and arrays of bytes. It
calls nothing that a file names, takes no more bytes than the file has, and refuses every other operation.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from perdure.datasets._files import reading
from perdure.datasets._info import Array

MOST_OPERATIONS = 1_000_000  # five times those of an official file; each makes an object of some sixty bytes


@dataclass(frozen=True)
class Name:
    """Something of NumPy's that a pickle names; it is compared, never looked up."""

    text: str


@dataclass(frozen=True)
class Dtype:
    """The code of a NumPy dtype."""

    code: object


class ByteTable:
    """An array of unsigned bytes, once its state is told."""

    values: Array

    def restore(self, _: object, shape: object, dtype: object, by_column: object, raw: object) -> None:
        """Take the state of ``numpy.ndarray``."""
        if not isinstance(dtype, Dtype) or dtype.code not in (b"u1", "u1"):
            raise ValueError("an array of something else, not of bytes")
        if not isinstance(shape, tuple) or not isinstance(raw, bytes) or not all(type(n) is int for n in shape):
            raise ValueError("an array without shape or content")
        if min(shape, default=0) < 0 or math.prod(shape) != len(raw):
            raise ValueError(f"an array of {len(raw)} bytes that declares another size")
        self.values = np.frombuffer(raw, np.uint8).reshape(shape, order="F" if by_column else "C")


TABLE = Name("_reconstruct")
NAMES = {
    "numpy.core.multiarray._reconstruct": TABLE,
    "numpy._core.multiarray._reconstruct": TABLE,
    "numpy.ndarray": Name("ndarray"),
    "numpy.dtype": Name("dtype"),
}


class _Machine:
    def __init__(self, data: bytes | bytearray) -> None:
        self.data, self.at = data, 0
        self.stack: list[Any] = []
        self.marks: list[int] = []
        self.memo: dict[int, Any] = {}

    def run(self) -> Any:
        for _ in range(MOST_OPERATIONS):
            code = self.take(1)
            if code == b".":
                return self.stack.pop()
            if code not in OPERATIONS:
                raise ValueError(f"operation {code!r}, which image data has no use for")
            OPERATIONS[code](self)
        raise ValueError(f"more than {MOST_OPERATIONS} operations")

    def push(self, value: Any) -> None:
        self.stack.append(value)

    def pop(self, kind: type) -> Any:
        value = self.stack.pop()
        if type(value) is not kind:
            raise ValueError(f"a {type(value).__name__} where a {kind.__name__} is due")
        return value

    def last(self, count: int) -> list[Any]:
        return [self.stack.pop() for _ in range(count)][::-1]

    def since_mark(self) -> list[Any]:
        start = self.marks.pop()
        taken, self.stack[start:] = self.stack[start:], []
        return taken

    def take(self, count: int) -> bytes:
        taken = bytes(self.data[self.at : self.at + count])
        if len(taken) < count:
            raise ValueError("it ends early")
        self.at += count
        return taken

    def skip(self, count: int) -> None:
        self.take(count)

    def number(self, count: int, *, signed: bool = False) -> int:
        return int.from_bytes(self.take(count), "little", signed=signed)

    def line(self) -> str:
        end = self.data.index(b"\n", self.at, self.at + 100)
        return self.take(end + 1 - self.at)[:-1].decode("ascii")

    def append(self, values: list[Any]) -> None:
        target = self.pop(list)
        target += values
        self.push(target)

    def assign(self, items: list[Any]) -> None:
        target = self.pop(dict)
        for key, value in zip(items[::2], items[1::2], strict=True):
            if not isinstance(key, (bytes, str)):  # anything else may nest too deep to be hashed
                raise ValueError(f"a {type(key).__name__} as a key")
            target[key] = value
        self.push(target)

    def name(self) -> None:
        name = f"{self.line()}.{self.line()}"
        if name not in NAMES:
            raise ValueError(f"it asks for {name}, which image data has no use for")
        self.push(NAMES[name])

    def reduce(self) -> None:
        arguments, what = self.pop(tuple), self.pop(Name)
        self.push(ByteTable() if what is TABLE else Dtype(arguments[0]))

    def build(self) -> None:
        state, target = self.pop(tuple), self.stack[-1]
        if isinstance(target, ByteTable):
            target.restore(*state)
        elif not isinstance(target, Dtype):  # whose state says nothing more
            raise ValueError(f"a state for a {type(target).__name__}")


OPERATIONS: dict[bytes, Callable[[_Machine], None]] = {
    b"\x80": lambda m: m.skip(1),  # the protocol
    b"(": lambda m: m.marks.append(len(m.stack)),
    b"N": lambda m: m.push(None),
    b"\x88": lambda m: m.push(True),
    b"\x89": lambda m: m.push(False),
    b"K": lambda m: m.push(m.number(1)),
    b"M": lambda m: m.push(m.number(2)),
    b"J": lambda m: m.push(m.number(4, signed=True)),
    b"\x8a": lambda m: m.push(m.number(m.number(1), signed=True)),
    b"U": lambda m: m.push(m.take(m.number(1))),
    b"C": lambda m: m.push(m.take(m.number(1))),
    b"T": lambda m: m.push(m.take(m.number(4))),
    b"B": lambda m: m.push(m.take(m.number(4))),
    b"X": lambda m: m.push(m.take(m.number(4)).decode()),
    b"q": lambda m: m.memo.update({m.number(1): m.stack[-1]}),
    b"r": lambda m: m.memo.update({m.number(4): m.stack[-1]}),
    b"h": lambda m: m.push(m.memo[m.number(1)]),
    b"j": lambda m: m.push(m.memo[m.number(4)]),
    b"]": lambda m: m.push([]),
    b"a": lambda m: m.append(m.last(1)),
    b"e": lambda m: m.append(m.since_mark()),
    b"}": lambda m: m.push({}),
    b"s": lambda m: m.assign(m.last(2)),
    b"u": lambda m: m.assign(m.since_mark()),
    b")": lambda m: m.push(()),
    b"t": lambda m: m.push(tuple(m.since_mark())),
    b"\x85": lambda m: m.push(tuple(m.last(1))),
    b"\x86": lambda m: m.push(tuple(m.last(2))),
    b"\x87": lambda m: m.push(tuple(m.last(3))),
    b"c": _Machine.name,
    b"R": _Machine.reduce,
    b"b": _Machine.build,
}


def read_pickle(path: Path | str, data: bytes | bytearray) -> Any:
    """Numbers, strings, containers and byte tables from ``data``; ``ValueError`` naming ``path`` for anything else."""
    with reading(path):
        return _Machine(data).run()
