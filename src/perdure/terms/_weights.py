"""Weights of terms that change from experience to experience."""

from __future__ import annotations

from collections.abc import Sequence

from perdure._records import Step
from perdure.terms._cross_entropy import Weight


def by_experience(weights: float | Sequence[float]) -> Weight:
    """A number as it is; of a sequence the first in the first experience, the second in the second, ...

    >>> by_experience(0.5)
    0.5
    """
    if isinstance(weights, (int, float)):
        return weights
    values = tuple(weights)

    def weight(step: Step) -> float:
        index = 0 if step.experience is None else step.experience.index
        if index >= len(values):
            raise ValueError(
                f"{len(values)} weights, one for each experience, and this is experience {index + 1}: "
                "give as many as there are experiences, or one number"
            )
        return values[index]

    return weight
