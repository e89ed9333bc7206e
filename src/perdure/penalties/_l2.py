"""Stay near the parameters of before, all alike."""

from __future__ import annotations

import torch

from perdure._records import Boundary
from perdure.penalties._quadratic import QuadraticPenalty


class L2(QuadraticPenalty):
    """A quadratic penalty in which every parameter has importance 1: one anchor an experience; ``online``: only the
    latest.
    """

    def __init__(self, strength: float, *, online: bool = False, name: str | None = None) -> None:
        super().__init__(strength, name)
        self.online = online

    def after_experience(self, boundary: Boundary) -> None:
        """An anchor at the parameters of now."""
        (self.replace if self.online else self.add)([torch.ones_like(each) for each in self.importance])
