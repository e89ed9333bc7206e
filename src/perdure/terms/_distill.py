"""Say of examples what the model said when the last experience ended."""

from __future__ import annotations

from typing import Literal, get_args

from torch import Tensor

from perdure._records import Draw, Step
from perdure.functional.distillation import Heads, distill, distill_heads
from perdure.terms._cross_entropy import Weight
from perdure.terms._taught import Taught

Among = Literal["old", "seen", "head"]
Together = Literal["sum", "mean"]


class Distill(Taught):
    """``weight`` times the distillation of the teacher, the model at the end of the last experience, over the incoming
    batch and exemplars of ``draws``; nothing while there is none. The weight ``share`` is that of old classes among all
    seen.

    The teacher's softmax runs over the ``old`` classes, those it has learnt. The student's runs ``among`` the old ones
    too, or all ``seen`` so far: then new classes are also taught to be unlikely; or both run over the whole ``head``.
    Where tasks are told, each old task's classes have a softmax of their own and ``heads`` says whether their losses
    add up or are averaged. ``squared=False`` leaves out the factor T^2.
    """

    def __init__(
        self,
        *draws: Draw,
        weight: Weight | Literal["share"] = 1.0,
        temperature: float = 2.0,
        among: Among = "old",
        heads: Together = "sum",
        squared: bool = True,
        name: str | None = None,
    ) -> None:
        super().__init__(draws, name)
        if not temperature > 0:
            raise ValueError(f"temperature={temperature}: give a number above 0")
        if among not in get_args(Among) or heads not in get_args(Together):
            raise ValueError(f'among={among!r}, heads={heads!r}: choose "old", "seen" or "head", and "sum" or "mean"')
        self.weight, self.temperature = weight, temperature
        self.among, self.heads, self.squared = among, heads, squared
        self._heads: tuple[Tensor, Tensor, Heads] | None = None

    def loss(self, step: Step) -> Tensor | None:
        """None while there is no teacher, and where the weight is 0."""
        weight = self._weight(step)
        lesson = None if weight == 0 else self.lesson(step)
        if lesson is None:
            return None
        segment, said = lesson
        student, teacher = segment.output.logits, said.logits
        if segment.batch.task is not None and step.tasks is not None:
            value = self._by_task(student, teacher, self._heads_of(step, step.tasks))
        elif self.among == "head":
            value = distill(student, teacher, self.temperature)
        else:
            old = self.old_bars(step)
            value = distill(student, teacher, self.temperature, step.seen if self.among == "seen" else old, old)
        factor = weight if self.squared else weight / self.temperature**2
        return value if factor == 1.0 else value * factor

    def _weight(self, step: Step) -> float:
        if self.weight == "share":
            return self.old_share(step)
        return self.weight(step) if callable(self.weight) else self.weight

    def _by_task(self, student: Tensor, teacher: Tensor, heads: Heads) -> Tensor:
        total = distill_heads(student, teacher, self.temperature, heads).sum()
        return total if self.heads == "sum" else total / heads.filled_H.sum()

    def _heads_of(self, step: Step, tasks: Tensor) -> Heads:
        """The old classes of each task; looked at once for each state of them."""
        known = self.old_bars(step)
        if self._heads is None or self._heads[0] is not tasks or self._heads[1] is not known:
            self._heads = tasks, known, Heads.of(tasks & self.old)
        return self._heads[2]
