"""Say of an exemplar what was said of it when it was stored, as probabilities."""

from __future__ import annotations

from torch import Tensor

from perdure._part import Part
from perdure._records import Draw, Step
from perdure.functional.distillation import distill
from perdure.terms._cross_entropy import Weight


class StoredDistill(Part):
    """``weight`` times the distillation of the logits stored beside drawn exemplars.

    The target's softmax runs over the classes whose stored logit is above -inf, the model's over all that may answer:
    classes that came later are taught to be unlikely. ``squared=False`` leaves out the factor T^2.
    """

    fields = ("logits",)

    def __init__(
        self,
        draw: Draw,
        *,
        weight: Weight = 1.0,
        temperature: float = 2.0,
        squared: bool = True,
        name: str | None = None,
    ) -> None:
        super().__init__(f"StoredDistill({draw.name})" if name is None else name)
        if not temperature > 0:
            raise ValueError(f"temperature={temperature}: give a number above 0")
        self.draws = (draw,)
        self.weight, self.temperature, self.squared = weight, temperature, squared

    def loss(self, step: Step) -> Tensor | None:
        """None while there is nothing to draw."""
        segment = step.segments.get(self.draws[0].name)
        if segment is None:
            return None
        stored, allowed = segment.batch.stored["logits"], step.allowed(segment.batch)
        value = distill(segment.output.logits, stored, self.temperature, allowed, stored.isfinite())
        weight = self.weight(step) if callable(self.weight) else self.weight
        return value * (weight if self.squared else weight / self.temperature**2)
