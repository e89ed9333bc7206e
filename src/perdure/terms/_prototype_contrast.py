"""Contrast of the prototypes of a batch."""

from __future__ import annotations

from torch import Tensor

from perdure._part import Part
from perdure._records import Draw, Step
from perdure.functional.batch_prototypes import prototype_contrast


class PrototypeContrast(Part):
    """Online prototype equilibrium (Wei et al. 2023, section 4.2): the classes of the current batch are told apart by
    their prototypes in two views, and so are those of ``draw``, each for itself; the sum of both.

    For a model that gives the two views' directions as ``aux["first"]`` and ``aux["second"]``, as
    ``perdure.nn.TwoViews`` does.
    """

    def __init__(self, draw: Draw, *, temperature: float = 0.5, name: str | None = None) -> None:
        super().__init__(f"PrototypeContrast({draw.name})" if name is None else name)
        if not temperature > 0:
            raise ValueError(f"temperature={temperature}: give a number above 0")
        self.draws = (draw,)
        self.temperature = temperature

    def loss(self, step: Step) -> Tensor:
        """Of the current batch alone while memory has nothing to draw."""
        current, replay = self._among(step, "current"), self.draws[0].name
        return current + self._among(step, replay) if replay in step.segments else current

    def _among(self, step: Step, name: str) -> Tensor:
        segment = step.segments[name]
        views = segment.output.aux
        if "first" not in views:
            raise ValueError("the model gives no two views: use perdure.nn.TwoViews")
        return prototype_contrast(views["first"], views["second"], segment.batch.y, self.temperature)
