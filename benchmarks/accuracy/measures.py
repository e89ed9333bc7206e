"""What is read off a run: named numbers in per cent."""

from __future__ import annotations

from itertools import pairwise
from statistics import fmean

from perdure import ContinualLearner, Record
from perdure.streams import Stream


def final(learner: ContinualLearner, whole: Stream, record: Record) -> dict[str, float]:
    """The mean over experiences of the accuracy on their held-out data, at the end."""
    return {"accuracy": 100 * fmean(_accuracies(learner, whole))}


def all_examples(learner: ContinualLearner, whole: Stream, record: Record) -> dict[str, float]:
    """The accuracy on all held-out data, at the end: experiences count by their size."""
    sizes = [len(e.data) for e in whole.evaluations if e.data is not None]
    found = _accuracies(learner, whole)
    return {"accuracy": 100 * sum(a * n for a, n in zip(found, sizes, strict=True)) / sum(sizes)}


def stability_gap(learner: ContinualLearner, whole: Stream, record: Record) -> dict[str, float]:
    """The accuracy on the first experience: just before each later one, the lowest within it, at the end of all."""
    curve = dict(zip(record.curve.updates, (row[0] for row in record.curve.accuracy), strict=True))
    bounds = [*record.changes[1:], max(curve)]
    found = {}
    for number, (start, stop) in enumerate(pairwise(bounds), start=1):
        found[f"before_switch_{number}"] = 100 * curve[start]
        found[f"lowest_after_switch_{number}"] = 100 * min(a for u, a in curve.items() if start < u <= stop)
    found["end"] = 100 * curve[bounds[-1]]
    return found


MEASURES = {"final": final, "all_examples": all_examples, "stability_gap": stability_gap}


def _accuracies(learner: ContinualLearner, whole: Stream) -> list[float]:
    """Of each held-out set. (The record of a run on all data at once does not have them.)"""
    found = []
    for evaluation in whole.evaluations:
        assert evaluation.data is not None
        batches = list(evaluation.data.batches(1000))
        hits = sum(int((learner.predict(b.x, evaluation.task).cpu() == b.y).sum()) for b in batches)
        found.append(hits / sum(map(len, batches)))
    return found
