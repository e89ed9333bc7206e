"""Accuracy on held-out data: of everything at boundaries, of fixed samples while learning."""

from __future__ import annotations

import math
from collections.abc import Iterable

from perdure._contract import ContinualLearner
from perdure._random import generator
from perdure._records import Batch, Data, Experience
from perdure.streams import Stream

CHUNK = 1024


class Evaluator:
    """Knows the held-out data of a stream.

    The samples looked at while learning are the same at every look and for every method.
    """

    def __init__(self, stream: Stream, samples: int, seed: int) -> None:
        self.evaluations = stream.evaluations
        self._samples = [_sample(e, samples, seed) for e in stream.evaluations]

    def matrix_row(self, learner: ContinualLearner) -> list[float]:
        """Accuracy on all held-out data of each experience; NaN where none of its classes has been admitted."""
        return [_accuracy(learner, e, _data(e).batches(CHUNK)) for e in self.evaluations]

    def look(self, learner: ContinualLearner) -> list[float]:
        """The same on the fixed samples."""
        return [_accuracy(learner, e, [s]) for e, s in zip(self.evaluations, self._samples, strict=True)]


def _accuracy(learner: ContinualLearner, evaluation: Experience, batches: Iterable[Batch]) -> float:
    if not set(evaluation.classes) & set(learner.admitted(evaluation.task)):
        return math.nan
    hits, total = 0, 0
    for batch in batches:
        hits += int((learner.predict(batch.x, evaluation.task).cpu() == batch.y.cpu()).sum())
        total += len(batch)
    return hits / total if total else math.nan


def _sample(evaluation: Experience, samples: int, seed: int) -> Batch:
    """The first ``samples`` examples in an order addressed by the seed."""
    return next(iter(_data(evaluation).batches(samples, generator(seed, "evaluation", evaluation.index))))


def _data(evaluation: Experience) -> Data:
    if evaluation.data is None:
        raise ValueError(
            f"evaluation {evaluation.name or evaluation.index} has no data: give each experience a held-out set"
        )
    return evaluation.data
