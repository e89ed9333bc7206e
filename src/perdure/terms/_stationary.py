"""Keep the features of exemplars where the last version of the model had them."""

from __future__ import annotations

import math

from torch import Tensor

from perdure._records import Draw, Step
from perdure.functional.distillation import less_forget
from perdure.terms._taught import Taught


class Stationary(Taught):
    """``base_weight * sqrt(new classes / old classes)`` times the mean of ``1 - cos`` between the features of exemplars
    and those of the teacher, the model at the end of the last experience (Biondi et al. 2023: local
    stationarity). New data do not take part, their features are free to go where they belong.

    New are the classes of the experience, old those of all that have ended: classes that come again count as both.
    """

    def __init__(self, draw: Draw, *, base_weight: float = 5.0, name: str | None = None) -> None:
        super().__init__((draw,), name)
        if not base_weight >= 0:
            raise ValueError(f"base_weight={base_weight}: give a number of 0 or above")
        self.segments = (draw.name,)
        self.base_weight = base_weight

    def loss(self, step: Step) -> Tensor | None:
        """None while there is no teacher, or nothing to draw."""
        lesson = self.lesson(step)
        if lesson is None:
            return None
        segment, said = lesson
        if segment.output.features is None or said.features is None:
            raise ValueError("stationarity compares features, and the model gives none: name a layer of it")
        return self._weight(step) * less_forget(segment.output.features, said.features)

    def _weight(self, step: Step) -> float:
        """As of the experience, or of what is seen where it does not say which classes it has."""
        old, unseen_before = self.counts(step)
        told = step.experience.classes if step.experience is not None else ()
        return self.base_weight * math.sqrt((len(told) or unseen_before) / old)
