"""Memory aware synapses: what the outputs depend on moves less."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Literal

import torch
from torch import Tensor

from perdure._random import generator
from perdure._records import Batch, Boundary
from perdure.functional.per_example import batch_gradient, sum_of_powers
from perdure.penalties._pass import Over, check_pass, mean_of
from perdure.penalties._quadratic import QuadraticPenalty


class MAS(QuadraticPenalty):
    """A quadratic penalty weighted by how much the squared length of the output changes with a parameter: the mean over
    examples of ``|d ||logits|| ** 2 / d theta|`` (Aljundi et al. 2018, eq. 4), added up over experiences; the anchor is
    the latest parameters. No labels are needed.

    The outputs are those of the classes that may answer: ``norm`` is the ``sum`` of their squares or, as in some
    published code, the ``mean``. ``gradients="batch"`` takes the absolute value of the gradient of a mini-batch's mean,
    as published codes do, with batches of ``batch``, and the mean over batches; else that number only says how many
    examples go at once. ``samples`` of the experience's examples are looked at, None all.
    """

    needs_data = True

    def __init__(
        self,
        strength: float,
        *,
        gradients: Over = "example",
        norm: Literal["sum", "mean"] = "sum",
        samples: int | None = None,
        batch: int = 128,
        name: str | None = None,
    ) -> None:
        super().__init__(strength, name)
        check_pass(samples, batch)
        self.gradients, self.norm, self.samples, self.batch = gradients, norm, samples, batch

    def after_experience(self, boundary: Boundary) -> None:
        """Look at the experience's inputs once more."""
        all_alike = self.samples is None and self.gradients == "example"  # in any order
        order = None if all_alike else generator(self.seed, f"{self.name}/order", boundary.index)
        look = partial(self._changes, boundary)
        found = mean_of(boundary, look, self.gradients, size=self.batch, samples=self.samples, order=order)
        self.replace([*torch._foreach_add(self.importance, found)])

    def _changes(self, boundary: Boundary, batch: Batch, number: int) -> Mapping[str, Tensor]:
        """Of a batch: the sum over examples, or what all of it together says."""
        given, slope = (boundary.model, boundary.params, batch.x), self._slope(boundary.allowed(batch))
        if self.gradients == "example":
            return sum_of_powers(*given, lambda logits: slope(logits)[None], 1)
        found = batch_gradient(*given, lambda logits: slope(logits) / len(batch))
        return {name: g.abs() for name, g in found.items()}

    def _slope(self, allowed: Tensor | None) -> Callable[[Tensor], Tensor]:
        """The gradient of the squared length of each output (B, C) with respect to it."""

        def gradient(logits: Tensor) -> Tensor:
            among = torch.ones_like(logits) if allowed is None else allowed.expand_as(logits).to(logits)
            twice = 2 * logits * among
            return twice if self.norm == "sum" else twice / among.sum(1, keepdim=True)

        return gradient
