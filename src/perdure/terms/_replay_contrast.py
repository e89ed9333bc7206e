"""Supervised contrast of two views of the current batch and of exemplars."""

from __future__ import annotations

import torch
from torch import Tensor

from perdure._part import Part
from perdure._records import Draw, Step
from perdure.functional.contrast import supervised_contrastive


class ReplayContrast(Part):
    """The supervised contrastive loss over both views of the current batch and of ``draws``, if any (Mai et al. 2021):
    each example is attracted by its other view and by both views of all of its class.

    For a model that gives the two views' directions as ``aux["first"]`` and ``aux["second"]``, as
    ``perdure.nn.TwoViews`` does.
    """

    def __init__(self, *draws: Draw, temperature: float = 0.1, name: str | None = None) -> None:
        label = f"ReplayContrast({', '.join(draw.name for draw in draws)})" if draws else "ReplayContrast"
        super().__init__(label if name is None else name)
        if not temperature > 0:
            raise ValueError(f"temperature={temperature}: give a number above 0")
        self.draws = draws
        self.segments = ("current", *(draw.name for draw in draws))
        self.temperature = temperature

    def loss(self, step: Step) -> Tensor | None:
        """Of the current batch alone while memory has nothing to draw."""
        segment = step.gather(self.segments)
        assert segment is not None
        views = segment.output.aux
        if "first" not in views:
            raise ValueError("the model gives no two views: use perdure.nn.TwoViews")
        y = segment.batch.y
        return supervised_contrastive(torch.cat([views["first"], views["second"]]), y.repeat(2), self.temperature)
