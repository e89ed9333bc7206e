"""Penalties whose importances are gathered along the path that learning takes."""

from __future__ import annotations

from abc import ABC
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from perdure._records import Batch, Step
from perdure.functional.path import add_credit_
from perdure.functional.shapes import padded
from perdure.penalties._quadratic import QuadraticPenalty


class PathPenalty(QuadraticPenalty, ABC):
    """A quadratic penalty that gathers each parameter's ``credit``: minus gradient times change, summed over updates;
    and knows the ``origin`` of the path, so that ``moved`` is what updates have changed since.

    The gradient is that of the learner's loss, before this penalty; with ``penalised`` it is the one after. The change
    is the actual one, whatever optimizer makes it. What moves weights between updates, as what an admitted class starts
    from does, moves the origin along: it is no change.
    """

    kinds: tuple[str, ...] = ("credit", "origin")
    """Buffers ``KIND_0``, ``KIND_1``, ... beside the penalty's own: one of each kind for each parameter."""

    def __init__(self, strength: float, damping: float, penalised: bool, name: str | None) -> None:
        super().__init__(strength, name)
        if not damping > 0:
            raise ValueError(f"damping={damping}: give a number above 0, it keeps importances finite")
        self.damping, self.penalised = damping, penalised
        self._slope: list[Tensor] = []
        self._last: list[Tensor] = []  # the parameters after the last update
        self._versions: list[int] = []  # of them then
        self._open = False  # whether an update is under way

    def bind(self, params: Mapping[str, Tensor], example: Batch, num_classes: int) -> None:
        """Nothing is important yet, and nothing has moved."""
        super().bind(params, example, num_classes)
        for kind in self.kinds:
            for number, p in enumerate(self._params):
                start = p.detach().clone() if kind == "origin" else torch.zeros_like(p, requires_grad=False)
                self.register_buffer(f"{kind}_{number}", start)
        self._look()

    def grow(self, params: Mapping[str, Tensor], num_classes: int) -> None:
        """What the head has gained is free and has not moved."""
        self._catch_up()
        super().grow(params, num_classes)
        for kind in self.kinds:
            for number, (before, p) in enumerate(zip(self.values(kind), self._params, strict=True)):
                self.register_buffer(f"{kind}_{number}", padded(before, p.shape))
        self._look()

    @property
    def moved(self) -> list[Tensor]:
        """What updates have changed since the origin, in the order of the parameters."""
        self._catch_up()
        with torch.no_grad():
            return [*torch._foreach_sub(self._params, self.values("origin"))]

    def transform(self, grads: Sequence[Tensor], reference: Sequence[Tensor] | None) -> None:
        """Add the penalty's gradient; remember the one that counts."""
        self._open = False  # one that was broken off may have left it
        self._catch_up()
        self._open = True
        if not self.penalised:
            self._keep(grads)
        super().transform(grads, reference)
        if self.penalised:
            self._keep(grads)

    def after_step(self, step: Step) -> None:
        """Gather."""
        with torch.no_grad():
            self.gather(self._slope)
        self._versions, self._open = [p._version for p in self._params], False

    def gather(self, grads: Sequence[Tensor]) -> None:
        """Take in one update."""
        add_credit_(self.values("credit"), grads, self._last, self._params)

    def begin_anew(self) -> None:
        """No credit, and the path begins here."""
        torch._foreach_zero_(self.values("credit"))
        torch._foreach_copy_(self.values("origin"), self._params)

    def _keep(self, grads: Sequence[Tensor]) -> None:
        """A gradient that is not finite belongs to an update that will be left out: it counts for nothing."""
        for grad, slope in zip(grads, self._slope, strict=True):
            torch.nan_to_num(grad, 0.0, 0.0, 0.0, out=slope)

    def _catch_up(self) -> None:
        """Let the origin follow what has moved the parameters since the last update."""
        versions = [p._version for p in self._params]
        if versions == self._versions or self._open:
            return
        with torch.no_grad():
            torch._foreach_add_(self.values("origin"), torch._foreach_sub(self._params, self._last))
            torch._foreach_copy_(self._last, self._params)
        self._versions = versions

    def _look(self) -> None:
        """Where the parameters are now, and room for an update's gradients."""
        self._last = [p.detach().clone() for p in self._params]
        self._slope = [torch.empty_like(p) for p in self._last]
        self._versions, self._open = [p._version for p in self._params], False

    def _save_to_state_dict(self, *arguments: Any) -> None:
        self._catch_up()
        super()._save_to_state_dict(*arguments)

    def _load_from_state_dict(self, *arguments: Any) -> None:
        super()._load_from_state_dict(*arguments)
        self._look()
