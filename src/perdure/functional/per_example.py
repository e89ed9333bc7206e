"""Gradients of each example: sums of their powers and the angles between them, formed only where they must be.

For a linear layer on one position the gradient of example b is ``g_b a_b.T``, output gradient times input (Goodfellow
2015). So the sum of squares over a batch is one product of matrices, ``(g ** 2).T @ (a ** 2)``, and all inner products
are ``(a @ a.T) * (g @ g.T)``. Convolutions and sequences form them a few examples at a time; parameters that act in any
other way, or in two places, go through a vectorised map (``per_example_rest``). The model is any module whose output
has ``logits`` (B, C), in eval mode; axis 0 of what its layers take is the example. Legend: K gradients an example.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Literal

import torch
from torch import Tensor, nn

from perdure.functional.masking import exclude
from perdure.functional.per_example_rest import gradients
from perdure.functional.per_example_trace import Known, Trace, run

NUMBERS = 2**23
"""No more numbers than about this are held at once for gradients that have to be formed."""

Cotangents = Callable[[Tensor], Tensor]
"""From logits (B, C) to (K, B, C): the gradient with respect to the logits of each of K functions of each example."""


def sum_of_powers(
    model: nn.Module, params: Mapping[str, Tensor], x: Tensor, cotangents: Cotangents, power: Literal[1, 2]
) -> dict[str, Tensor]:
    """For each parameter the sum over examples, and over the K functions of each, of |gradient| ** ``power``.

    All parameters of the model stay as they are and get no ``grad``.
    """
    trace = run(model, params, x)
    with torch.no_grad():
        given = cotangents(trace.logits.detach())
        sums = {name: torch.zeros_like(p, memory_format=torch.contiguous_format) for name, p in params.items()}
        reached: dict[str, Tensor] = {}  # |g| ** power of layers whose gradients are outer products, summed over K
        for k, cotangent in enumerate(given):
            for each, g in zip(trace.known, trace.output_gradients(cotangent, k + 1 < len(given)), strict=True):
                if each.kind == "weight" and each.use.outer is not None:
                    powers = _power(g.flatten(1), power)
                    reached[each.name] = powers if k == 0 else reached[each.name].add_(powers)
                else:
                    _add(sums[each.name], _formed(each, g), power)
            _add_rest(sums, _formed_rest(model, trace, cotangent), trace.rest, power)
        for each in trace.known:
            a = each.use.outer
            if each.name in reached and a is not None:
                sums[each.name] += reached[each.name].T @ _power(a, power)
    return sums


def batch_gradient(
    model: nn.Module, params: Mapping[str, Tensor], x: Tensor, cotangent: Callable[[Tensor], Tensor]
) -> dict[str, Tensor]:
    """For each parameter the gradient of the batch as a whole; ``cotangent`` takes logits (B, C) to its gradient there.
    What published codes put the square or the absolute value of in place of a sum over examples.
    """
    with torch.enable_grad():
        logits: Tensor = model(x).logits
    grads = torch.autograd.grad(logits, list(params.values()), cotangent(logits.detach()), allow_unused=True)
    return {name: torch.zeros_like(p) if g is None else g for (name, p), g in zip(params.items(), grads, strict=True)}


def gradient_gram(
    model: nn.Module,
    params: Mapping[str, Tensor],
    x1: Tensor,
    y1: Tensor,
    allowed1: Tensor | None,
    x2: Tensor,
    y2: Tensor,
    allowed2: Tensor | None,
) -> Tensor:
    """(B1, B2): the cosine of the gradients of the cross entropy of each example of one batch and each of another.

    ``allowed`` (C,) or (B, C) bool says which classes the softmax runs over, None all. A gradient of zero has the
    cosine 0 with all.
    """
    one, two = run(model, params, x1), run(model, params, x2)
    with torch.no_grad():
        c1, c2 = _loss_cotangent(one.logits, y1, allowed1), _loss_cotangent(two.logits, y2, allowed2)
        g1, g2 = one.output_gradients(c1, False), two.output_gradients(c2, False)
        dots, norms1, norms2 = c1.new_zeros(len(x1), len(x2)), c1.new_zeros(len(x1)), c1.new_zeros(len(x2))
        pairs = {each.name: (each, g) for each, g in zip(two.known, g2, strict=True)}
        for each, g in zip(one.known, g1, strict=True):
            for d, n1, n2 in _products(each, g, *pairs[each.name]):
                dots, norms1, norms2 = dots + d, norms1 + n1, norms2 + n2
        d, n1, n2 = _rest_products(model, one, c1, two, c2)
        return (dots + d) / _positive(norms1 + n1).sqrt()[:, None] / _positive(norms2 + n2).sqrt()


def _formed(each: Known, g: Tensor, outputs: slice = slice(None)) -> Iterator[Tensor]:
    """Gradients of a parameter, one row an example, some examples at a time."""
    if each.kind == "bias":
        yield each.use.bias_gradients(g)
        return
    for rows in _chunks(each.use.examples, each.use.numbers):
        yield each.use.weight_gradients(g, rows, outputs)


def _formed_rest(model: nn.Module, trace: Trace, cotangent: Tensor) -> Iterator[Tensor]:
    """Gradients of all other parameters in a row, one row an example, some examples at a time."""
    width = sum(p.numel() for p in trace.rest.values())
    if width:
        for rows in _chunks(len(trace.x), width):
            yield gradients(model, trace.rest, trace.x[rows], cotangent[rows])


def _add(total: Tensor, formed: Iterator[Tensor], power: int) -> None:
    for rows in formed:
        total += _power(rows, power).sum(0).reshape(total.shape)


def _add_rest(sums: Mapping[str, Tensor], formed: Iterator[Tensor], rest: Mapping[str, Tensor], power: int) -> None:
    for rows in formed:
        pieces = torch.split(_power(rows, power).sum(0), [p.numel() for p in rest.values()])
        for name, piece in zip(rest, pieces, strict=True):
            sums[name].add_(piece.reshape(sums[name].shape))


def _products(one: Known, g1: Tensor, two: Known, g2: Tensor) -> Iterator[tuple[Tensor, Tensor, Tensor]]:
    """Inner products (B1, B2) and squared norms (B1,), (B2,) of the gradients of one parameter, in addends."""
    a1, a2 = one.use.outer, two.use.outer
    if one.kind == "weight" and a1 is not None and a2 is not None:
        g1, g2 = g1.flatten(1), g2.flatten(1)
        norms = [a.square().sum(1) * g.square().sum(1) for a, g in ((a1, g1), (a2, g2))]
        yield (a1 @ a2.T) * (g1 @ g2.T), norms[0], norms[1]
        return
    if one.kind == "bias":
        f1, f2 = one.use.bias_gradients(g1), two.use.bias_gradients(g2)
        yield f1 @ f2.T, f1.square().sum(1), f2.square().sum(1)
        return
    count = one.use.outputs
    for outputs in _chunks(count, (len(g1) + len(g2)) * one.use.numbers // count):
        f1, f2 = torch.cat([*_formed(one, g1, outputs)]), torch.cat([*_formed(two, g2, outputs)])
        yield f1 @ f2.T, f1.square().sum(1), f2.square().sum(1)


def _rest_products(model: nn.Module, one: Trace, c1: Tensor, two: Trace, c2: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """The same for all parameters outside known layers."""
    if not one.rest:
        return c1.new_zeros(()), c1.new_zeros(()), c1.new_zeros(())
    dots: list[Tensor] = []
    norms1: list[Tensor] = []
    for f1 in _formed_rest(model, one, c1):
        row: list[Tensor] = []
        norms2: list[Tensor] = []
        for f2 in _formed_rest(model, two, c2):
            row.append(f1 @ f2.T)
            norms2.append(f2.square().sum(1))
        dots.append(torch.cat(row, 1))
        norms1.append(f1.square().sum(1))
    return torch.cat(dots), torch.cat(norms1), torch.cat(norms2)


def _loss_cotangent(logits: Tensor, y: Tensor, allowed: Tensor | None) -> Tensor:
    """(B, C): the gradient of the cross entropy of each example with respect to its logits."""
    p = exclude(logits.detach(), allowed).softmax(1)
    return p.scatter_add(1, y[:, None], p.new_full((len(y), 1), -1.0))


def _power(value: Tensor, power: int) -> Tensor:
    return value.square() if power == 2 else value.abs()


def _positive(norms: Tensor) -> Tensor:
    """Zero becomes one: the inner product is zero there."""
    return torch.where(norms > 0, norms, 1.0)


def _chunks(size: int, each: int) -> Iterator[slice]:
    """Slices of ``size`` rows of ``each`` numbers, so that about ``NUMBERS`` are held at once."""
    step = max(1, NUMBERS // max(1, each))
    return (slice(start, start + step) for start in range(0, size, step))
