"""Frozen: no gradient and always in eval mode."""

from __future__ import annotations

from typing import Self

import torch
from torch import Tensor, nn


class Frozen(nn.Module):
    """A module that does not learn: its parameters need no gradient, its dropout and batch statistics stand still."""

    def __init__(self, module: nn.Module) -> None:
        super().__init__()
        self.module = module.eval().requires_grad_(False)

    def forward(self, x: Tensor) -> Tensor:
        """The module's output, without a graph."""
        with torch.no_grad():
            output: Tensor = self.module(x)
        return output

    def train(self, mode: bool = True) -> Self:
        """Stay in eval mode, whatever is asked."""
        return super().train(False)
