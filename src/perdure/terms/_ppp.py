"""Learn features around prototypes that follow them, and answer with the nearest."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor
from torch.nn.functional import normalize

from perdure._parallel import add_up
from perdure._part import Part
from perdure._records import Batch, Draw, Output, Segment, Step
from perdure.functional.pseudo_prototypes import proxy_loss
from perdure.functional.shapes import padded


class PseudoPrototypicalProxy(Part):
    """The loss of De Lange and Tuytelaars 2021 over the current batch and ``draw``. The prototype of a class starts as
    the mean of its normalised features in its first batch, and after each update moves by ``1 - momentum`` towards that
    in the batch, at length 1. The answer is the class whose prototype has the largest cosine.
    """

    prototypes: Tensor
    """(C, D)."""
    known: Tensor
    """(C,) bool, classes that have a prototype."""

    def __init__(
        self, draw: Draw, *, temperature: float = 0.1, momentum: float = 0.99, name: str | None = None
    ) -> None:
        super().__init__(name)
        if not temperature > 0:
            raise ValueError(f"temperature={temperature}: give a number above 0")
        if not 0 <= momentum < 1:
            raise ValueError(f"momentum={momentum}: choose a value in [0, 1)")
        self.draws = (draw,)
        self.temperature, self.momentum = temperature, momentum

    def bind(self, params: Mapping[str, Tensor], example: Batch, num_classes: int) -> None:
        """No class has a prototype."""
        if "features" not in example.stored:
            raise ValueError("prototypes are means of features, and the model gives none: name a layer of it")
        features = example.stored["features"]
        features = features.to(torch.promote_types(features.dtype, torch.float32))  # in less, 0.99 of it is it
        self.register_buffer("prototypes", features.new_zeros(num_classes, features.shape[1]))
        self.register_buffer("known", torch.zeros(num_classes, dtype=torch.bool, device=features.device))

    def grow(self, params: Mapping[str, Tensor], num_classes: int) -> None:
        """Nor have those to come."""
        self.prototypes = padded(self.prototypes, (num_classes, self.prototypes.shape[1]))
        self.known = padded(self.known, (num_classes,))

    def loss(self, step: Step) -> Tensor:
        """With the prototypes as they are, those of new classes as they will be."""
        segment = self._segment(step)
        features = self._directions(segment.output)
        means, met = self._means(features.detach(), segment.batch.y)
        prototypes = torch.where(self.known[:, None], self.prototypes, normalize(means, dim=1))
        allowed, known = step.allowed(segment.batch), self.known | met
        return proxy_loss(
            features,
            segment.batch.y,
            prototypes,
            known if allowed is None else known & allowed,
            temperature=self.temperature,
        )

    def after_step(self, step: Step) -> None:
        """Move the prototypes of the classes in the batch."""
        segment = self._segment(step)
        means, met = self._means(self._directions(segment.output).detach(), segment.batch.y, of_all=self.shard[1] > 1)
        moved = torch.where(self.known[:, None], self.momentum * self.prototypes + (1 - self.momentum) * means, means)
        self.prototypes = torch.where(met[:, None], normalize(moved, dim=1), self.prototypes)
        self.known = self.known | met

    def answer(self, output: Output) -> Tensor:
        """Cosines, (B, C); of a class that was admitted and not met yet -2."""
        cosines = self._directions(output) @ self.prototypes.T
        return cosines.masked_fill(~self.known, -2.0)

    def _segment(self, step: Step) -> Segment:
        segment = step.gather(("current", self.draws[0].name))
        assert segment is not None
        return segment

    def _directions(self, output: Output) -> Tensor:
        """Features of length 1, in the type of the prototypes."""
        assert output.features is not None
        return normalize(output.features.to(self.prototypes), dim=1)

    def _means(self, features_BD: Tensor, y: Tensor, *, of_all: bool = False) -> tuple[Tensor, Tensor]:
        """The mean of each class (C, D), and which classes have any example; ``of_all`` processes."""
        count = y.new_zeros(len(self.known)).index_add_(0, y, torch.ones_like(y))  # a GPU would wait for bincount
        sums = torch.zeros_like(self.prototypes).index_add_(0, y, features_BD)
        if of_all:
            sums, count = add_up([sums, count])
        return sums / count.clamp(min=1)[:, None], count > 0
