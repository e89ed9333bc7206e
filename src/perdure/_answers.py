"""What a learner says when it is asked."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.func import functional_call

from perdure._part import Part
from perdure._records import Output
from perdure.nn import Model


@torch.no_grad()
def scores(
    model: Model, x: Tensor, task: int | Tensor | None, heads: Sequence[Part], weighing: Sequence[Part]
) -> Tensor:
    """The model's logits (B, C), or what ``heads`` answers in their place, with the weights of ``weighing``: of each
    example's task where ``task`` is (B,).
    """
    if not weighing or not isinstance(task, Tensor):
        return _score(model, x, task if isinstance(task, int) else None, heads, weighing)
    out: Tensor | None = None
    for each in sorted(set(task.tolist())):
        rows = (task == each).nonzero()[:, 0].to(x.device)
        found = _score(model, x[rows], each, heads, weighing)
        out = found.new_zeros(len(x), found.shape[1]) if out is None else out
        out[rows] = found
    assert out is not None
    return out


def _score(model: Model, x: Tensor, task: int | None, heads: Sequence[Part], weighing: Sequence[Part]) -> Tensor:
    output: Output | None = None
    for part in weighing:
        weights = part.weights(task)
        output = None if weights is None else functional_call(model, dict(weights), (x,))
    if output is None:
        output = model(x)
    logits = output.logits
    for part in heads:
        logits = part.answer(output)
    return logits
