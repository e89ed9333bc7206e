"""Notice a state that holds words where numbers belong: it would load, and fail in the middle of an update."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import Tensor


def check_kinds(mine: Any, saved: Any, at: str = "") -> None:
    """Raise ``ValueError`` if ``saved`` has another kind of thing somewhere than ``mine`` has there; either may have
    None.

    >>> check_kinds({"lr": 0.1, "task": None}, {"lr": 1, "task": 3})
    >>> check_kinds({"lr": 0.1}, {"lr": "0.1"})
    Traceback (most recent call last):
    ...
    ValueError: the state's /lr is words, expected a number: it is damaged
    """
    here, there = _kind(mine), _kind(saved)
    if here and there and here != there:
        raise ValueError(f"the state's {at} is {there}, expected {here}: it is damaged")
    if isinstance(mine, Mapping) and isinstance(saved, Mapping):
        for key in mine:
            if key in saved:
                check_kinds(mine[key], saved[key], f"{at}/{key}")
    elif isinstance(mine, (list, tuple)) and isinstance(saved, (list, tuple)):
        for number, (a, b) in enumerate(zip(mine, saved, strict=False)):
            check_kinds(a, b, f"{at}/{number}")


def _kind(value: Any) -> str:
    match value:
        case bool():
            return "yes or no"
        case int() | float():
            return "a number"
        case str():
            return "words"
        case Tensor():
            return "a tensor"
        case Mapping():
            return "a mapping"
        case list():
            return "a list"
        case tuple():
            return "a tuple"
    return ""
