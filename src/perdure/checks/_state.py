"""Compare states bit for bit, and notice who touches the global random generators."""

from __future__ import annotations

import copy
import random
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from torch import Tensor

from perdure._contract import ContinualLearner
from perdure._records import Batch


def snapshot(learner: ContinualLearner) -> dict[str, Any]:
    """The learner's state, by itself: what it learns later does not show in it."""
    return copy.deepcopy(learner.state_dict())


def difference(a: Any, b: Any, at: str = "state") -> str | None:
    """Where ``a`` and ``b`` first differ, in words; None if they are equal bit for bit."""
    if isinstance(a, Mapping) and isinstance(b, Mapping):
        if a.keys() != b.keys():
            return f"{at} has {sorted(map(str, a.keys() ^ b.keys()))} on one side only"
        pairs = [(a[k], b[k], f"{at}/{k}") for k in a]
    elif isinstance(a, (list, tuple)) and type(a) is type(b):
        if len(a) != len(b):
            return f"{at} has {len(a)} entries on one side, {len(b)} on the other"
        pairs = [(x, y, f"{at}/{i}") for i, (x, y) in enumerate(zip(a, b, strict=True))]
    elif isinstance(a, Tensor) and isinstance(b, Tensor):
        return None if same_bits(a, b) else f"{at} differs"
    else:
        same = type(a) is type(b) and (a == b or (a != a and b != b))
        return None if same else f"{at} is {_brief(a)} on one side, {_brief(b)} on the other"
    return next((found for pair in pairs if (found := difference(*pair)) is not None), None)


def _brief(value: Any) -> str:
    return type(value).__name__ if isinstance(value, (Tensor, Mapping, list, tuple)) else repr(value)


def none(found: str | None, what: str) -> None:
    """Raise ``AssertionError`` if a difference was found."""
    if found is not None:
        raise AssertionError(f"{what}: {found}")


def same_bits(a: Tensor, b: Tensor) -> bool:
    """Whether two tensors agree in shape, dtype and every bit, NaN included."""
    return a.shape == b.shape and a.dtype == b.dtype and torch.equal(_bytes(a), _bytes(b))


def _bytes(x: Tensor) -> Tensor:
    return x.detach().cpu().contiguous().reshape(-1).view(torch.uint8)


def copy_batch(batch: Batch) -> Batch:
    """The same examples in memory of their own."""
    task = None if batch.task is None else batch.task.clone()
    return Batch(batch.x.clone(), batch.y.clone(), task, {k: v.clone() for k, v in batch.stored.items()})


def batch_difference(a: Batch, b: Batch, at: str = "batch") -> str | None:
    """``difference`` of two batches."""
    return difference(
        {"x": a.x, "y": a.y, "task": a.task, **a.stored}, {"x": b.x, "y": b.y, "task": b.task, **b.stored}, at
    )


@contextmanager
def no_global_randomness(what: str) -> Iterator[None]:
    """Raise ``AssertionError`` if the block moves the global generator of Python, NumPy or PyTorch."""
    before = _generators()
    yield
    for name, state in _generators().items():
        if difference(before[name], state) is not None:
            raise AssertionError(f"{what} moved the global random generator of {name}")


def _generators() -> dict[str, Any]:
    kind, keys, *rest = np.random.get_state()  # noqa: NPY002 (read, never drawn from)
    return {
        "Python": random.getstate(),
        "NumPy": (kind, torch.from_numpy(np.array(keys).astype(np.int64)), *rest),
        "PyTorch": torch.get_rng_state(),
    }
