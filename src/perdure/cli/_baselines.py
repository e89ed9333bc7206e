"""What guessing scores on rows in order of time: the line to beat."""

from __future__ import annotations

from typing import Any

import numpy as np


def baselines(labels: np.ndarray[Any, Any], what: str) -> str:
    """The accuracy of two guessers on ``labels`` (N,) in order of time, as a sentence.

    >>> baselines(np.array([0, 0, 1, 1, 1]), "the rows")
    'Guessers on the rows in order of time: repeating the last label scores 75.0 %, the majority class 60.0 %.'
    """
    repeated = float(np.mean(labels[1:] == labels[:-1]))
    majority = float(np.bincount(labels).max() / len(labels))
    return (
        f"Guessers on {what} in order of time: repeating the last label scores {repeated:.1%}, "
        f"the majority class {majority:.1%}."
    ).replace("%", " %")
