"""A number that follows from an example's bytes and nothing else."""

from __future__ import annotations

import torch
from torch import Tensor

WORD = 0xFFFFFFFF


def fingerprint(x: Tensor, seed: int = 0) -> Tensor:
    """Numbers (B,) float64 in [0, 1), as if drawn at random, of the examples ``x`` (B, ...) of any dtype: the same for
    the same bytes, whatever batch they come in, on every device.

    Sum of the example's 32-bit words times random 64-bit numbers modulo 2^64, of which the upper half is uniform and
    pairwise independent over seeds (Dietzfelbinger 1996). Integers only, so exact in any order.
    """
    rows = x.detach().reshape(len(x), -1).contiguous().view(torch.uint8)
    padded = rows.new_zeros(len(rows), -(-rows.shape[1] // 4) * 4)
    padded[:, : rows.shape[1]] = rows
    words = padded.view(torch.int32).long() & WORD
    start = _mixed(torch.tensor((seed + 2**63) % 2**64 - 2**63, device=x.device))
    factors = _mixed(torch.arange(1 + words.shape[1], device=x.device) + start)
    total = (words * factors[1:]).sum(1) + factors[0]
    return ((total >> 32) & WORD).double() / 2**32


def _mixed(counter: Tensor) -> Tensor:
    """64 random bits of each number (SplitMix64)."""
    z = counter * -0x61C8864680B583EB  # 0x9E3779B97F4A7C15 as a signed number
    z = (z ^ ((z >> 30) & (1 << 34) - 1)) * -0x40A7B892E31B1A47  # 0xBF58476D1CE4E5B9
    z = (z ^ ((z >> 27) & (1 << 37) - 1)) * -0x6B2FB644ECCEEE15  # 0x94D049BB133111EB
    return z ^ ((z >> 31) & (1 << 33) - 1)
