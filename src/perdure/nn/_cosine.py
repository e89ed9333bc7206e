"""A head that compares directions, and how to put it in the place of a linear one."""

from __future__ import annotations

import math
from collections import OrderedDict

import torch
from torch import Tensor, nn

from perdure._random import generator
from perdure.nn._given_head import linear_head
from perdure.nn._model import Head, Network


class CosineHead(Head):
    """``scale * cos(features, weight)``, a row of weights a class, one scale for all that is learnt (Hou et al. 2019,
    section 3.2).

    Neither the length of features nor that of a row counts, so that new classes cannot shout old ones down. Rows are
    zero, and answer 0, until their class is admitted: then they get a random direction, addressed by the class.
    """

    def __init__(self, num_features: int, capacity: int, *, scale: float = 1.0) -> None:
        super().__init__()
        if capacity < 1:
            raise ValueError(f"capacity={capacity}: a head needs room for at least one class")
        if not scale > 0:
            raise ValueError(f"scale={scale}: start from a number above 0")
        self.capacity = capacity
        self.weight = nn.Parameter(torch.zeros(capacity, num_features))
        self.scale = nn.Parameter(torch.tensor(float(scale)))

    def forward(self, features: Tensor) -> Tensor:
        """``scale * cosines(features)``."""
        return self.scale * self.cosines(features)

    def cosines(self, features: Tensor) -> Tensor:
        """``cos(features_BD, weight_CD)``, 0 where either is zero."""
        return nn.functional.linear(direction(features), direction(self.weight))

    @torch.no_grad()
    def admit(self, label: int, seed: int) -> None:
        """Add the random part to the row of class ``label``: uniform in +-1/sqrt(num_features)."""
        bound = 1 / math.sqrt(self.weight.shape[1])
        drawn = torch.rand(self.weight.shape[1], generator=generator(seed, "head", label)) * 2 * bound - bound
        self.weight[label] += drawn.to(self.weight)

    def grow(self, capacity: int) -> dict[nn.Parameter, nn.Parameter]:
        """Append zero rows up to ``capacity``."""
        return self._resize(capacity)

    def shrink(self, capacity: int) -> dict[nn.Parameter, nn.Parameter]:
        """Drop the rows from ``capacity`` on."""
        return self._resize(capacity)

    def _resize(self, capacity: int) -> dict[nn.Parameter, nn.Parameter]:
        old = self.weight
        extra = old.new_zeros(max(0, capacity - self.capacity), old.shape[1])
        self.weight = nn.Parameter(torch.cat([old.detach()[:capacity], extra]), requires_grad=old.requires_grad)
        self.capacity = capacity
        return {old: self.weight}


class CosineNetwork(Network):
    """A network whose head is a ``CosineHead``."""

    head: CosineHead


def direction(rows: Tensor) -> Tensor:
    """Each row divided by its length; a row of zeros stays, with a finite gradient."""
    lengths = torch.linalg.vector_norm(rows, dim=1, keepdim=True)
    return rows / torch.where(lengths > 0, lengths, 1.0)


def with_cosine_head(
    model: nn.Module, *, scale: float = 1.0, learn_scale: bool = True, signed: bool = True
) -> CosineNetwork:
    """The backbone of ``model`` and a ``CosineHead`` in place of the linear one. The backbone is the same, and learns;
    ``model`` keeps its head.

    ``signed`` leaves out the backbone's last ReLU, so that features point in all directions: where the backbone is an
    ``nn.Sequential`` with nothing but dropout or flattening after it. Otherwise features stay as they are. With
    ``learn_scale=False`` the scale stays what it is.
    ``ValueError`` where the model is no ``perdure.nn.Network`` with a ``LinearHead``.
    """
    network, linear = linear_head(model)
    head = CosineHead(linear.weight.shape[1], linear.capacity, scale=scale).to(linear.weight)
    head.scale.requires_grad_(learn_scale)
    return CosineNetwork(without_last_relu(network.backbone) if signed else network.backbone, head)


def without_last_relu(backbone: nn.Module) -> nn.Module:
    """The layers but the last ReLU, under their old names; the same backbone if something else comes after it."""
    if type(backbone) is not nn.Sequential:  # those who inherit may do otherwise with their layers
        return backbone
    layers = list(backbone.named_children())
    last = next((name for name, layer in reversed(layers) if not isinstance(layer, (nn.Dropout, nn.Flatten))), None)
    if last is None or not isinstance(backbone.get_submodule(last), nn.ReLU):
        return backbone
    return nn.Sequential(OrderedDict((name, layer) for name, layer in layers if name != last))
