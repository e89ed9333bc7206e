"""One more look at an experience when it is over."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Literal

import torch
from torch import Tensor

from perdure._records import Batch, Boundary

Over = Literal["example", "batch"]


def mean_of(
    boundary: Boundary,
    look: Callable[[Batch, int], Mapping[str, Tensor]],
    over: Over,
    *,
    size: int,
    samples: int | None = None,
    order: torch.Generator | None = None,
) -> list[Tensor]:
    """What ``look`` says of batches of ``size`` (and of their number), by parameter, added up and divided by how many
    examples or batches there were: of ``samples`` examples at most, shuffled by ``order``.
    """
    total, count = [p.new_zeros(p.shape) for p in boundary.params.values()], 0
    with torch.no_grad():
        for number, batch in enumerate(_first(boundary.batches(size, order), samples)):
            torch._foreach_add_(total, [*look(batch, number).values()])
            count += len(batch) if over == "example" else 1
        torch._foreach_div_(total, max(count, 1))
    return total


def check_pass(samples: int | None, size: int) -> None:
    """Raise ``ValueError`` where a pass would look at nothing."""
    if samples is not None and samples < 1:
        raise ValueError(f"samples={samples}: look at one example at least, or at all with samples=None")
    if size < 1:
        raise ValueError(f"batches of {size}: take one example at a time at least")


def _first(batches: Iterator[Batch], samples: int | None) -> Iterator[Batch]:
    left = samples
    for batch in batches:
        if left is None:
            yield batch
            continue
        yield batch if left >= len(batch) else batch.rows(torch.arange(left, device=batch.y.device))
        left -= len(batch)
        if left <= 0:
            return
