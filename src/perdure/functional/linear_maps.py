"""Which weights a model multiplies its inputs by, and what these inputs are: seen from the calls themselves."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.autograd.graph import get_gradient_edge
from torch.nn import functional as F

from perdure.functional.per_example_layers import Convolution, Linear, Use
from perdure.functional.per_example_watch import Watch


@dataclass(frozen=True)
class LinearMap:
    """The names of a ``weight`` and its ``bias``; ``width`` numbers go in, the 1 that the bias multiplies among them.

    ``last`` says that what comes out are the model's logits.
    """

    weight: str
    bias: str | None
    width: int
    last: bool


def linear_maps(model: nn.Module, params: Mapping[str, Tensor], x: Tensor) -> tuple[LinearMap, ...]:
    """The products ``x W^T + b`` with ``params`` when ``model`` sees ``x``, in the order of their first use: fully
    connected layers, and convolutions of one or two dimensions without groups.
    """
    found: dict[str, LinearMap] = {}
    names = {id(p): name for name, p in params.items()}
    uses, logits = _watch(model, params, x)
    end = get_gradient_edge(logits) if uses else None
    for use in uses:
        weight, bias = names[id(use.weight)], names.get(id(use.bias))
        width = params[weight][0].numel() + (bias is not None)
        found.setdefault(weight, LinearMap(weight, bias, width, last=use.edge == end))
    return tuple(found.values())


def linear_inputs(model: nn.Module, params: Mapping[str, Tensor], x: Tensor) -> Iterator[tuple[str, Tensor]]:
    """The name of the weight and the inputs (N, D) of each of these products: a row for each example and position,
    followed by 1 where there is a bias.
    """
    names = {id(p): name for name, p in params.items()}
    for use in _watch(model, params, x)[0]:
        rows = _rows(use)
        with_one = id(use.bias) in names
        yield names[id(use.weight)], torch.cat([rows, rows.new_ones(len(rows), 1)], 1) if with_one else rows


def _watch(model: nn.Module, params: Mapping[str, Tensor], x: Tensor) -> tuple[list[Use], Tensor]:
    ids = {id(p) for p in params.values()}
    with torch.enable_grad(), Watch(list(params.values())) as watch:
        logits = model(x).logits
    kinds = [use for use in watch.uses if isinstance(use, Linear | Convolution) and id(use.weight) in ids]
    return [use for use in kinds if not isinstance(use, Convolution) or use.groups == 1], logits


def _rows(use: Use) -> Tensor:
    """The inputs of one call, as the rows that the weight's rows multiply."""
    if isinstance(use, Convolution):
        x = F.unfold(F.pad(use.x, use.padding), use.kernel, use.dilation, 0, use.stride).mT  # examples, positions, D
    else:
        assert isinstance(use, Linear)
        x = use.x
    return x.reshape(-1, x.shape[-1])
