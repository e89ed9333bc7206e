"""Keep saying of an exemplar what was said when it was stored."""

from __future__ import annotations

from torch import Tensor

from perdure._part import Part
from perdure._records import Draw, Step


class LogitMatch(Part):
    """``weight`` times the mean squared difference between logits now and logits stored with the exemplar.

    The mean is over exemplars and all classes of the head, as in the code of Buzzega et al. 2020 (section 3). Logits
    are stored when the example is learnt, from the very forward of that step, augmented if it was.
    """

    fields = ("logits",)

    def __init__(self, draw: Draw, weight: float, *, name: str | None = None) -> None:
        super().__init__(f"LogitMatch({draw.name})" if name is None else name)
        self.draws = (draw,)
        self.weight = weight

    def loss(self, step: Step) -> Tensor | None:
        """None while memory has nothing to draw."""
        segment = step.segments.get(self.draws[0].name)
        if segment is None:
            return None
        return self.weight * (segment.output.logits - segment.batch.stored["logits"]).square().mean()
