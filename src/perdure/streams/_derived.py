"""Streams made from a stream."""

from __future__ import annotations

from dataclasses import replace

from perdure._records import Data, Experience
from perdure.streams._data import ConcatData, IndexedData
from perdure.streams._mixed import MixedData
from perdure.streams._stream import Stream


def task_free(stream: Stream) -> Stream:
    """The same data in one pass, its boundaries hidden from the learner.

    Experiences and evaluations stay, for the report's sake. Raises ``ValueError`` where the stream tells tasks, which
    would give the boundaries away.

    Source: Aljundi, Kelchtermans and Tuytelaars 2019, "Task-free continual learning", arXiv:1812.03596.

    >>> import torch
    >>> from perdure.streams import class_incremental
    >>> data = torch.rand(40, 3), torch.arange(40) % 4
    >>> stream = task_free(class_incremental(data, experiences=2, holdout=0.2))
    >>> stream.setting, stream.boundaries
    ('task-free', False)
    """
    if stream.setting == "task-incremental":
        raise ValueError("this stream tells tasks, which shows its boundaries: build it with class_incremental first")
    notes = (*stream.notes, "One pass, boundaries not shown.")
    return replace(stream, setting="task-free", boundaries=False, notes=notes)


def cumulative(stream: Stream) -> Stream:
    """Experience t holds all data of experiences 0 to t: what retraining from scratch, the upper bound, learns from.

    Evaluations stay as they are. Where tasks are told each example tells its own; an experience of several has none.
    Data without random access are mixed while they are read.

    >>> import torch
    >>> from perdure.streams import class_incremental
    >>> data = torch.rand(40, 3), torch.arange(40) % 4
    >>> [len(e.data) for e in cumulative(class_incremental(data, experiences=2, holdout=0.2)).experiences]
    [16, 32]
    """
    parts: list[Data] = []
    joined = []
    for t, experience in enumerate(stream.experiences):
        if experience.data is None:
            raise ValueError(f"experience {t} has no data to join")
        parts.append(experience.data)
        seen = sorted({c for e in stream.experiences[: t + 1] for c in e.classes})
        tasks = {e.task for e in stream.experiences[: t + 1]}
        task = experience.task if len(tasks) == 1 else None
        joined.append(Experience(t, tuple(seen), _join(parts), task, experience.name))
    notes = (*stream.notes, "Cumulative: each experience holds all data so far.")
    return replace(stream, experiences=tuple(joined), notes=notes)


def _join(parts: list[Data]) -> Data:
    indexed = [part for part in parts if isinstance(part, IndexedData)]
    return ConcatData(indexed) if len(indexed) == len(parts) else MixedData(parts)
