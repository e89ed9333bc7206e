"""Which weights matter least."""

from __future__ import annotations

import torch
from torch import Tensor


def smallest(weight: Tensor, among: Tensor, share: float) -> Tensor:
    """A mask of the ``share`` of the weights ``among`` which are smallest in size, rounded to a whole number that
    leaves at least one; of equal ones those that come first.

    >>> smallest(torch.tensor([3.0, -1.0, 0.5, 2.0, 9.0]), torch.tensor([True, True, True, True, False]), 0.5)
    tensor([False,  True,  True, False, False])
    """
    rows = among.flatten().nonzero()[:, 0]
    count = min(round(share * len(rows)), max(len(rows) - 1, 0))
    order = weight.detach().flatten()[rows].abs().argsort(stable=True)
    mask = torch.zeros_like(among.flatten())
    mask[rows[order[:count]]] = True
    return mask.view_as(among)
