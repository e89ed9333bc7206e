"""What every recipe passes on to ``Learner``."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal, TypedDict

from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler

from perdure.functional.augmentation import Augment


class LearnerOptions(TypedDict, total=False):
    """See ``perdure.Learner``."""

    seed: int
    forward: Literal["joint", "separate"]
    augment: Augment | None
    scheduler: Callable[[Optimizer], LRScheduler] | None
