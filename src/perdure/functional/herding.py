"""Herding: a few examples whose mean follows the mean of all."""

from __future__ import annotations

import torch
from torch import Tensor


def herd(features_ND: Tensor, size: int, mean_D: Tensor | None = None) -> Tensor:
    """Rows (size,) int64, the most important first: each is the one that brings the mean of those taken so far closest
    to ``mean_D``, the mean of all unless given (Rebuffi et al. 2017, algorithm 4).

    With k taken already and their sum s, the best next f is nearest to r = (k + 1) mean - s, for
    ``|mean - (s + f) / (k + 1)| = |r - f| / (k + 1)``: one product of all features with r a pick.

    >>> herd(torch.tensor([[0.0], [1.0], [2.0], [5.0]]), 2)
    tensor([2, 1])
    """
    if not 0 <= size <= len(features_ND):
        raise ValueError(f"herding {size} of {len(features_ND)} examples: take between none and all of them")
    wide = features_ND.double()
    mean = wide.mean(0) if mean_D is None else mean_D.double()
    squares = wide.square().sum(1)
    squares_left, rest = squares.clone(), mean.clone()
    picks = features_ND.new_zeros(size, dtype=torch.int64)
    for number in range(size):
        pick = (squares_left - 2 * (wide @ rest)).argmin()
        picks[number] = pick
        squares_left[pick] = torch.inf
        rest += mean - wide[pick]
    return picks
