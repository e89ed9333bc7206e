"""The diagonal of the Fisher information: squares of the gradients of log-likelihoods, example by example.

``F = E_x E_{y ~ p(y|x)} [(d log p(y|x) / d theta) ** 2]``. The published code of several libraries squares the gradient
of the mean of a mini-batch instead, which makes cross terms and depends on the batch size: ``squared_batch_gradient``.
Legend: B examples, C classes, K labels an example.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

import torch
from torch import Tensor, nn

from perdure.functional.masking import exclude
from perdure.functional.per_example import batch_gradient, sum_of_powers

Labels = Literal["expectation", "sampled", "predicted", "true"]
"""Of which labels: all that are allowed, weighted by what the model says of them (exact); one drawn from that; the most
likely; the one that was given (the empirical Fisher).
"""


def squared_gradients(
    model: nn.Module,
    params: Mapping[str, Tensor],
    x: Tensor,
    allowed: Tensor | None = None,
    labels: Labels = "expectation",
    y: Tensor | None = None,
    generator: torch.Generator | None = None,
) -> dict[str, Tensor]:
    """For each parameter the sum over the batch of the squared gradient of ``log p(label | x)``: divide by the number
    of examples for the Fisher information.

    ``allowed`` (C,) or (B, C) bool: the classes that the softmax runs over, None all. ``labels="true"`` takes them from
    ``y`` (B,), ``"sampled"`` draws them by ``generator``. The model is in eval mode. As many backward passes as there
    are allowed classes for the expectation, else one.
    """
    return sum_of_powers(model, params, x, lambda logits: _scores(logits, allowed, labels, y, generator), 2)


def squared_batch_gradient(
    model: nn.Module,
    params: Mapping[str, Tensor],
    x: Tensor,
    allowed: Tensor | None = None,
    labels: Literal["sampled", "predicted", "true"] = "predicted",
    y: Tensor | None = None,
    generator: torch.Generator | None = None,
) -> dict[str, Tensor]:
    """B times the square of the gradient of the batch's mean of ``log p(label | x)``: no Fisher information, but what
    published numbers were made with. Its mean over batches compares with the mean over examples of
    ``squared_gradients``.
    """
    grads = batch_gradient(model, params, x, lambda logits: _scores(logits, allowed, labels, y, generator)[0] / len(x))
    return {name: len(x) * g.square() for name, g in grads.items()}


def _scores(
    logits: Tensor, allowed: Tensor | None, labels: Labels, y: Tensor | None, generator: torch.Generator | None
) -> Tensor:
    """(K, B, C): the gradient of ``log p(label)`` with respect to the logits, times the square root of its weight."""
    p = exclude(logits, allowed).softmax(1)
    if labels == "expectation":
        among = torch.arange(logits.shape[1], device=logits.device)
        if allowed is not None:
            among = among[allowed.expand_as(logits).any(0)]
        chosen, weights = among[:, None].expand(-1, len(logits)), p.T[among].sqrt()
    else:
        chosen, weights = _label(p, labels, y, generator)[None], p.new_ones(1, len(logits))
    hot = torch.nn.functional.one_hot(chosen, logits.shape[1])
    return weights[..., None] * (hot - p)


def _label(p: Tensor, labels: Labels, y: Tensor | None, generator: torch.Generator | None) -> Tensor:
    if labels == "predicted":
        return p.argmax(1)
    if labels == "sampled":
        if generator is None:
            raise ValueError('labels="sampled" draws them: give generator=')
        return torch.multinomial(p.cpu(), 1, generator=generator)[:, 0].to(p.device)  # a CPU generator: same numbers
    if y is None:
        raise ValueError('labels="true" needs the labels: give y=')
    return y
