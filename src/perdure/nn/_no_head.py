"""A head that says nothing, and a last layer that is learnt in its place."""

from __future__ import annotations

from collections import OrderedDict

import torch
from torch import Tensor, nn

from perdure._random import addressed_default
from perdure.nn._given_head import linear_head
from perdure.nn._model import Head, Network


class NoHead(Head):
    """Logits of zero: for a learner that teaches features alone, and in which a part answers."""

    admitted: Tensor
    """(capacity,) bool: what tells a saved state how many classes there was room for."""

    def __init__(self, capacity: int) -> None:
        super().__init__()
        if capacity < 1:
            raise ValueError(f"capacity={capacity}: a head needs room for at least one class")
        self.capacity = capacity
        self.register_buffer("admitted", torch.zeros(capacity, dtype=torch.bool))

    def forward(self, features: Tensor) -> Tensor:
        """Zeros (B, capacity)."""
        return features.new_zeros(len(features), self.capacity)

    def admit(self, label: int, seed: int) -> None:
        """Note it; there is no row to initialise."""
        self.admitted[label] = True

    def grow(self, capacity: int) -> dict[nn.Parameter, nn.Parameter]:
        """More zeros."""
        return self._resize(capacity)

    def shrink(self, capacity: int) -> dict[nn.Parameter, nn.Parameter]:
        """Fewer zeros."""
        return self._resize(capacity)

    def _resize(self, capacity: int) -> dict[nn.Parameter, nn.Parameter]:
        more = self.admitted.new_zeros(max(0, capacity - self.capacity))
        self.admitted = torch.cat([self.admitted[:capacity], more])
        self.capacity = capacity
        return {}


def embedded(model: nn.Module, size: int, *, seed: int = 0) -> Network:
    """The backbone of ``model`` and a linear layer to ``size`` features in the place of its head; PyTorch's initial
    weights, from ``seed``. ``ValueError`` where the model is no ``perdure.nn.Network`` with a ``LinearHead``.
    """
    if size < 1:
        raise ValueError(f"size={size}: give at least one feature")
    network, head = linear_head(model)
    with addressed_default(seed, "embedding"):
        layer = nn.Linear(head.weight.shape[1], size).to(head.weight)
    return Network(
        nn.Sequential(OrderedDict(backbone=network.backbone, embedding=layer)),
        NoHead(head.capacity).to(head.weight.device),
    )
