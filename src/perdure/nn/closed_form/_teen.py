"""TEEN: prototypes of few examples, moved towards those of many."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

import torch
from torch import Tensor
from torch.nn.functional import normalize

from perdure._erasure import CannotForget
from perdure.nn.closed_form._head import FeatureHead
from perdure.nn.closed_form._residual import rounding

AMBIGUOUS = (
    "of class {0} some examples came with the base classes and some later, and it is not known which are which: forget "
    "the whole class"
)
NO_BASE = (
    "nothing would be left of the base classes, and which classes would be base without them is not known: learn anew, "
    "or build with base_classes="
)


class CalibratedMeans(FeatureHead):
    """The class of the most similar prototype, by cosine (Wang et al. 2023). Base classes have their mean; another has

        alpha * mean + (1 - alpha) * (mean of base prototypes, weighed by softmax(temperature * cosine to the mean)),

    each brought to unit length first. Base classes are those of the first experience, or, where ``base_classes=N``, the
    classes 0 to N - 1; without either, all are.
    """

    sums: ClassVar[tuple[str, ...]] = (*FeatureHead.sums, "totals", "base_counts")
    by_class: ClassVar[tuple[str, ...]] = ("totals", "base_counts")
    totals: Tensor
    """(C, D), the sum of the features of each class."""
    base_counts: Tensor
    """(C,) int64, examples that came before the first experience was over."""
    finished: Tensor
    """() int64, 1 once the first experience is over."""

    def __init__(
        self,
        alpha: float = 0.5,
        temperature: float = 16.0,
        *,
        base_classes: int | None = None,
        name: str | None = None,
    ) -> None:
        super().__init__(name)
        if not 0 <= alpha <= 1:
            raise ValueError(f"alpha={alpha}: give a number from 0 to 1 (prototypes as they are)")
        if not temperature >= 0:
            raise ValueError(f"temperature={temperature}: give a number of at least 0")
        if base_classes is not None and base_classes < 1:
            raise ValueError(f"base_classes={base_classes}: give a number of classes, or None for the first experience")
        self.alpha, self.temperature, self.base_classes = alpha, temperature, base_classes

    def allocate(self, like: Tensor, capacity: int) -> None:
        """A total for each class."""
        self.register_buffer("totals", like.new_zeros(capacity, len(like)))
        self.register_buffer("base_counts", torch.zeros(capacity, dtype=torch.int64, device=like.device))
        self.register_buffer("finished", torch.zeros((), dtype=torch.int64, device=like.device))

    def learn(self, features: Tensor, y: Tensor) -> None:
        """Add to the totals."""
        self.totals.index_add_(0, y, features)
        if not int(self.finished):
            self.base_counts.index_add_(0, y, torch.ones_like(y))

    def finish(self) -> None:
        """What came so far are the base classes."""
        if int(self.num_examples):
            self.finished.fill_(1)

    def scores(self, features: Tensor) -> Tensor:
        """Cosines."""
        if "prototypes" not in self.derived:
            self.derived["prototypes"] = normalize(self.prototypes, dim=1)
        unit: Tensor = self.derived["prototypes"]
        return normalize(features, dim=1) @ unit.T

    @property
    def base(self) -> Tensor:
        """(C,) bool, the base classes of which examples are known."""
        if self.base_classes is None:
            return self.base_counts > 0
        first = torch.arange(self.capacity, device=self.counts.device) < self.base_classes
        return first & (self.counts.sum(0) > 0)

    @property
    def prototypes(self) -> Tensor:
        """(C, D), calibrated."""
        return calibrate(self.totals, self.base, self.alpha, self.temperature)

    def unlearn(self, features: Tensor, y: Tensor) -> float:
        """Subtract."""
        gone = y.bincount(minlength=self.capacity)
        left = self.counts.sum(0)
        self._check_base(left)
        if self.base_classes is None:
            mixed = (gone > 0) & (left > 0) & (self.base_counts > 0) & (self.base_counts < left + gone)
            if bool(mixed.any()):
                raise CannotForget(AMBIGUOUS.format(int(mixed.nonzero()[0, 0])))
        before = self.totals.clone()
        self.totals.index_add_(0, y, -features)
        again = self.totals.index_add(0, y, features)
        stay = left > 0
        residual = rounding(before[stay], self.totals[stay], again[stay])
        self.base_counts.copy_(torch.where(self.base_counts > 0, left, 0))
        return residual

    def unlearn_classes(self, classes: Sequence[int]) -> float:
        """Nothing is left of them."""
        self._check_base(self.counts.sum(0).index_fill(0, torch.tensor(list(classes), device=self.counts.device), 0))
        self.totals[list(classes)] = 0
        self.base_counts[list(classes)] = 0
        return 0.0

    def _check_base(self, left: Tensor) -> None:
        """Raise ``CannotForget`` if, with ``left`` (C,) examples of each class, others would be the base classes."""
        others = self.base_classes is None and bool(self.finished) and bool(left.any())
        if others and not bool(left[self.base_counts > 0].any()):
            raise CannotForget(NO_BASE)


def calibrate(sums: Tensor, base: Tensor, alpha: float, temperature: float) -> Tensor:
    """Prototypes (C, D) from sums of features: those of ``base`` (C,) as they are, others moved towards them."""
    own = normalize(sums, dim=1)
    if not bool(base.any()):
        return own
    weights = (temperature * own @ own[base].T).softmax(1)
    moved = alpha * own + (1 - alpha) * normalize(weights @ own[base], dim=1)
    return torch.where(base[:, None], own, moved)
