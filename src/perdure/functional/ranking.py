"""Margin ranking: the right class before the strongest wrong ones."""

from __future__ import annotations

import torch
from torch import Tensor

from perdure.functional.masking import exclude


def margin_ranking(scores_BC: Tensor, y: Tensor, old: Tensor, new: Tensor, num_rivals: int, margin: float) -> Tensor:
    """The mean of ``relu(margin - score of y + score of a rival)`` over the examples of ``old`` classes ((C,) bool) and
    the ``num_rivals`` highest scores of ``new`` classes ((C,) bool) for each (Hou et al. 2019, section 3.4); 0 if
    there is no such example.

    >>> scores = torch.tensor([[0.9, 0.1, 0.7]])
    >>> old = torch.tensor([True, True, False])
    >>> margin_ranking(scores, torch.tensor([0]), old, ~old, num_rivals=1, margin=0.5)
    tensor(0.3000)
    """
    rivals_BK = exclude(scores_BC, new).topk(min(num_rivals, len(new)), dim=1).values
    gaps_BK = (margin - scores_BC.gather(1, y[:, None]) + rivals_BK).clamp(min=0)
    asked_B = old[y]
    pairs = asked_B.sum() * new.sum().clamp(max=num_rivals)
    return torch.where(asked_B[:, None], gaps_BK, 0.0).sum() / pairs.clamp(min=1)
