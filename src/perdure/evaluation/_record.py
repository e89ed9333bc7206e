"""The Record: what a run saw, as numbers that outlive the process."""

from __future__ import annotations

import json
import math
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

from perdure._files import write_file
from perdure.evaluation._few_shot import BaseAnswers

Matrix = list[list[float]]


@dataclass(frozen=True)
class Cost:
    """What learning took. Evaluation is timed apart and counted nowhere else."""

    train_seconds: float
    evaluation_seconds: float
    updates: int
    samples: int  # examples presented by the stream, each epoch again
    processed: int  # examples that went through a training forward, replayed ones included
    memory_bytes: int  # of examples kept at the end: in memories, or all data where a method trains on all so far
    parameters: int


@dataclass(frozen=True)
class Curve:
    """Accuracy while learning: ``accuracy[i][k]`` on experience k after ``updates[i]`` updates; NaN where undefined."""

    updates: list[int]
    accuracy: Matrix


@dataclass(frozen=True)
class Incident:
    """What learning lived through: a batch ``skipped`` or a way ``rolled back``, after ``update`` updates."""

    kind: Literal["skipped", "rollback"]
    experience: str
    update: int
    text: str


@dataclass(frozen=True)
class Record:
    """One method on one stream with one seed.

    ``accuracy`` is the matrix R with T + 1 rows: ``accuracy[t][k]`` on the held-out data of experience k after learning
    t experiences, row 0 before learning. It is NaN where no class of experience k has been admitted yet. ``changes[t]``
    is the number of updates done when experience t began. Accuracies are fractions in [0, 1]. ``incidents`` tells the
    first batches that were skipped and times that learning was rolled back; the counts are complete.
    ``base_answers`` is there for few-shot streams. ``updates`` is there where they ended an experience, in place of
    ``epochs``; ``batch_size`` is a list where each experience had its own.
    """

    method: str
    seed: int
    data: str
    setting: str
    experiences: list[str]
    accuracy: Matrix
    curve: Curve
    changes: list[int]
    cost: Cost
    epochs: int = 1
    batch_size: int | list[int] = 1
    notes: tuple[str, ...] = ()
    weights_sha256: str = ""
    num_skipped: int = 0
    num_rollbacks: int = 0
    incidents: list[Incident] = field(default_factory=list)
    base_answers: BaseAnswers | None = None
    updates: int | None = None

    @property
    def batch_sizes(self) -> list[int]:
        """The batch size of each experience."""
        return self.batch_size if isinstance(self.batch_size, list) else [self.batch_size] * len(self.changes)

    def to_json(self) -> dict[str, Any]:
        """A JSON object; NaN becomes null."""
        cleaned: dict[str, Any] = _swap(asdict(self), lambda v: None if isinstance(v, float) and math.isnan(v) else v)
        return cleaned

    @staticmethod
    def from_json(data: dict[str, Any]) -> Record:
        """The record again, checked field by field; null becomes NaN.

        Raises ``ValueError`` naming the field that does not fit.
        """
        from pydantic import TypeAdapter

        shares = (data.get("base_answers") or {}).get("shares", [])
        for row in [*data.get("accuracy", []), *data.get("curve", {}).get("accuracy", []), *shares]:
            row[:] = [math.nan if v is None else v for v in row]
        return TypeAdapter(Record).validate_python(data)

    def write(self, path: Path) -> None:
        """Write as JSON, complete or not at all."""
        write_file(path, json.dumps(self.to_json(), allow_nan=False) + "\n")

    @staticmethod
    def read(path: Path) -> Record:
        """Read what ``write`` wrote."""
        return Record.from_json(json.loads(path.read_text(encoding="utf-8")))


def _swap(value: Any, leaf: Any) -> Any:
    if isinstance(value, dict):
        return {k: _swap(v, leaf) for k, v in value.items()}
    if isinstance(value, (list, tuple)):
        return [_swap(v, leaf) for v in value]
    return leaf(value)
