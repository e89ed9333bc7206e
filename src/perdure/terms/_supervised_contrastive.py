"""Supervised contrastive loss."""

from __future__ import annotations

from torch import Tensor
from torch.nn.functional import normalize

from perdure._part import Part
from perdure._records import Step
from perdure.functional.contrast import supervised_contrastive


class SupervisedContrastive(Part):
    """Features of one class of the current batch attract each other, all others repel (Khosla et al. 2020, equation 2),
    times ``weight``. Examples whose class occurs once in the batch have nothing to be attracted by and are left out.
    """

    def __init__(self, weight: float = 1.0, temperature: float = 0.1, name: str | None = None) -> None:
        super().__init__(name)
        if not temperature > 0:
            raise ValueError(f"temperature={temperature}: give a number above 0")
        self.weight, self.temperature = weight, temperature

    def loss(self, step: Step) -> Tensor | None:
        """None where no class occurs twice."""
        current = step.segments["current"]
        if current.output.features is None:
            raise ValueError("a contrastive loss compares features, and the model gives none: name a layer of it")
        loss = supervised_contrastive(normalize(current.output.features, dim=1), current.batch.y, self.temperature)
        return None if loss is None else self.weight * loss
