"""Let old classes see new examples as they did."""

from __future__ import annotations

import torch
from torch import Tensor

from perdure._records import Draw, Step
from perdure.functional.relation import relation_distill
from perdure.terms._taught import Taught


class RelationDistill(Taught):
    """``weight`` times the prototype-sample relation distillation (Asadi et al. 2023, section 3): each old class ranks
    the examples of the incoming batch and of ``draws`` as the teacher has it, the model at the end of the last
    experience. The mean over old classes of the divergence between both softmaxes over examples of the class's logits
    over ``temperature``; nothing while no class is old.

    Where the model gives two views (``perdure.nn.HeadedViews``) both are examples, and the teacher is shown both.
    """

    def __init__(self, *draws: Draw, weight: float = 4.0, temperature: float = 0.1, name: str | None = None) -> None:
        super().__init__(draws, name)
        if not temperature > 0:
            raise ValueError(f"temperature={temperature}: give a number above 0")
        self.weight, self.temperature = weight, temperature

    def loss(self, step: Step) -> Tensor | None:
        """None while there is no teacher."""
        segment = step.gather(self.segments) if self.counts(step)[0] else None
        if segment is None:
            return None
        shown, logits, second = segment.shown, segment.output.logits, segment.output.aux
        if "logits" in second:
            shown, logits = torch.cat([shown, second["x"]]), torch.cat([logits, second["logits"]])
        said = self.teacher.ask(self.model, shown).logits
        return self.weight * relation_distill(logits, said, self.old, self.temperature)
