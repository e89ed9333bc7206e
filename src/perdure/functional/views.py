"""A second view of examples of any kind: random changes that keep the class."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from perdure.functional.augmentation import Augment


def random_resized_crop(scale: tuple[float, float] = (0.5, 1.0), ratio: float = 4 / 3) -> Augment:
    """A part of each image (B, C, H, W), stretched to the whole size: a share of the area within ``scale``, its height
    to width up to ``ratio`` either way. Pixels are copied, so that bytes stay bytes.
    """
    if not 0 < scale[0] <= scale[1] <= 1:
        raise ValueError(f"scale={scale}: choose two shares in (0, 1], the smaller first")
    if ratio < 1:
        raise ValueError(f"ratio={ratio}: choose a value from 1 on")

    def crop(x: Tensor, generator: torch.Generator) -> Tensor:
        size, _, height, width = x.shape
        area, shape, *at = torch.rand(4, size, 1, generator=generator)
        side = (scale[0] + (scale[1] - scale[0]) * area).sqrt()
        slant = torch.exp((shape - 0.5) * math.log(ratio))  # the root of the ratio
        rows = _pick(height, (side * slant).clamp(max=1), at[0]).to(x.device)
        columns = _pick(width, (side / slant).clamp(max=1), at[1]).to(x.device)
        index = torch.arange(size, device=x.device)
        return x.permute(0, 2, 3, 1)[index[:, None, None], rows[:, :, None], columns[:, None, :]].permute(0, 3, 1, 2)

    return crop


def _pick(length: int, share: Tensor, at: Tensor) -> Tensor:
    """The ``length`` positions (B, length) nearest to an even spread over ``share`` of them, ``at`` of the way."""
    middle = (torch.arange(length) + 0.5) * share + at * (1 - share) * length
    return middle.long().clamp(max=length - 1)


def random_exchange(share: float = 0.3) -> Augment:
    """Each entry of an example, with the probability ``share``, becomes that of another example of the batch: what
    vectors of any type can bear, tokens and bytes too (Bahri et al. 2022).
    """
    if not 0 <= share <= 1:
        raise ValueError(f"share={share}: choose a value in [0, 1]")

    def exchange(x: Tensor, generator: torch.Generator) -> Tensor:
        chosen = torch.rand(x.shape, generator=generator) < share
        other = torch.randperm(len(x), generator=generator)
        return torch.where(chosen.to(x.device), x[other.to(x.device)], x)

    return exchange


def any_view(x: Tensor, generator: torch.Generator) -> Tensor:
    """``random_resized_crop()`` of images (B, C, H, W), ``random_exchange()`` of anything else."""
    return (random_resized_crop() if x.dim() == 4 else random_exchange())(x, generator)
