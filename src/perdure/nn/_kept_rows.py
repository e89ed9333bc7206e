"""Keep the rows of old classes as they were."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from perdure._part import Part
from perdure._records import Batch, Boundary
from perdure.nn._cosine import CosineHead


class KeptRows(Part):
    """The head's rows of classes learnt in earlier experiences stay to the bit as they were when those ended, whatever
    momentum or weight decay the optimizer has (Hou et al. 2019, section 3.3: old class embeddings are fixed).
    """

    rows: Tensor
    """(C, D)."""
    old: Tensor
    """(C,) bool."""
    needs_boundaries = True

    def __init__(self, head: CosineHead, name: str | None = None) -> None:
        super().__init__(name)
        self._head = (head,)  # in a tuple, so that it is no submodule: its state is the model's

    def bind(self, params: Mapping[str, Tensor], example: Batch, num_classes: int) -> None:
        """No row is kept."""
        (head,) = self._head
        self.register_buffer("rows", torch.zeros_like(head.weight.detach()))
        self.register_buffer("old", example.y.new_zeros(num_classes, dtype=torch.bool))

    def grow(self, params: Mapping[str, Tensor], num_classes: int) -> None:
        """Nor are those to come."""
        for name in ("rows", "old"):
            before = self.get_buffer(name)
            after = before.new_zeros(num_classes, *before.shape[1:])
            after[: len(before)] = before
            self.register_buffer(name, after)

    def constrain(self, params: Sequence[Tensor]) -> None:
        """Put old rows back."""
        (head,) = self._head
        head.weight.copy_(torch.where(self.old[:, None], self.rows, head.weight))

    def after_experience(self, boundary: Boundary) -> None:
        """Keep the rows of all classes seen."""
        (head,) = self._head
        self.rows.copy_(head.weight)
        self.old.copy_(boundary.seen)
