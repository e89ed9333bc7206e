"""Keep old classes apart from the new ones that come near."""

from __future__ import annotations

from typing import Protocol

from torch import Tensor

from perdure._old_classes import KnowsOldClasses
from perdure._records import Draw, Step
from perdure.functional.ranking import margin_ranking


class Cosines(Protocol):
    """A head that compares directions."""

    def cosines(self, features: Tensor) -> Tensor:
        """Features (B, D) to cosines (B, C)."""
        ...


class MarginRanking(KnowsOldClasses):
    """``weight`` times the margin ranking loss of exemplars of old classes: the cosine of their own class is to exceed
    that of each of the ``num_rivals`` nearest new classes by ``margin`` (Hou et al. 2019, section 3.4).

    Old are the classes learnt before the present experience; ``head`` is the model's.
    """

    needs_new_classes = True

    def __init__(
        self,
        head: Cosines,
        *draws: Draw,
        weight: float = 1.0,
        num_rivals: int = 2,
        margin: float = 0.5,
        name: str | None = None,
    ) -> None:
        super().__init__(name)
        if num_rivals < 1:
            raise ValueError(f"num_rivals={num_rivals}: compare with at least one new class")
        self._head = (head,)  # in a tuple, so that it is no submodule: its state is the model's
        self.draws = draws
        self.segments = tuple(draw.name for draw in draws)
        self.weight, self.num_rivals, self.margin = weight, num_rivals, margin

    def loss(self, step: Step) -> Tensor | None:
        """None while memory has nothing to draw."""
        segment = step.gather(self.segments)
        if segment is None:
            return None
        if segment.output.features is None:
            raise ValueError("margin ranking compares features with rows, and the model gives none: name a layer of it")
        (head,) = self._head
        scores = head.cosines(segment.output.features)
        new = step.seen & ~self.old
        return self.weight * margin_ranking(scores, segment.batch.y, self.old, new, self.num_rivals, self.margin)
