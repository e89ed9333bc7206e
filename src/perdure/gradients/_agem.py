"""A-GEM: an update that does not raise the loss on exemplars, on average."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor

from perdure._part import Part
from perdure._records import Draw, Step
from perdure.functional.masking import cross_entropy
from perdure.functional.projection import project_


class AGEM(Part):
    """Takes from the gradient what opposes that of the mean loss on ``exemplars`` (Chaudhry et al. 2019, eq. 11)."""

    def __init__(self, exemplars: Draw, name: str | None = None) -> None:
        super().__init__(name)
        self.exemplars = exemplars
        self.draws = (exemplars,)

    def reference(self, step: Step) -> Tensor | None:
        """Mean cross entropy of the exemplars; None while memory has nothing to draw."""
        segment = step.segments.get(self.exemplars.name)
        if segment is None:
            return None
        logits, batch = segment.output.logits, segment.batch
        return cross_entropy(logits, batch.y, step.allowed(batch), reduction="mean")

    def transform(self, grads: Sequence[Tensor], reference: Sequence[Tensor] | None) -> None:
        """Project, where there is a reference."""
        if reference is not None:
            project_(grads, reference)
