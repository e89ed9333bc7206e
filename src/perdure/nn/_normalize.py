"""Turn raw inputs, bytes included, into floats of about unit scale."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Self

import torch
from torch import Tensor, nn


class Normalize(nn.Module):
    """``(x - mean) / std`` a channel (B, C, ...) or a feature (B, D), in the dtype of ``mean``.

    Inputs of any dtype are accepted, so that memories can keep bytes.
    """

    mean: Tensor
    std: Tensor

    def __init__(self, mean: Tensor, std: Tensor) -> None:
        super().__init__()
        if not bool((std > 0).all()):
            raise ValueError("every std must be above 0: drop constant features or give them std 1")
        self.register_buffer("mean", mean)
        self.register_buffer("std", std)

    def forward(self, x: Tensor) -> Tensor:
        """Same shape, floating point."""
        return (x.to(self.mean.dtype) - self.mean) / self.std

    @classmethod
    def fit(cls, batches: Iterable[Tensor]) -> Self:
        """The mean and standard deviation of ``batches``, in float64; constant channels get std 1.

        Fit it on the first experience only: what comes later is the future.
        """
        count, total, squares = 0, torch.zeros(()), torch.zeros(())
        shape: tuple[int, ...] = ()
        for x in batches:
            flat = x.double().flatten(2) if x.dim() > 2 else x.double().unsqueeze(2)  # B, channels, positions
            shape = (flat.shape[1], *[1] * (x.dim() - 2))
            count += flat.shape[0] * flat.shape[2]
            total = total + flat.sum((0, 2))
            squares = squares + flat.square().sum((0, 2))
        if not count:
            raise ValueError("no examples to take a mean of: give at least one batch")
        mean = total / count
        std = (squares / count - mean.square()).clamp(min=0).sqrt()
        std = torch.where(std > 1e-6 * (1 + mean.abs()), std, torch.ones_like(std))
        return cls(mean.float().reshape(shape), std.float().reshape(shape))
