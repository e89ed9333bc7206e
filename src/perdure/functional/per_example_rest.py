"""Gradients of each example for parameters that no known layer owns: a vectorised map, or else one by one."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import torch
from torch import Tensor, nn
from torch.func import functional_call, grad, vmap

from perdure.functional.shapes import as_rows


def gradients(model: nn.Module, params: Mapping[str, Tensor], x: Tensor, cotangents: Tensor) -> Tensor:
    """(B, numbers of ``params`` in a row): the gradient of ``cotangents[b] @ logits[b]`` for each example b."""
    found: Mapping[str, Tensor]
    try:
        found = vmap(grad(_score(model)), (None, 0, 0))(dict(params), x, cotangents)
    except RuntimeError:  # the model does what cannot be vectorised: a branch on a value, a recurrent kernel
        each = [grad(_score(model))(dict(params), x[b], cotangents[b]) for b in range(len(x))]
        found = {name: torch.stack([one[name] for one in each]) for name in params}
    return torch.cat([as_rows(found[name]) for name in params], 1).detach()


def _score(model: nn.Module) -> Callable[[dict[str, Tensor], Tensor, Tensor], Tensor]:
    def score(params: dict[str, Tensor], x: Tensor, cotangent: Tensor) -> Tensor:
        logits: Tensor = functional_call(model, params, (x[None],)).logits[0]
        return logits @ cotangent

    return score
