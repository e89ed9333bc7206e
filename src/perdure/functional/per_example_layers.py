"""Gradients of each example for linear, convolution and normalisation layers, from their inputs and output gradients.

Legend: B examples, T positions, O outputs, I inputs of a layer.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from torch import Tensor
from torch.autograd.graph import GradientEdge, get_gradient_edge
from torch.nn import functional as F
from torch.overrides import TorchFunctionMode

NUMBERS = 2**23
"""No more numbers than about this are held at once for gradients that have to be formed."""


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


class Watch(TorchFunctionMode):
    """Notes each use of ``params`` by a layer that is known here, while a model runs within."""

    def __init__(self, params: Sequence[Tensor]) -> None:
        super().__init__()
        self.ids = {id(p) for p in params}
        self.uses: list[Use] = []

    def __torch_function__(
        self, func: Callable[..., Any], types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        out = func(*args, **(kwargs or {}))
        make = _KNOWN.get(func)
        if make is not None and out.requires_grad:
            use = make(get_gradient_edge(out), *args, **(kwargs or {}))
            if use is not None and {id(use.weight), id(use.bias)} & self.ids:
                self.uses.append(use)
        return out


def _linear(edge: GradientEdge, input: Tensor, weight: Tensor, bias: Tensor | None = None) -> Use | None:
    return Linear(weight, bias, edge, input.detach()) if input.dim() > 1 else None


def _conv2d(
    edge: GradientEdge,
    input: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    stride: Any = 1,
    padding: Any = 0,
    dilation: Any = 1,
    groups: int = 1,
) -> Use | None:
    kernel, dilation = (weight.shape[-2], weight.shape[-1]), _pair(dilation)
    (top, bottom), (left, right) = _sides(padding, kernel, dilation)
    around = (left, right, top, bottom)
    if input.dim() != 4:
        return None
    return Convolution(weight, bias, edge, input.detach(), kernel, _pair(stride), around, dilation, groups)


def _conv1d(
    edge: GradientEdge,
    input: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    stride: Any = 1,
    padding: Any = 0,
    dilation: Any = 1,
    groups: int = 1,
) -> Use | None:
    if input.dim() != 3:
        return None
    kernel, dilation = (1, weight.shape[-1]), (1, _pair(dilation)[1])
    left, right = _sides(padding, kernel, dilation)[1]
    x, stride = input.detach()[:, :, None], (1, _pair(stride)[1])
    return Convolution(weight, bias, edge, x, kernel, stride, (left, right, 0, 0), dilation, groups)


def _batch_norm(
    edge: GradientEdge,
    input: Tensor,
    running_mean: Tensor | None,
    running_var: Tensor | None,
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    training: bool = False,
    momentum: float = 0.1,
    eps: float = 1e-5,
) -> Use | None:
    if training or running_mean is None:
        raise ValueError(
            "batch statistics mix examples: put the model into eval mode, and let it keep running averages"
        )
    normal = F.batch_norm(input.detach(), running_mean, running_var, eps=eps)
    return Scaling(weight, bias, edge, normal, tuple(range(2, input.dim())))


def _layer_norm(
    edge: GradientEdge,
    input: Tensor,
    normalized_shape: Sequence[int],
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    eps: float = 1e-5,
) -> Use | None:
    if input.dim() == len(normalized_shape):
        return None
    normal = F.layer_norm(input.detach(), normalized_shape, eps=eps)
    return Scaling(weight, bias, edge, normal, tuple(range(1, input.dim() - len(normalized_shape))))


_KNOWN: dict[Callable[..., Any], Callable[..., Use | None]] = {
    F.linear: _linear,
    F.conv1d: _conv1d,
    F.conv2d: _conv2d,
    F.batch_norm: _batch_norm,
    F.layer_norm: _layer_norm,
}


def _positions(x: Tensor) -> Tensor:
    """(B, ..., D) as (B, T, D)."""
    return x[:, None] if x.dim() == 2 else x.flatten(1, -2)


def _pair(value: Any) -> tuple[int, int]:
    return (value, value) if isinstance(value, int) else (int(value[0]), int(value[-1]))


def _sides(padding: Any, kernel: tuple[int, int], dilation: tuple[int, int]) -> list[tuple[int, int]]:
    """Before and after, for each of the two axes; "same" puts the odd one after, as PyTorch does."""
    if padding == "valid":
        return [(0, 0), (0, 0)]
    if padding == "same":
        extra = [d * (k - 1) for k, d in zip(kernel, dilation, strict=True)]
        return [(e // 2, e - e // 2) for e in extra]
    return [(p, p) for p in _pair(padding)]
