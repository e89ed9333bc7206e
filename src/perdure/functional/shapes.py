"""Tensors in another shape, or with more room, that say the same."""

from __future__ import annotations

import math
from collections.abc import Sequence

from torch import Tensor


def as_rows(stack: Tensor) -> Tensor:
    """(N, ...) as (N, numbers of each): ``flatten(1)`` that also takes N scalars, and a stack of none."""
    return stack.reshape(len(stack), math.prod(stack.shape[1:]))


def padded(value: Tensor, shape: Sequence[int], fill: float = 0) -> Tensor:
    """A tensor of ``shape`` that begins with ``value`` along each axis, ``fill`` beyond; ``value`` itself if it has it.

    >>> import torch
    >>> padded(torch.ones(1, 2), (2, 3))
    tensor([[1., 1., 0.],
            [0., 0., 0.]])
    """
    if value.shape == tuple(shape):
        return value
    wide = value.new_full(tuple(shape), fill)
    wide[tuple(slice(0, size) for size in value.shape)] = value
    return wide
