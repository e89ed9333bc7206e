"""State as JSON and tensors: what a checkpoint is made of, and back."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from torch import Tensor

Path = tuple[str, ...]
TENSOR, TUPLE, ITEMS, FLOAT = "$tensor", "$tuple", "$items", "$float"


class Packed:
    """``tree``: the state as JSON, in which tensors are referred to by name; ``tensors``: by that name."""

    def __init__(self, state: Any) -> None:
        self.tensors: dict[str, Tensor] = {}
        self.paths: dict[str, Path] = {}
        self.tree = self._pack(state, ())

    def _pack(self, value: Any, at: Path) -> Any:
        if isinstance(value, Tensor):
            name = "/".join(at)
            while name in self.tensors:  # keys may hold slashes
                name += "'"
            self.tensors[name], self.paths[name] = value.detach(), at
            return {TENSOR: name}
        if isinstance(value, Mapping):
            return {ITEMS: [[_key(k, at), self._pack(v, (*at, str(k)))] for k, v in value.items()]}
        if isinstance(value, (list, tuple)):
            items = [self._pack(v, (*at, str(i))) for i, v in enumerate(value)]
            return {TUPLE: items} if isinstance(value, tuple) else items
        if isinstance(value, float) and not math.isfinite(value):
            return {FLOAT: str(value)}
        if value is None or isinstance(value, (bool, int, float, str)):
            return value
        raise TypeError(
            f"{'/'.join(at)} is {type(value).__name__}: a state is made of tensors, numbers, strings, lists and "
            "mappings only"
        )


def unpack(tree: Any, tensors: Mapping[str, Tensor]) -> Any:
    """The state that was packed. Raises ``ValueError`` or ``LookupError`` if ``tree`` is not what ``Packed`` makes."""
    if isinstance(tree, list):
        return [unpack(v, tensors) for v in tree]
    if not isinstance(tree, dict):
        return tree
    (kind, value), *others = tree.items()
    if others or kind not in (TENSOR, TUPLE, ITEMS, FLOAT):
        raise ValueError(f"an object with the keys {sorted(tree)[:3]}")
    if kind == TENSOR:
        return tensors[value]
    if kind == FLOAT:
        return float(value)
    if kind == TUPLE:
        return tuple(unpack(v, tensors) for v in value)
    return {k: unpack(v, tensors) for k, v in value}


def _key(key: Any, at: Path) -> str | int:
    if isinstance(key, (str, int)) and not isinstance(key, bool):
        return key
    raise TypeError(f"{'/'.join(at)} has the key {key!r}: the keys of a state are strings or whole numbers")
