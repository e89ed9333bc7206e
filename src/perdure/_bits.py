"""The bytes of a tensor."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor


def raw(x: Tensor) -> np.ndarray[Any, np.dtype[np.uint8]]:
    """The bytes of ``x`` in main memory, row by row; of any dtype.

    >>> raw(torch.tensor([[1, 2]], dtype=torch.int16)).tolist()
    [1, 0, 2, 0]
    """
    found: np.ndarray[Any, np.dtype[np.uint8]] = x.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy()
    return found
