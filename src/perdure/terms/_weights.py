"""Weights of terms that change from experience to experience."""

from __future__ import annotations

from collections.abc import Sequence

from perdure._records import Step
from perdure.terms._cross_entropy import Weight


def by_experience(weights: float | Sequence[float]) -> Weight:
    """A number as it is; of a sequence the first in the first experience, the second in the second, and the last in all
    that follow.

    >>> by_experience(0.5)
    0.5
    """
    if isinstance(weights, (int, float)):
        return weights
    values = tuple(weights)
    if not values:
        raise ValueError("no weight at all: give one number, or one for each experience")

    def weight(step: Step) -> float:
        index = 0 if step.experience is None else step.experience.index
        return values[min(index, len(values) - 1)]

    return weight
