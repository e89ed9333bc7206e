"""Seeds of claims measured side by side, each process on one core; one that fails or dies leaves the others alone."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from perdure._pool import DIED, Pool

THREADS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")


class Task(NamedTuple):
    """One seed of one claim."""

    claim: str
    """As ``load`` takes it."""
    seed: int


@dataclass(frozen=True)
class Done:
    """How a task went: what it took, or why it failed."""

    task: Task
    seconds: float = 0.0
    error: str = ""
    trace: str = ""


def run_all(tasks: Sequence[Task], out: Path, jobs: int, tell: Callable[[Done, int], object]) -> None:
    """Measure ``tasks`` in ``jobs`` processes, and ``tell`` how each went and how many are left, one at a time.

    Whatever is raised meanwhile (Ctrl-C) ends the processes at once; what they have written stays.
    """
    left = len(tasks)
    with Pool("perdure.claims._worker", jobs, dict.fromkeys(THREADS, "1"), quiet=True) as pool:
        for asked, said in pool.talk({"out": str(out)}, (task._asdict() for task in tasks)):
            left -= 1
            error = said.get(DIED, said.get("error", ""))
            tell(Done(Task(**asked), said.get("seconds", 0.0), error, said.get("trace", "")), left)


def in_one_line(error: Exception) -> str:
    """What went wrong.

    >>> in_one_line(ValueError("no\\nsuch thing"))
    'ValueError: no such thing'
    """
    return " ".join(f"{type(error).__name__}: {error}".split())
