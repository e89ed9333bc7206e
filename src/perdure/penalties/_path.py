"""Penalties whose importances are gathered along the path that learning takes."""

from __future__ import annotations

from abc import ABC
from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from perdure._records import Batch, Step
from perdure.functional.path import add_credit_
from perdure.functional.shapes import padded
from perdure.penalties._quadratic import QuadraticPenalty


class PathPenalty(QuadraticPenalty, ABC):
    """A quadratic penalty that gathers each parameter's ``credit``: minus gradient times change, summed over updates,
    and ``moved``, the sum of the changes.

    The gradient is that of the learner's loss, before this penalty; with ``penalised`` it is the one after. The change
    is the actual one, whatever optimizer makes it. What an admitted class starts from is no change.
    """

    kinds: tuple[str, ...] = ("credit", "moved")
    """Buffers ``KIND_0``, ``KIND_1``, ... beside the penalty's own: one of each kind for each parameter."""

    def __init__(self, strength: float, damping: float, penalised: bool, name: str | None) -> None:
        super().__init__(strength, name)
        if damping <= 0:
            raise ValueError(f"damping={damping}: give a number above 0, it keeps importances finite")
        self.damping, self.penalised = damping, penalised
        self._grads: list[Tensor] = []
        self._before: list[Tensor] = []

    def bind(self, params: Mapping[str, Tensor], example: Batch, num_classes: int) -> None:
        """Nothing is important yet, and nothing has moved."""
        super().bind(params, example, num_classes)
        for kind in self.kinds:
            for number, p in enumerate(self._params):
                self.register_buffer(f"{kind}_{number}", torch.zeros_like(p, requires_grad=False))

    def grow(self, params: Mapping[str, Tensor], num_classes: int) -> None:
        """What the head has gained is free and has not moved."""
        super().grow(params, num_classes)
        for kind in self.kinds:
            for number, (before, p) in enumerate(zip(self.values(kind), self._params, strict=True)):
                self.register_buffer(f"{kind}_{number}", padded(before, p.shape))

    def values(self, kind: str) -> list[Tensor]:
        """The buffers of one of the ``kinds``, in the order of the parameters."""
        return [self.get_buffer(f"{kind}_{number}") for number in range(len(self._params))]

    def transform(self, grads: Sequence[Tensor], reference: Sequence[Tensor] | None) -> None:
        """Add the penalty's gradient; remember where the update starts."""
        self._before = [p.detach().clone() for p in self._params]
        if not self.penalised:
            self._grads = [grad.clone() for grad in grads]
        super().transform(grads, reference)
        if self.penalised:
            self._grads = [grad.clone() for grad in grads]

    def after_step(self, step: Step) -> None:
        """Gather. A gradient that is not finite belongs to an update that was left out: it counts for nothing."""
        with torch.no_grad():
            change = torch._foreach_sub(self._params, self._before)
            for grad in self._grads:
                grad.nan_to_num_(0.0, 0.0, 0.0)
            self.gather(self._grads, change)
        self._before, self._grads = [], []

    def gather(self, grads: Sequence[Tensor], change: Sequence[Tensor]) -> None:
        """Take in one update."""
        add_credit_(self.values("credit"), grads, change)
        torch._foreach_add_(self.values("moved"), list(change))
