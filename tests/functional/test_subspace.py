"""Bases that grow: orthonormal, spanning what they should, no larger than they must be."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from perdure.functional.subspace import orthonormalise, principal_directions, remove, remove_


def rows(seed, count, width, rank):
    random = torch.Generator().manual_seed(seed)
    left = torch.randn(count, rank, generator=random, dtype=torch.float64)
    return left @ torch.randn(rank, width, generator=random, dtype=torch.float64)


def eye(count):
    return torch.eye(count, dtype=torch.float64)


@given(st.integers(0, 10**6), st.integers(1, 8), st.integers(0, 6), st.integers(1, 5), st.integers(1, 5))
def test_rows_become_orthonormal_and_span_the_same(seed, count, before, rank, cut):
    width = 12
    basis = torch.linalg.qr(rows(seed + 1, width, width, width))[0][:before]
    vectors = rows(seed, count, width, min(rank, count))
    blocks = [[m[:, :cut], m[:, cut:]] for m in (vectors, basis)]
    found = torch.cat(orthonormalise(*blocks), 1)
    assert torch.allclose(found @ found.T, eye(len(found)), atol=1e-10)
    assert torch.allclose(found @ basis.T, torch.zeros(len(found), before, dtype=torch.float64), atol=1e-10)
    assert len(found) == torch.linalg.matrix_rank(torch.cat([basis, vectors])) - before
    together = torch.cat([basis, found])
    assert torch.allclose(remove(vectors, together), torch.zeros_like(vectors), atol=1e-8)


def test_a_row_within_the_span_is_left_out():
    vectors = torch.tensor([[3.0, 0, 0], [3.0, 1e-6, 0], [0, 0, 2.0]])
    assert torch.equal(orthonormalise([vectors], [torch.zeros(0, 3)])[0], torch.tensor([[1.0, 0, 0], [0, 0, 1.0]]))


def test_removing_in_blocks_is_removing():
    vector, basis = rows(0, 1, 7, 1)[0], torch.linalg.qr(rows(1, 7, 7, 7))[0][:3]
    blocks = [vector[:2].clone(), vector[2:].clone()]
    remove_(blocks, [basis[:, :2], basis[:, 2:]])
    assert torch.allclose(torch.cat(blocks), remove(vector[None], basis)[0])
    assert torch.allclose(torch.cat(blocks) @ basis.T, torch.zeros(3, dtype=torch.float64), atol=1e-12)


@pytest.mark.parametrize("threshold", [0.5, 0.9, 0.99])
def test_principal_directions_are_those_of_the_singular_value_decomposition(threshold):
    x = rows(3, 40, 10, 10) * torch.arange(1, 11) ** 2
    found = principal_directions(x.T @ x, x.new_zeros(0, 10), threshold)
    _, s, vectors = torch.linalg.svd(x)
    share = s.square().cumsum(0) / s.square().sum()
    count = int((share < threshold).sum()) + 1
    assert len(found) == count
    assert torch.allclose(found.T @ found, vectors[:count].T @ vectors[:count], atol=1e-9)


@pytest.mark.parametrize("threshold", [0.9, 0.999])
def test_more_directions_are_those_of_the_residual(threshold):
    """Equation 9 of the paper, word for word: decompose what the basis leaves, take as few as are enough."""
    x, basis = rows(4, 30, 9, 9), torch.linalg.qr(rows(5, 9, 9, 9))[0][:3]
    found = principal_directions(x.T @ x, basis, threshold)
    residual = x - x @ basis.T @ basis
    _, s, vectors = torch.linalg.svd(residual)
    held = (x @ basis.T).square().sum()
    share = (held + s.square().cumsum(0)) / x.square().sum()
    count = int((share < threshold).sum()) + 1
    assert torch.allclose(found.T @ found, vectors[:count].T @ vectors[:count], atol=1e-9)
    assert torch.allclose(found @ basis.T, torch.zeros(count, 3, dtype=torch.float64), atol=1e-12)


def test_all_the_energy_is_the_rank_and_no_more():
    x = rows(6, 30, 20, 7)
    found = principal_directions(x.T @ x, x.new_zeros(0, 20), 1.0)
    assert len(found) == 7
    assert len(principal_directions(x.T @ x, found, 1.0)) == 0
    assert torch.allclose(remove(x, found), torch.zeros_like(x), atol=1e-9)


def test_what_the_basis_holds_already_adds_nothing():
    x = rows(7, 30, 8, 8)
    basis = principal_directions(x.T @ x, x.new_zeros(0, 8), 0.95)
    assert len(principal_directions(x.T @ x, basis, 0.95)) == 0
