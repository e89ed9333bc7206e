"""One scale and one shift for the logits of some classes."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy

MOST = 100  # Newton steps; a dozen are enough


def fit_bias(logits_NC: Tensor, y_N: Tensor, new_C: Tensor, ridge: float = 0.0) -> tuple[float, float]:
    """alpha and beta that minimise the mean cross entropy of ``alpha * logits + beta`` for the ``new_C`` (bool) classes
    beside the others as they are, plus ``ridge / 2 ((alpha - 1)^2 + beta^2)`` (Wu et al. 2019, equations 4 and 5).

    It is convex in both, so Newton's method with halved steps finds the one minimum. Classes whose logits are -inf are
    left out. Without ridge there is no minimum where some alpha and beta make no mistake.

    >>> logits = torch.tensor([[0.0, 3.0], [1.0, 3.0], [0.0, 1.0], [0.0, 3.0]])
    >>> alpha, beta = fit_bias(logits, torch.tensor([0, 0, 0, 1]), torch.tensor([False, True]), ridge=0.1)
    >>> alpha < 1, beta < 0
    (True, True)
    """
    wide = logits_NC.double()
    at = wide.new_tensor([1.0, 0.0])
    start, value = at.clone(), _objective(wide, y_N, new_C, at, at, ridge)
    for _ in range(MOST):
        slope, curvature = _derivatives(wide, y_N, new_C, at)
        slope, curvature = slope + ridge * (at - start), curvature + (ridge + 1e-12) * torch.eye(2).to(at)
        step, length = torch.linalg.solve(curvature, slope), 1.0
        while length > 1e-6:
            tried = _objective(wide, y_N, new_C, at - length * step, start, ridge)
            if tried <= value:
                break
            length /= 2
        else:
            break
        at, before, value = at - length * step, value, tried
        if float(before - value) < 1e-14:
            break
    return float(at[0]), float(at[1])


def _corrected(logits: Tensor, new: Tensor, at: Tensor) -> Tensor:
    return torch.where(new, at[0] * logits + at[1], logits)


def _objective(logits: Tensor, y: Tensor, new: Tensor, at: Tensor, start: Tensor, ridge: float) -> Tensor:
    return cross_entropy(_corrected(logits, new, at), y) + ridge / 2 * (at - start).square().sum()


def _derivatives(logits: Tensor, y: Tensor, new: Tensor, at: Tensor) -> tuple[Tensor, Tensor]:
    """Gradient (2,) and Hessian (2, 2) of the mean cross entropy: moments of z = (logit, 1), 0 for an old class."""
    p = _corrected(logits, new, at).softmax(1)
    each = torch.stack([logits.masked_fill(~new | logits.isinf(), 0), new.expand_as(logits).to(logits)])  # (2, N, C)
    own = each.gather(2, y[None, :, None].expand(2, -1, 1))[..., 0]
    mean = (p * each).sum(2)
    second = torch.einsum("nc,inc,jnc->ij", p, each, each) - mean @ mean.T
    return (mean - own).mean(1), second / len(y)
