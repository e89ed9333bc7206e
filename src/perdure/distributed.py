"""Several processes that learn together: who am I, and how their states become one."""

from __future__ import annotations

import torch


def rank_and_world() -> tuple[int, int]:
    """This process and how many there are: (0, 1) without ``torch.distributed``."""
    if torch.distributed.is_available() and torch.distributed.is_initialized():
        return torch.distributed.get_rank(), torch.distributed.get_world_size()
    return 0, 1
