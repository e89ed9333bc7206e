"""Give new classes rows of the length of old ones."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from perdure._part import Part
from perdure._records import Batch, Boundary
from perdure.nn._linear import LinearHead


class WeightAligning(Part):
    """At the end of an experience the head's rows of new classes, weight and bias, are multiplied by the mean length of
    old rows over that of new ones (Zhao et al. 2020), so that new classes do not win by length alone.

    ``clip`` sets negative weights of the head to 0 after every update, as the paper does.
    """

    old: Tensor
    """(C,) bool: classes of experiences that have ended."""
    needs_boundaries = True
    needs_new_classes = True

    def __init__(self, head: LinearHead, *, clip: bool = False, name: str | None = None) -> None:
        super().__init__(name)
        self._head = (head,)  # in a tuple, so that it is no submodule: its state is the model's
        self.clip = clip

    def bind(self, params: Mapping[str, Tensor], example: Batch, num_classes: int) -> None:
        """No class is old."""
        self.register_buffer("old", example.y.new_zeros(num_classes, dtype=torch.bool))

    def grow(self, params: Mapping[str, Tensor], num_classes: int) -> None:
        """Nor is one that comes."""
        old = self.old.new_zeros(num_classes)
        old[: len(self.old)] = self.old
        self.register_buffer("old", old)

    def overrides(self, phase: str) -> bool:
        """``constrain`` only if weights are to be clipped."""
        return super().overrides(phase) and (phase != "constrain" or self.clip)

    def constrain(self, params: Sequence[Tensor]) -> None:
        """No weight of the head below 0."""
        (head,) = self._head
        head.weight.clamp_(min=0)

    def consolidate(self, boundary: Boundary) -> None:
        """Align."""
        (head,) = self._head
        align(head, self.old, boundary.seen & ~self.old)

    def after_experience(self, boundary: Boundary) -> None:
        """All classes seen are old now."""
        self.old.copy_(boundary.seen)


@torch.no_grad()
def align(head: LinearHead, old: Tensor, new: Tensor) -> None:
    """Multiply the rows of ``new`` classes ((C,) bool) by the mean length of ``old`` rows over that of theirs; nothing
    if there are none of either.
    """
    lengths = torch.linalg.vector_norm(head.weight, dim=1)
    of_old, of_new = ((lengths * rows).sum() / rows.sum() for rows in (old, new))
    factor = of_old / of_new
    factors = torch.where(new & factor.isfinite() & (factor > 0), factor, 1.0)
    head.weight.mul_(factors[:, None])
    if head.bias is not None:
        head.bias.mul_(factors)
