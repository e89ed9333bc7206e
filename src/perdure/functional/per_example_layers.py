"""Gradients of each example for linear, convolution and normalisation layers, from their inputs and output gradients.

Legend: B examples, T positions, O outputs, I inputs of a layer.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass

from torch import Tensor
from torch.autograd.graph import GradientEdge
from torch.nn import functional as F


@dataclass(frozen=True, eq=False)
class Use(ABC):
    """A layer at work: which parameters it used (``weight`` and ``bias``, either may be None) and where its output
    enters the graph.
    """

    weight: Tensor | None
    bias: Tensor | None
    edge: GradientEdge

    @property
    @abstractmethod
    def examples(self) -> int:
        """B."""

    @property
    @abstractmethod
    def positions(self) -> tuple[int, ...]:
        """The axes between examples and what the layer computes with, which might be the examples as well."""

    @abstractmethod
    def weight_gradients(self, g: Tensor, rows: slice, outputs: slice) -> Tensor:
        """Of the examples ``rows`` and outputs ``outputs``, one row an example, for the output gradient g (B, ...)."""

    @abstractmethod
    def bias_gradients(self, g: Tensor) -> Tensor:
        """(B, O)."""

    @property
    def outer(self) -> Tensor | None:
        """The input (B, I) where the gradient of the weight is an outer product; it need not be formed then."""
        return None

    @property
    def outputs(self) -> int:
        """O."""
        return 0 if self.weight is None else self.weight.shape[0]

    @property
    def numbers(self) -> int:
        """How many numbers ``weight_gradients`` makes on its way, for an example."""
        return 0 if self.weight is None else self.weight.numel()


@dataclass(frozen=True, eq=False)
class Linear(Use):
    """``x_BTI @ weight_OI.T + bias_O``."""

    x: Tensor

    @property
    def examples(self) -> int:
        """B."""
        return len(self.x)

    @property
    def positions(self) -> tuple[int, ...]:
        """Sizes."""
        return self.x.shape[1:-1]

    def weight_gradients(self, g: Tensor, rows: slice, outputs: slice) -> Tensor:
        """(b, o * I)."""
        return (_positions(g)[rows, :, outputs].mT @ _positions(self.x)[rows]).flatten(1)

    def bias_gradients(self, g: Tensor) -> Tensor:
        """Summed over positions."""
        return _positions(g).sum(1)

    @property
    def outer(self) -> Tensor | None:
        """Where there is one position."""
        x = _positions(self.x)
        return x[:, 0] if x.shape[1] == 1 else None


@dataclass(frozen=True, eq=False)
class Convolution(Use):
    """Two-dimensional, or one-dimensional with a height of 1; ``padding`` is left, right, top, bottom."""

    x: Tensor
    kernel: tuple[int, int]
    stride: tuple[int, int]
    padding: tuple[int, int, int, int]
    dilation: tuple[int, int]
    groups: int

    @property
    def examples(self) -> int:
        """B."""
        return len(self.x)

    @property
    def positions(self) -> tuple[int, ...]:
        """Sizes."""
        return self.x.shape[2:]

    @property
    def numbers(self) -> int:
        """With the patches of the input."""
        return super().numbers + self.x[0].numel() * math.prod(self.kernel) // math.prod(self.stride)

    def weight_gradients(self, g: Tensor, rows: slice, outputs: slice) -> Tensor:
        """(b, o * I / groups * kernel)."""
        patches = F.unfold(F.pad(self.x[rows], self.padding), self.kernel, self.dilation, 0, self.stride)  # b, I k, T
        g = g[rows].flatten(2)
        if self.groups == 1:
            return (g[:, outputs] @ patches.mT).flatten(1)
        b, k = len(g), self.groups
        grouped = g.reshape(b, k, -1, g.shape[2]) @ patches.reshape(b, k, -1, g.shape[2]).mT  # b, G, O / G, I k / G
        return grouped.flatten(1, 2)[:, outputs].flatten(1)

    def bias_gradients(self, g: Tensor) -> Tensor:
        """Summed over positions."""
        return g.flatten(2).sum(2)


@dataclass(frozen=True, eq=False)
class Scaling(Use):
    """``normal * weight + bias``, where ``normal`` does not depend on either; ``over`` are the axes they are spread
    over.
    """

    normal: Tensor
    over: tuple[int, ...]

    @property
    def examples(self) -> int:
        """B."""
        return len(self.normal)

    @property
    def positions(self) -> tuple[int, ...]:
        """Sizes."""
        return tuple(self.normal.shape[axis] for axis in self.over)

    @property
    def outputs(self) -> int:
        """The weight may have several axes."""
        return 0 if self.weight is None else self.weight.numel()

    @property
    def numbers(self) -> int:
        """With the positions."""
        return self.normal[0].numel()

    def weight_gradients(self, g: Tensor, rows: slice, outputs: slice) -> Tensor:
        """(b, o)."""
        return self._sum((g * self.normal)[rows])[:, outputs]

    def bias_gradients(self, g: Tensor) -> Tensor:
        """Summed over positions."""
        return self._sum(g)

    def _sum(self, value: Tensor) -> Tensor:
        return (value.sum(self.over) if self.over else value).flatten(1)


def _positions(x: Tensor) -> Tensor:
    """(B, ..., D) as (B, T, D)."""
    return x[:, None] if x.dim() == 2 else x.flatten(1, -2)
