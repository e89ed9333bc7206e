"""The linear head, which grows."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from perdure._random import generator
from perdure.nn._model import Head, Network, find


class LinearHead(Head):
    """One row of weights a class. Rows start at zero; admission adds the random part, addressed by the class.

    So a class gets the same start whenever it comes, and what a loss over the whole head has taught a row before its
    class came stays. The random part is PyTorch's for ``nn.Linear``: uniform in +-1/sqrt(num_features), weight and
    bias. The first ``given`` rows (of a head that was trained elsewhere) are left as they are.
    """

    def __init__(self, num_features: int, capacity: int, *, bias: bool = True, given: int = 0) -> None:
        super().__init__()
        if capacity < 1:
            raise ValueError(f"capacity={capacity}: a head needs room for at least one class")
        self.capacity = capacity
        self.given = given
        self.weight = nn.Parameter(torch.zeros(capacity, num_features))
        self.bias = nn.Parameter(torch.zeros(capacity)) if bias else None

    def forward(self, features: Tensor) -> Tensor:
        """``features_BD @ weight_CD.T + bias_C``."""
        return nn.functional.linear(features, self.weight, self.bias)

    @torch.no_grad()
    def admit(self, label: int, seed: int) -> None:
        """Add the random part to the row of class ``label``."""
        if label < self.given:
            return
        bound = 1 / math.sqrt(self.weight.shape[1])
        random = torch.rand(self.weight.shape[1] + 1, generator=generator(seed, "head", label)) * 2 * bound - bound
        self.weight[label] += random[:-1].to(self.weight)
        if self.bias is not None:
            self.bias[label] += random[-1].to(self.bias)

    def grow(self, capacity: int) -> dict[nn.Parameter, nn.Parameter]:
        """Append zero rows up to ``capacity``."""
        return self._resize(capacity)

    def shrink(self, capacity: int) -> dict[nn.Parameter, nn.Parameter]:
        """Drop the rows from ``capacity`` on."""
        return self._resize(capacity)

    def _resize(self, capacity: int) -> dict[nn.Parameter, nn.Parameter]:
        replaced = {}
        for name in ("weight", "bias"):
            old = getattr(self, name)
            if old is not None:
                extra = old.new_zeros(max(0, capacity - self.capacity), *old.shape[1:])
                new = nn.Parameter(torch.cat([old.detach()[:capacity], extra]), requires_grad=old.requires_grad)
                setattr(self, name, new)
                replaced[old] = new
        self.capacity = capacity
        return replaced


def split(model: nn.Module, *, head: str) -> Network:
    """Turn your own classifier into a backbone and a head that grows, keeping its weights.

    ``head`` names its last layer, an ``nn.Linear``, as in ``dict(model.named_modules())``. The model is changed: that
    layer becomes ``nn.Identity``, so that the model returns features, and a ``LinearHead`` with its weights takes its
    place.

    >>> from torch import nn
    >>> net = split(nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 3)), head="2")
    >>> net.capacity
    3
    """
    last = find(model, head)
    if not isinstance(last, nn.Linear):
        raise ValueError(f"head={head!r} is {type(last).__name__}; it must be the model's last layer, an nn.Linear")
    grown = LinearHead(last.in_features, last.out_features, bias=last.bias is not None, given=last.out_features)
    with torch.no_grad():
        grown.weight.copy_(last.weight)
        if grown.bias is not None:
            grown.bias.copy_(last.bias)
    parent, _, leaf = head.rpartition(".")
    setattr(model.get_submodule(parent), leaf, nn.Identity())
    return Network(model, grown.to(last.weight))
