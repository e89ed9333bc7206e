"""One line that says whether two learners have the same weights."""

from __future__ import annotations

import hashlib

import torch

from perdure._contract import ContinualLearner


def weights_sha256(learner: ContinualLearner) -> str:
    """SHA-256 over name, dtype, shape and bytes of all weights (and buffers) of the model, sorted by name."""
    digest = hashlib.sha256()
    for name, value in sorted(learner.weights.items()):
        digest.update(f"{name} {value.dtype} {tuple(value.shape)}\n".encode())
        digest.update(value.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy())
    return digest.hexdigest()
