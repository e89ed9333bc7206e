"""Elastic weight consolidation: what the likelihood of earlier experiences depends on moves less."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial

from torch import Tensor

from perdure._random import generator
from perdure._records import Batch, Boundary
from perdure.functional.fisher import Labels, squared_batch_gradient, squared_gradients
from perdure.penalties._pass import Over, check_pass, mean_of
from perdure.penalties._quadratic import QuadraticPenalty


class EWC(QuadraticPenalty):
    """A quadratic penalty weighted by the diagonal of the Fisher information (Kirkpatrick et al. 2017, eq. 3).

    One anchor an experience; ``online``: one in all, at the latest parameters, with ``decay`` times the importance of
    before plus the new (Schwarz et al. 2018, section 4). Both cost the same however many experiences there were.
    ``labels`` says which labels the Fisher information takes, of the classes that may answer: their exact expectation,
    one ``sampled``, the ``predicted``, the ``true``. ``fisher="batch"`` takes the square of the gradient of a
    mini-batch's mean times its length, as several published codes do, with batches of ``fisher_batch``; else that
    number only says how many examples go at once. ``samples`` of the experience's examples are looked at, None all.
    """

    needs_data = True

    def __init__(
        self,
        strength: float,
        *,
        labels: Labels = "expectation",
        fisher: Over = "example",
        online: bool = False,
        decay: float = 1.0,
        samples: int | None = None,
        fisher_batch: int = 128,
        name: str | None = None,
    ) -> None:
        super().__init__(strength, name)
        if not 0 <= decay <= 1:
            raise ValueError(f"decay={decay}: give a number from 0, only the latest counts, to 1, all count alike")
        if decay != 1.0 and not online:
            raise ValueError(f"decay={decay} without online=True: separate anchors do not decay; give online=True")
        if fisher == "batch" and labels == "expectation":
            raise ValueError('fisher="batch" takes one label an example: give labels="predicted", "sampled" or "true"')
        check_pass(samples, fisher_batch)
        self.labels, self.fisher, self.online, self.decay = labels, fisher, online, decay
        self.samples, self.fisher_batch = samples, fisher_batch

    def after_experience(self, boundary: Boundary) -> None:
        """Look at the experience's data once more: the Fisher information at its end."""
        all_alike = self.samples is None and self.fisher == "example"  # in any order
        order = None if all_alike else generator(self.seed, f"{self.name}/order", boundary.index)
        found = mean_of(
            boundary,
            partial(self._squares, boundary),
            self.fisher,
            size=self.fisher_batch,
            samples=self.samples,
            order=order,
        )
        if self.online:
            self.replace([self.decay * before + new for before, new in zip(self.importance, found, strict=True)])
        else:
            self.add(found)

    def _squares(self, boundary: Boundary, batch: Batch, number: int) -> Mapping[str, Tensor]:
        random = generator(self.seed, f"{self.name}/{number}", boundary.index) if self.labels == "sampled" else None
        given = boundary.model, boundary.params, batch.x, boundary.allowed(batch)
        if self.fisher == "batch" and self.labels != "expectation":
            return squared_batch_gradient(*given, self.labels, batch.y, random)
        return squared_gradients(*given, self.labels, batch.y, random)
