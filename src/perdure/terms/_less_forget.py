"""Keep the direction of features."""

from __future__ import annotations

import math

from torch import Tensor

from perdure._records import Draw, Step
from perdure.functional.distillation import less_forget
from perdure.terms._taught import Taught


class LessForget(Taught):
    """``base_weight * sqrt(old classes / new classes)`` times the mean of ``1 - cos`` between features and those of the
    teacher, the model at the end of the last experience, over the incoming batch and exemplars of ``draws`` (Hou et al.
    2019, section 3.3).
    """

    needs_new_classes = True

    def __init__(self, *draws: Draw, base_weight: float = 5.0, name: str | None = None) -> None:
        super().__init__(draws, name)
        self.base_weight = base_weight

    def loss(self, step: Step) -> Tensor | None:
        """None while there is no teacher."""
        lesson = self.lesson(step)
        if lesson is None:
            return None
        segment, said = lesson
        if segment.output.features is None or said.features is None:
            raise ValueError("less-forget compares features, and the model gives none: name a layer of it")
        old, new = self.counts(step)
        weight = self.base_weight * math.sqrt(old / max(new, 1))
        return weight * less_forget(segment.output.features, said.features)
