"""Gradients of reference losses."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor


def gradient(loss: Tensor | Sequence[Tensor], params: Sequence[Tensor]) -> list[Tensor]:
    """Of a scalar, shaped like ``params``; of R scalars each its own, along a leading axis."""
    if not isinstance(loss, Tensor):
        each = [gradient(one, params) for one in loss]
        return [torch.stack(grads) for grads in zip(*each, strict=True)]
    grads = torch.autograd.grad(loss, params, retain_graph=True, allow_unused=True)
    return [torch.zeros_like(p) if g is None else g for p, g in zip(params, grads, strict=True)]
