"""Snapshot: a copy of a model's weights that can be asked."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn
from torch.func import functional_call

from perdure._modes import evaluating
from perdure._records import Output

if TYPE_CHECKING:
    from perdure.nn import Model


class Snapshot(nn.Module):
    """Parameters and buffers of a model, as buffers ``tensor_0``, ``tensor_1``, ... of the part that owns it: a
    teacher, or an average over time. The model itself is not copied.
    """

    def __init__(self) -> None:
        super().__init__()
        self._names: tuple[str, ...] = ()

    def bind(self, model: Model) -> None:
        """Allocate, with the model's weights of now."""
        self._names = tuple(_weights(model))
        for number, value in enumerate(_weights(model).values()):
            self.register_buffer(f"tensor_{number}", value.clone())

    def grow(self, model: Model) -> None:
        """Rows that the model has gained are zero."""
        for number, value in enumerate(_weights(model).values()):
            before = self.get_buffer(f"tensor_{number}")
            if before.shape != value.shape:
                padded = torch.zeros_like(value)
                padded[tuple(slice(0, size) for size in before.shape)] = before
                self.register_buffer(f"tensor_{number}", padded)

    @torch.no_grad()
    def take(self, model: Model) -> None:
        """The model's weights of now."""
        torch._foreach_copy_(self._mine(), [*_weights(model).values()])

    @torch.no_grad()
    def blend(self, model: Model, decay: float) -> None:
        """``decay`` times what it was plus ``1 - decay`` times the model; what is no floating number is copied."""
        pairs = [*zip(self._mine(), _weights(model).values(), strict=True)]
        mixed = [(mine, its) for mine, its in pairs if mine.is_floating_point()]
        torch._foreach_lerp_([mine for mine, _ in mixed], [its for _, its in mixed], 1 - decay)
        for mine, its in pairs:
            if not mine.is_floating_point():
                mine.copy_(its)

    def tensors(self) -> dict[str, Tensor]:
        """By the model's names."""
        return dict(zip(self._names, self._mine(), strict=True))

    def ask(self, model: Model, x: Tensor) -> Output:
        """What ``model`` says of ``x`` with these weights, in eval mode and without gradients."""
        with evaluating(model), torch.no_grad():
            output: Output = functional_call(model, self.tensors(), (x,))
        return output

    def _mine(self) -> list[Tensor]:
        return [self.get_buffer(f"tensor_{number}") for number in range(len(self._names))]


def _weights(model: nn.Module) -> dict[str, Tensor]:
    return {name: p.detach() for name, p in model.named_parameters()} | dict(model.named_buffers())
