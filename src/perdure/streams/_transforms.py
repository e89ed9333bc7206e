"""Transforms that make domains: fixed permutations of the pixels, rotations."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor
from torch.nn.functional import affine_grid, grid_sample

from perdure._random import generator
from perdure.streams._data import Transform


@dataclass(frozen=True)
class NamedTransform:
    """A function of x (B, ...) with the ``name`` under which its domain is reported."""

    name: str
    function: Transform

    def __call__(self, x: Tensor) -> Tensor:
        return self.function(x)


def permuted(seed: int, index: int) -> NamedTransform:
    """Put the pixels into another order, the same for all examples: domain ``index`` of permuted MNIST and its like.

    Images (B, ..., H, W) keep their channels together; of vectors (B, D) the features are permuted. Index 0 leaves x
    as it is, as is usual. Goodfellow et al. 2013, "An empirical investigation of catastrophic forgetting in
    gradient-based neural networks", arXiv:1312.6211.

    >>> x = torch.arange(4).reshape(1, 4)
    >>> permuted(0, 0)(x).tolist(), sorted(permuted(0, 1)(x)[0].tolist())
    ([[0, 1, 2, 3]], [0, 1, 2, 3])
    """
    if index < 0:
        raise ValueError(f"permutation {index}: count from 0, the identity")
    return NamedTransform(f"permutation {index}", partial(_permute, seed=seed, index=index))


def rotated(degrees: float) -> NamedTransform:
    """Turn images about their centre, counter-clockwise by ``degrees``: a domain of rotated MNIST and its like.

    x: (B, ..., H, W) with at least 3 dimensions, integer or floating; shape and dtype are kept, values interpolated
    bilinearly (integers rounded), and what comes from outside is 0. By 0° x is left as it is. Lopez-Paz and Ranzato
    2017, "Gradient episodic memory for continual learning", arXiv:1706.08840.

    >>> rotated(90)(torch.tensor([[[1, 2], [3, 4]]], dtype=torch.uint8)).tolist()
    [[[2, 4], [1, 3]]]
    """
    if not math.isfinite(degrees):
        raise ValueError(f"rotation by {degrees}: give degrees as a finite number")
    return NamedTransform(f"rotated {degrees:g}°", partial(_rotate, degrees=degrees))


def _permute(x: Tensor, seed: int, index: int) -> Tensor:
    if index == 0:
        return x
    if x.ndim < 2:
        raise ValueError(f"x has shape {tuple(x.shape)}: there is nothing to permute in single numbers")
    flat = x.flatten(-2) if x.ndim > 2 else x
    order = torch.randperm(flat.shape[-1], generator=generator(seed, "permutation", index))
    return flat.index_select(-1, order.to(x.device)).reshape(x.shape)


def _rotate(x: Tensor, degrees: float) -> Tensor:
    if degrees % 360 == 0:
        return x
    if x.ndim < 3:
        raise ValueError(f"x has shape {tuple(x.shape)}: reshape it to images (N, C, H, W) to rotate them")
    height, width = x.shape[-2:]
    cos, sin = math.cos(math.radians(degrees)), math.sin(math.radians(degrees))
    real = x if x.dtype in (torch.float32, torch.float64) else x.float()
    theta = real.new_tensor([[[cos, -sin * height / width, 0], [sin * width / height, cos, 0]]])
    planes = real.reshape(1, -1, height, width)
    grid = affine_grid(theta, [1, 1, height, width], align_corners=False)
    turned = grid_sample(planes, grid, mode="bilinear", padding_mode="zeros", align_corners=False).reshape(x.shape)
    return (turned if x.is_floating_point() else turned.round()).to(x.dtype)
