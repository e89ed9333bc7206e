"""Give new classes rows of the length of old ones."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from perdure._old_classes import KnowsOldClasses
from perdure._records import Boundary
from perdure.nn._linear import LinearHead


class WeightAligning(KnowsOldClasses):
    """At the end of an experience the head's rows of new classes, weight and bias, are multiplied by the mean length of
    old rows over that of new ones (Zhao et al. 2020), so that new classes do not win by length alone.

    ``clip`` sets negative weights of the head to 0 after every update, as the paper does.
    """

    needs_new_classes = True

    def __init__(self, head: LinearHead, *, clip: bool = False, name: str | None = None) -> None:
        super().__init__(name)
        self._head = (head,)  # in a tuple, so that it is no submodule: its state is the model's
        self.clip = clip

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
