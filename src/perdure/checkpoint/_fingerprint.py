"""One line that says whether two learners have the same weights."""

from __future__ import annotations

import hashlib

from perdure._bits import raw
from perdure._contract import ContinualLearner


def weights_sha256(learner: ContinualLearner) -> str:
    """SHA-256 over name, dtype, shape and bytes of all weights (and buffers) of the model, sorted by name."""
    digest = hashlib.sha256()
    for name, value in sorted(learner.weights.items()):
        digest.update(f"{name} {value.dtype} {tuple(value.shape)}\n".encode())
        digest.update(raw(value))
    return digest.hexdigest()
