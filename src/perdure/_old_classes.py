"""What parts that tell old classes from new ones have in common."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from perdure._part import Part
from perdure._records import Batch, Boundary
from perdure.functional.shapes import padded


class KnowsOldClasses(Part):
    """A part that remembers which classes had been seen when the last experience ended."""

    old: Tensor
    """(C,) bool: the classes of experiences that have ended."""
    needs_boundaries = True

    def bind(self, params: Mapping[str, Tensor], example: Batch, num_classes: int) -> None:
        """No class is old."""
        self.register_buffer("old", example.y.new_zeros(num_classes, dtype=torch.bool))

    def grow(self, params: Mapping[str, Tensor], num_classes: int) -> None:
        """Nor is one that comes."""
        self.register_buffer("old", padded(self.old, (num_classes,)))

    def after_experience(self, boundary: Boundary) -> None:
        """All classes seen are old now."""
        self.old.copy_(boundary.seen)
