"""Orthonormal bases that grow: vectors are rows, and a row may be in blocks (one for each parameter)."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

NEGLIGIBLE = 1e-12  # of the energy: a millionth of the length


def remove(vectors_ND: Tensor, basis_RD: Tensor) -> Tensor:
    """What is left of each row when its part within the span of the basis is taken out: ``v - (v B^T) B``."""
    return vectors_ND - (vectors_ND @ basis_RD.T) @ basis_RD


def remove_(vector: Sequence[Tensor], basis: Sequence[Tensor]) -> None:
    """The same in place for one vector in blocks ``(D_i,)`` and a basis in blocks ``(R, D_i)``."""
    inner = torch.stack([block @ v for block, v in zip(basis, vector, strict=True)]).sum(0)
    for block, v in zip(basis, vector, strict=True):
        v.sub_(inner @ block)


def orthonormalise(vectors: Sequence[Tensor], basis: Sequence[Tensor], tolerance: float = 1e-4) -> list[Tensor]:
    """Rows that span, with the ``basis``, what ``vectors`` (blocks ``(N, D_i)``) and the basis span; orthonormal among
    themselves and to it.

    Gram-Schmidt, each projection done twice (that is enough: Giraud et al. 2005). A row that keeps less than
    ``tolerance`` of its length is within the span already and is left out.
    """
    length = _norms(vectors)
    rest = list(vectors)
    for _ in range(2):
        inner = torch.stack([v @ b.T for v, b in zip(rest, basis, strict=True)]).sum(0)
        rest = [v - inner @ b for v, b in zip(rest, basis, strict=True)]
    found, count = [torch.empty_like(v) for v in vectors], 0
    for row, before in enumerate(length.tolist()):
        vector, others = [v[row].clone() for v in rest], [f[:count] for f in found]
        for _ in range(2):
            remove_(vector, others)
        left = float(_norms([v[None] for v in vector]))
        if left > tolerance * before:
            for f, v in zip(found, vector, strict=True):
                torch.div(v, left, out=f[count])
            count += 1
    return [f[:count] for f in found]


def principal_directions(gram_DD: Tensor, basis_RD: Tensor, threshold: float) -> Tensor:
    """(K, D): as few directions as let the basis and them together hold the share ``threshold`` of the energy of the
    inputs whose Gram matrix ``X^T X`` is given (Saha et al. 2021, equations 8 and 9), orthonormal and orthogonal to the
    basis. Computed in float64.
    """
    gram, basis = gram_DD.double(), basis_RD.double()
    energy = gram.trace()
    rest = remove(remove(gram, basis).T, basis)
    values, vectors = torch.linalg.eigh((rest + rest.T) / 2)
    values, vectors = values.flip(0), vectors.flip(1)
    missing = threshold * energy - ((basis @ gram) * basis).sum()
    enough = int((values.cumsum(0) < missing).sum()) + 1 if bool(missing > 0) else 0
    count = min(enough, int((values > NEGLIGIBLE * energy).sum()))
    return orthonormalise([vectors[:, :count].T], [basis])[0].to(basis_RD)


def _norms(rows: Sequence[Tensor]) -> Tensor:
    return torch.stack([r.square().sum(1) for r in rows]).sum(0).sqrt()
