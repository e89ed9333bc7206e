"""Learn new classes and keep what a teacher says of old ones, each class by itself."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import one_hot

from perdure._records import Draw, Step
from perdure.functional.masking import sigmoid_entropy
from perdure.terms._taught import Taught


class SigmoidDistill(Taught):
    """Binary cross entropy of every seen class, summed over classes, its mean over the incoming batch and the exemplars
    of ``draws`` as one: the target of a class that the teacher has learnt is the teacher's sigmoid, its logit divided
    by ``temperature``; of a new one whether it is the label (Rebuffi et al. 2017, algorithm 3).
    """

    needs_new_classes = True

    def __init__(self, *draws: Draw, temperature: float = 1.0, name: str | None = None) -> None:
        super().__init__(draws, name)
        if not temperature > 0:
            raise ValueError(f"temperature={temperature}: give a number above 0")
        self.temperature = temperature

    def loss(self, step: Step) -> Tensor | None:
        """From the first step on; without a teacher every class is new."""
        segment = step.gather(self.segments)
        if segment is None:
            return None
        logits = segment.output.logits
        targets = one_hot(segment.batch.y, logits.shape[1]).to(logits)
        lesson = self.lesson(step)
        if lesson is not None:
            targets = torch.where(self.old, (lesson[1].logits / self.temperature).sigmoid(), targets)
        return sigmoid_entropy(logits, targets, step.allowed(segment.batch))
