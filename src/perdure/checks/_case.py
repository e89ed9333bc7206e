"""A learner under check: how to make it, and the calls to make."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cached_property
from typing import Any, TypeVar

from torch import Tensor

from perdure._contract import ContinualLearner
from perdure._health import Diverged
from perdure._records import Batch, Experience
from perdure.checks._script import Event, script
from perdure.checks._state import snapshot
from perdure.streams import Stream

SEED = 1

C = TypeVar("C")


class Case:
    """``make(seed)`` gives a fresh learner; ``events`` are what it lives through, ``asked`` what it is asked."""

    def __init__(self, make: Callable[[int], Any], stream: Stream, batch_size: int) -> None:
        self.make = make
        self.stream = stream
        self.events: list[Event] = script(stream, make(SEED).data == "so-far", batch_size)
        self.held_out: Experience = stream.evaluations[0]
        assert self.held_out.data is not None
        self.asked: Batch = next(iter(self.held_out.data.batches(batch_size)))

    def learner(self, upto: int = 0, seed: int = SEED) -> Any:
        """A fresh learner that has lived through the first ``upto`` events."""
        learner = self.make(seed)
        self.play(learner, 0, upto)
        return learner

    def play(self, learner: ContinualLearner, start: int, stop: int | None = None) -> None:
        """Events ``start`` to ``stop``."""
        for event in self.events[start:stop]:
            event.play(learner)

    def answers(self, learner: ContinualLearner) -> Tensor:
        """Predictions for the held-out examples."""
        return learner.predict(self.asked.x, self.held_out.task)

    @cached_property
    def first_observe(self) -> int:
        """The number of the first event that is a batch."""
        return next(i for i, event in enumerate(self.events) if event.batch is not None)

    @property
    def cuts(self) -> tuple[int, ...]:
        """Points to stop at: before all, around the first batch, and six on the way."""
        n, first = len(self.events), self.first_observe
        return tuple(sorted({0, first, first + 1, *(n * eighth // 8 for eighth in (1, 3, 4, 5, 7))}))

    def open_after(self, cut: int) -> Experience | None:
        """The experience that is open after ``cut`` events."""
        opened = None
        for event in self.events[:cut]:
            if event.batch is None:
                opened = event.experience
        return opened

    @cached_property
    def trace(self) -> list[dict[str, Any]]:
        """The state after 0, 1, 2, ... events."""
        learner = self.make(SEED)
        states = [snapshot(learner)]
        for event in self.events:
            event.play(learner)
            states.append(snapshot(learner))
        return states

    @cached_property
    def final_answers(self) -> Tensor:
        """Predictions at the end."""
        return self.answers(self.learner(len(self.events)))


def keep(promises: Mapping[str, Callable[[C], None]], case: C, exclude: Mapping[str, str], what: str) -> None:
    """Check each promise by name; ``exclude`` maps the names of those that are left out to the reason."""
    if unknown := sorted(exclude.keys() - promises.keys()):
        raise ValueError(f"exclude= names {unknown[0]!r}; the promises are {', '.join(promises)}")
    for name, promise in promises.items():
        if name in exclude:
            continue
        try:
            promise(case)
        except AssertionError as error:
            raise AssertionError(f"{what} breaks the promise {name!r}: {error}") from error
        except Diverged as error:
            raise AssertionError(f"{what} does not stay finite on the stream of this check: {error}") from error
