"""Watch which layers use a parameter while a model runs, whoever calls them: a module, a function, a head."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from torch import Tensor
from torch.autograd.graph import GradientEdge, get_gradient_edge
from torch.nn import functional as F
from torch.overrides import TorchFunctionMode

from perdure.functional.per_example_layers import Convolution, Linear, Scaling, Use


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
