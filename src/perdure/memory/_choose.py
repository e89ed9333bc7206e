"""Uniform choice without replacement, at a cost that does not depend on how much there is to choose from."""

from __future__ import annotations

import torch
from torch import Tensor


def choose(total: int, size: int, generator: torch.Generator) -> Tensor:
    """``size`` different numbers below ``total``, every ordered choice equally likely: (size,) int64.

    Few out of many: the first ``size`` distinct values of a sequence of independent draws.

    >>> sorted(choose(5, 5, torch.Generator().manual_seed(0)).tolist())
    [0, 1, 2, 3, 4]
    """
    if total <= 16 * size:
        return torch.randperm(total, generator=generator)[:size]
    rows = torch.randint(total, (size,), generator=generator)
    distinct = dict.fromkeys(rows.tolist())
    if len(distinct) == size:
        return rows
    while len(distinct) < size:
        distinct.update(dict.fromkeys(torch.randint(total, (size,), generator=generator).tolist()))
    return torch.tensor(list(distinct)[:size])
