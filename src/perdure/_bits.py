"""The bytes of a tensor."""

from __future__ import annotations

import torch
from torch import Tensor


def raw(x: Tensor) -> memoryview:
    """The bytes of ``x`` in main memory, row by row; of any dtype.

    >>> raw(torch.tensor([[1, 2]], dtype=torch.int16)).tolist()
    [1, 0, 2, 0]
    """
    return x.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy().data
