"""Random changes of images that keep their class: functions of a batch (B, C, H, W) and a generator."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

Augment = Callable[[Tensor, torch.Generator], Tensor]


def random_crop(padding: int = 4) -> Augment:
    """Shift each image by up to ``padding`` pixels in each direction; what comes in is zero."""
    if padding < 1:
        raise ValueError(f"padding={padding}: shift by at least 1 pixel")

    def crop(x: Tensor, generator: torch.Generator) -> Tensor:
        size, _, height, width = x.shape
        padded = torch.nn.functional.pad(x, (padding, padding, padding, padding))
        offsets = torch.randint(2 * padding + 1, (2, size, 1), generator=generator).to(x.device)
        rows = offsets[0] + torch.arange(height, device=x.device)
        columns = offsets[1] + torch.arange(width, device=x.device)
        index = torch.arange(size, device=x.device)
        return padded[index[:, None, None], :, rows[:, :, None], columns[:, None, :]].permute(0, 3, 1, 2)

    return crop


def random_flip(probability: float = 0.5) -> Augment:
    """Mirror each image left to right with ``probability``."""
    if not 0 <= probability <= 1:
        raise ValueError(f"probability={probability}: choose a value in [0, 1]")

    def flip(x: Tensor, generator: torch.Generator) -> Tensor:
        mirrored = (torch.rand(len(x), generator=generator) < probability).to(x.device)
        return torch.where(mirrored[:, None, None, None], x.flip(3), x)

    return flip


def compose(*steps: Augment) -> Augment:
    """One after the other, each with random numbers of its own."""

    def augment(x: Tensor, generator: torch.Generator) -> Tensor:
        for step in steps:
            x = step(x, generator)
        return x

    return augment
