"""Batch normalization that is learnt in the first experience and stays."""

from __future__ import annotations

from typing import Any, Self, TypeVar

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from perdure._part import Part
from perdure._records import Boundary

Module = TypeVar("Module", bound=nn.Module)


class SettlingNorm(nn.Module):
    """A batch normalization that, once ``settled``, is in eval mode for good: it uses its statistics and leaves them.

    A method that promises not to change what was learnt cannot let the statistics follow new data, and none of its
    projections reaches them.
    """

    settled: Tensor
    """() bool."""

    def __init__(self, norm: _BatchNorm) -> None:
        super().__init__()
        self.norm = norm
        device = None if norm.running_mean is None else norm.running_mean.device
        self.register_buffer("settled", torch.zeros((), dtype=torch.bool, device=device))

    def forward(self, x: Tensor) -> Tensor:
        """Normalized."""
        normalized: Tensor = self.norm(x)
        return normalized

    def settle(self) -> None:
        """From now on."""
        self.settled.fill_(True)
        self.train(self.training)

    def train(self, mode: bool = True) -> Self:
        """Train or eval mode; the norm itself stays in eval mode once settled."""
        self.training = mode
        self.norm.train(mode and not bool(self.settled))
        return self

    def _load_from_state_dict(self, *arguments: Any) -> None:
        super()._load_from_state_dict(*arguments)
        self.train(self.training)


def with_settling_norms(model: Module) -> Module:
    """The model, each batch normalization that tracks statistics wrapped into a ``SettlingNorm``; it is changed.

    >>> net = with_settling_norms(nn.Sequential(nn.Linear(4, 8), nn.BatchNorm1d(8)))
    >>> type(net[1]).__name__
    'SettlingNorm'
    """
    for module in list(model.modules()):
        if isinstance(module, SettlingNorm):
            continue
        for name, child in module.named_children():
            if isinstance(child, _BatchNorm) and child.track_running_stats:
                setattr(module, name, SettlingNorm(child))
    return model


class SettleNorms(Part):
    """Settles each ``SettlingNorm`` of the model at the end of the first experience."""

    needs_boundaries = True

    def consolidate(self, boundary: Boundary) -> None:
        """Statistics and scales stay from here on."""
        for module in boundary.model.modules():
            if isinstance(module, SettlingNorm):
                module.settle()
