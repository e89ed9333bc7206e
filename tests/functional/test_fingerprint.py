"""Numbers that follow from bytes: even, exact, whatever the batch."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from sklearn.datasets import load_digits

from perdure.functional.fingerprint import fingerprint

MASK = 2**64 - 1


def by_hand(data: bytes, seed: int) -> float:
    """The same in Python's integers."""

    def mixed(z):
        z = z * 0x9E3779B97F4A7C15 & MASK
        z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9 & MASK
        z = (z ^ (z >> 27)) * 0x94D049BB133111EB & MASK
        return z ^ (z >> 31)

    data += bytes(-len(data) % 4)
    words = [int.from_bytes(data[i : i + 4], "little") for i in range(0, len(data), 4)]
    start = mixed(seed & MASK)
    total = mixed(start) + sum(word * mixed(start + i & MASK) for i, word in enumerate(words, 1))
    return (total >> 32 & 0xFFFFFFFF) / 2**32


@given(st.binary(min_size=1, max_size=23), st.integers(-(2**63), 2**63 - 1))
def test_it_is_the_hash_it_says(data, seed):
    assert fingerprint(torch.tensor([list(data)], dtype=torch.uint8), seed).item() == by_hand(data, seed)


@pytest.mark.parametrize("dtype", [torch.uint8, torch.int16, torch.float16, torch.float32, torch.float64, torch.bool])
def test_the_batch_does_not_matter(dtype):
    x = torch.randint(0, 200, (50, 3, 7), generator=torch.Generator().manual_seed(0)).to(dtype)
    whole = fingerprint(x)
    assert torch.equal(whole, torch.cat([fingerprint(part) for part in x.split(7)]))
    assert torch.equal(whole.flip(0), fingerprint(x.flip(0)))
    assert torch.equal(whole[3:], fingerprint(x[3:]))  # in the middle of someone else's memory
    assert torch.equal(whole, fingerprint(x.transpose(1, 2).contiguous().transpose(1, 2)))


def test_numbers_are_even_and_seeds_apart():
    x = torch.as_tensor(load_digits().data)
    found = fingerprint(x)
    assert found.dtype == torch.float64
    assert 0 <= found.min() <= found.max() < 1
    counts = torch.histc(found, 20, 0, 1)
    assert ((counts - len(x) / 20).square() / (len(x) / 20)).sum() < 43.8  # chi-square with 19 degrees, 0.1 %
    other = fingerprint(x, 1)
    both = ((found < 0.5) & (other < 0.5)).double().mean().item()
    assert both == pytest.approx(0.25, abs=4 * (0.25 * 0.75 / len(x)) ** 0.5)


def test_one_bit_makes_another_number():
    x = torch.zeros(257, 32, dtype=torch.uint8)
    for bit in range(256):
        x[bit + 1, bit // 8] = 1 << bit % 8
    found = fingerprint(x)
    assert len(found.unique()) == 257
    assert found.mean().item() == pytest.approx(0.5, abs=4 / (12 * 257) ** 0.5)
