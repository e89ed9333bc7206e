"""Learn labels and keep what a teacher says, both by corrected logits."""

from __future__ import annotations

from typing import Protocol

from torch import Tensor

from perdure._records import Draw, Step
from perdure.functional.distillation import distill
from perdure.functional.masking import cross_entropy
from perdure.terms._taught import Taught


class Correction(Protocol):
    """What corrects logits, of student and teacher alike."""

    def correct(self, logits: Tensor) -> Tensor:
        """Logits (B, C) to logits (B, C)."""
        ...


class CorrectedDistill(Taught):
    """``(1 - s)`` times the cross entropy among seen classes plus ``s`` times that with the teacher's softmax over old
    classes at ``temperature``, where ``s`` is the share of old classes among the seen (Wu et al. 2019, equations 1 to
    3); one mean over the incoming batch and the exemplars of ``draws``.

    Student and teacher are both corrected as ``correction`` says, so a student equal to its teacher is not moved.
    """

    needs_new_classes = True

    def __init__(self, *draws: Draw, correction: Correction, temperature: float = 2.0, name: str | None = None) -> None:
        super().__init__(draws, name)
        if not temperature > 0:
            raise ValueError(f"temperature={temperature}: give a number above 0")
        self._correction = (correction,)  # in a tuple, so that it is no submodule: it is a part of its own
        self.temperature = temperature

    def loss(self, step: Step) -> Tensor | None:
        """From the first step on; without a teacher the cross entropy alone."""
        segment = step.gather(self.segments)
        if segment is None:
            return None
        (correction,) = self._correction
        logits = correction.correct(segment.output.logits)
        hard = cross_entropy(logits, segment.batch.y, step.allowed(segment.batch), reduction="mean")
        lesson = self.lesson(step)
        if lesson is None:
            return hard
        share = self.old_share(step)
        soft = distill(logits, correction.correct(lesson[1].logits), self.temperature, self.old)
        return (1 - share) * hard + share / self.temperature**2 * soft  # the authors' code has no T^2
