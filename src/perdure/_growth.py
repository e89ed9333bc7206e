"""Keep an optimizer in step with a head that grows, and start one anew."""

from __future__ import annotations

from collections.abc import Mapping
from copy import deepcopy
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import Optimizer


def replace_parameters(optimizer: Optimizer, replaced: Mapping[nn.Parameter, nn.Parameter]) -> None:
    """Let the optimizer hold the new parameters; its state for them grows by zeros along the first axis, or shrinks."""
    for group in optimizer.param_groups:
        group["params"] = [replaced.get(p, p) for p in group["params"]]
    for old, new in replaced.items():
        state = optimizer.state.pop(old, None)
        if state is not None:
            optimizer.state[new] = {k: _fit(v, old, new) for k, v in state.items()}


def _fit(value: Any, old: Tensor, new: Tensor) -> Any:
    if not isinstance(value, Tensor) or value.shape != old.shape or value.dim() == 0:
        return value
    extra = value.new_zeros(max(0, new.shape[0] - old.shape[0]), *old.shape[1:])
    return torch.cat([value[: new.shape[0]], extra])


def forget(part: nn.Module) -> None:
    """Drop what ``bind`` has allocated."""
    for module in part.modules():
        for name in list(module._buffers):
            delattr(module, name)


def options(optimizer: Optimizer) -> list[dict[str, Any]]:
    """The settings of each parameter group, as they are now."""
    return [deepcopy({k: v for k, v in group.items() if k != "params"}) for group in optimizer.param_groups]


def put_back(optimizer: Optimizer, settings: list[dict[str, Any]]) -> None:
    """Counterpart of ``options``."""
    for group, saved in zip(optimizer.param_groups, settings, strict=True):
        params = group["params"]
        group.clear()
        group.update(params=params, **deepcopy(saved))  # a scheduler works in place on a rate that is a tensor


def restart(optimizer: Optimizer, initial: list[dict[str, Any]]) -> None:
    """Forget what the optimizer has accumulated and put its settings back to ``initial``."""
    optimizer.state.clear()
    put_back(optimizer, initial)


@torch.no_grad()
def restore(model: nn.Module, initial: Mapping[str, Tensor]) -> None:
    """Put the model's state back to ``initial``; rows that the head has gained since become zero."""
    for name, value in model.state_dict().items():
        before = initial[name]
        value.zero_()
        value[tuple(slice(0, size) for size in before.shape)].copy_(before)
