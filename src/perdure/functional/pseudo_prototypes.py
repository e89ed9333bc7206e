"""The pseudo-prototypical proxy loss: prototypes attract and repel, helped by the examples of the batch."""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn.functional import logsigmoid


def proxy_loss(
    features_BD: Tensor,
    y: Tensor,
    prototypes_CD: Tensor,
    allowed: Tensor,
    *,
    temperature: float,
) -> Tensor:
    """De Lange and Tuytelaars 2021; features and prototypes have length 1.

    Against another prototype, of class c, example x belongs to c by the proxy q with the probability

        P(c | x; q) = exp(x . q / T) / (exp(x . q / T) + sum over k != c of exp(x . p_k / T)).

    Each example i of class c is attracted by the prototype and by the others of its class in the batch, and repels,
    as a proxy beside the prototype, each example j of another class:

        -1/B sum_i [log mean_q P(c | x_i; q) + sum_j log(1 - (P(c | x_j; x_i) + P(c | x_j; p_c)) / 2)]

    ``allowed`` ((C,) or (B, C) bool): the prototypes that count (for each example). Those that attract stand still, as
    in the authors' code; those that repel learn too.

    >>> x = torch.eye(2)
    >>> proxy_loss(x, torch.tensor([0, 1]), x, torch.tensor([True, True]), temperature=1.0)
    tensor(0.6265)
    """
    allowed = allowed.expand(len(y), -1)
    to_prototypes = features_BD @ prototypes_CD.T / temperature
    others = log_sum_of_others(to_prototypes, allowed)[:, y]  # B, B: example, class of the proxy
    by_prototype = to_prototypes[:, y] - others
    attracted = features_BD @ features_BD.detach().T / temperature - others
    repelled = features_BD @ features_BD.T / temperature - others
    same = y[:, None] == y
    fellows = same & ~torch.eye(len(y), dtype=torch.bool, device=y.device)
    pull = logsigmoid(attracted).masked_fill(~fellows, -torch.inf)
    pull = torch.cat([pull, logsigmoid(by_prototype).diagonal()[:, None]], dim=1).logsumexp(1)
    pull = pull - same.sum(1).to(pull).log()
    push = torch.logaddexp(logsigmoid(-repelled), logsigmoid(-by_prototype)) - math.log(2)
    return -(pull.sum() + push.masked_fill(same | ~allowed[:, y], 0.0).sum()) / len(y)


def log_sum_of_others(scores_BC: Tensor, allowed: Tensor) -> Tensor:
    """``log(sum over k != c of exp(score_k))`` for each c, (B, C), over those allowed; very low where there are none.

    The sum less one term loses all digits where that is the largest: its sum is made anew.
    """
    low = torch.finfo(scores_BC.dtype).min / 4  # not -inf: its gradient is no number where nothing is left
    scores = scores_BC.masked_fill(~allowed, low)
    top, at = scores.detach().max(1, keepdim=True)
    parts = (scores - top).exp()
    rest = (parts.sum(1, keepdim=True) - parts).clamp(min=torch.finfo(scores.dtype).tiny)
    of_top = scores.scatter(1, at, low).logsumexp(1, keepdim=True)
    itself = torch.arange(scores.shape[1], device=scores.device) == at
    return torch.where(itself, of_top, top + rest.log())
