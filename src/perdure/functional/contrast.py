"""The supervised contrastive loss."""

from __future__ import annotations

import torch
from torch import Tensor


def supervised_contrastive(directions_BD: Tensor, y: Tensor, temperature: float) -> Tensor | None:
    """Rows of one class attract each other, all others repel (Khosla et al. 2020, equation 2), rows being of length 1:

        mean over i of  -1/|P(i)| sum over p in P(i) of log(exp(z_i . z_p / T) / sum over a != i of exp(z_i . z_a / T))

    ``P(i)`` are the others of its class. Rows whose class occurs once have nothing to be attracted by and are left out;
    None if that leaves none.
    """
    pairs = y[:, None] == y
    pairs.fill_diagonal_(False)
    counts = pairs.sum(1)
    if not bool(counts.any()):
        return None
    itself = torch.eye(len(y), dtype=torch.bool, device=y.device)
    similar = (directions_BD @ directions_BD.T / temperature).masked_fill(itself, -torch.inf)
    log_p = similar.log_softmax(1).masked_fill(~pairs, 0.0)
    return (-log_p.sum(1)[counts > 0] / counts[counts > 0]).mean()
