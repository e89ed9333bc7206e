"""Scale a learning rate wherever it is kept."""

from __future__ import annotations

from typing import Any

from torch import Tensor
from torch.optim import Optimizer
from torch.optim.lr_scheduler import (
    ChainedScheduler,
    CosineAnnealingLR,
    CosineAnnealingWarmRestarts,
    CyclicLR,
    LRScheduler,
    SequentialLR,
)

RATES = ("lr", "initial_lr", "max_lr", "min_lr", "swa_lr")


def scale(optimizer: Optimizer, scheduler: LRScheduler | None, factor: float) -> None:
    """Multiply every learning rate of ``optimizer`` and ``scheduler``: those of now and those it will come to.

    A scheduler of your own is scaled through ``base_lrs`` and the optimizer's groups; rates that it keeps elsewhere
    stay.
    """
    for group in optimizer.param_groups:
        for key in RATES:
            if isinstance(group.get(key), (float, int, Tensor)):
                group[key] = group[key] * factor  # a new tensor: groups may share one
    if scheduler is not None:
        _scale_scheduler(scheduler, factor)


def _scale_scheduler(scheduler: LRScheduler, factor: float) -> None:
    scheduler._last_lr = _times(scheduler._last_lr, factor)
    if isinstance(scheduler, (ChainedScheduler, SequentialLR)):
        for inner in scheduler._schedulers:
            _scale_scheduler(inner, factor)
        return
    scheduler.base_lrs = _times(scheduler.base_lrs, factor)
    if isinstance(scheduler, (CosineAnnealingLR, CosineAnnealingWarmRestarts)):
        scheduler.eta_min *= factor
    if isinstance(scheduler, CyclicLR):
        scheduler.max_lrs = _times(scheduler.max_lrs, factor)


def _times(rates: list[Any], factor: float) -> list[Any]:
    return [rate * factor for rate in rates]
