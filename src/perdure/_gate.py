"""The gate: what a batch must look like, checked before anything is changed."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from perdure._records import Batch


class BadBatch(ValueError):
    """A batch that cannot be learnt; the learner is as it was."""


def check(batch: Batch, example: Batch | None) -> None:
    """Raise ``ValueError`` (or ``TypeError``) if ``batch`` is malformed or differs in kind from ``example``, the first
    one learnt.
    """
    if not isinstance(batch, Batch):
        raise TypeError(f"expected a perdure.Batch, found {type(batch).__name__}: wrap it, Batch(x, y)")
    x, y, task = batch.x, batch.y, batch.task
    if not isinstance(x, Tensor) or not isinstance(y, Tensor):
        raise TypeError(
            f"Batch.x and .y must be tensors, found {type(x).__name__} and {type(y).__name__}: use torch.as_tensor"
        )
    if y.dtype != torch.int64 or y.dim() != 1:
        raise ValueError(
            f"labels must be (B,) int64, found {tuple(y.shape)} {y.dtype}: convert with y.long().flatten()"
        )
    if x.dim() < 2 or x.shape[0] != y.shape[0]:
        raise ValueError(f"x must be (B, ...) with one label each, found x {tuple(x.shape)} and {y.shape[0]} labels")
    if not y.shape[0]:
        raise ValueError("the batch is empty: leave it out")
    if task is not None and (task.dtype != torch.int64 or task.shape != y.shape):
        raise ValueError(f"tasks must be (B,) int64, one for each label, found {tuple(task.shape)} {task.dtype}")
    if example is not None:
        _check_kind(batch, example)
    check_finite(x)


def _check_kind(batch: Batch, example: Batch) -> None:
    if batch.x.shape[1:] != example.x.shape[1:] or batch.x.dtype != example.x.dtype:
        raise ValueError(
            f"examples of shape {tuple(batch.x.shape[1:])} {batch.x.dtype}, but this learner learns "
            f"{tuple(example.x.shape[1:])} {example.x.dtype}: convert them, or build another learner"
        )
    if (batch.task is None) != (example.task is None):
        told, was = ("not told", "told") if batch.task is None else ("told", "not told")
        raise ValueError(f"the batch's tasks are {told} but those before were {was}: give Batch.task always or never")


def check_finite(x: Tensor) -> None:
    """Raise if floating ``x`` holds NaN or infinity.

    Looks at data in main memory only: on a device it would stall the queue.
    """
    if x.device.type != "cpu" or not x.is_floating_point():
        return
    if math.isfinite(x.sum().item()) or bool(torch.isfinite(x).all()):
        return
    row = int((~torch.isfinite(x)).flatten(1).any(1).nonzero()[0])
    raise ValueError(f"example {row} of the batch holds NaN or infinity: drop it or fill it in")
