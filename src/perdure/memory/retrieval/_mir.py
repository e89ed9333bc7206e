"""MIR: replay the exemplars that learning the incoming batch would harm most."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.func import functional_call

from perdure._modes import evaluating
from perdure._part import Part
from perdure._records import Batch, Choice, Draw, Output
from perdure.functional.masking import cross_entropy


class MaximallyInterfered(Part):
    """Of the candidates of ``draw``, replay those whose loss would rise most if the model took one step of plain
    gradient descent, at the learning rate of now, on the incoming batch alone (Aljundi et al. 2019, their
    first criterion).

    That step is never taken: the model is asked with other weights. All three forwards are in eval mode, on examples as
    they are, before augmentation. Where the rise is equal (at rate 0, say), the order of the candidates decides, which
    is random.
    """

    forwards = 3

    def __init__(self, draw: Draw, *, name: str | None = None) -> None:
        super().__init__(f"MaximallyInterfered({draw.name})" if name is None else name)
        if draw.candidates is None:
            raise ValueError(f"draw {draw.name!r} has no candidates to choose from: give Draw(..., candidates=50)")
        self.draws = (draw,)

    def choose(self, choice: Choice) -> Tensor:
        """The ``size`` rows that ``rise`` most, the most harmed first."""
        return self.rise(choice).argsort(descending=True, stable=True)[: choice.draw.size]

    def rise(self, choice: Choice) -> Tensor:
        """By how much the loss of each candidate would rise: (N,)."""
        with evaluating(self.model):
            ahead = self._step(choice)
            with torch.no_grad():
                before = self._losses(choice, choice.candidates, self.model(choice.candidates.x))
                after = self._losses(choice, choice.candidates, functional_call(self.model, ahead, choice.candidates.x))
        return after - before

    def _step(self, choice: Choice) -> dict[str, Tensor]:
        """The trainable parameters after the step, by name."""
        params = list(choice.params.values())
        with torch.enable_grad():
            loss = self._losses(choice, choice.incoming, self.model(choice.incoming.x)).mean()
            grads = torch.autograd.grad(loss, params, allow_unused=True, materialize_grads=True)
        with torch.no_grad():
            return dict(zip(choice.params, torch._foreach_add(params, grads, alpha=-choice.rate), strict=True))

    def _losses(self, choice: Choice, batch: Batch, output: Output) -> Tensor:
        return cross_entropy(output.logits, batch.y, choice.allowed(batch))
