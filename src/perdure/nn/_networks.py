"""Small networks: linear and multi-layer perceptron."""

from __future__ import annotations

import math
from collections.abc import Sequence

from torch import nn

from perdure.nn._linear import LinearHead
from perdure.nn._model import Network


def linear(shape: Sequence[int], num_classes: int, *, normalize: nn.Module | None = None) -> Network:
    """A linear classifier on inputs of ``shape`` (without the batch)."""
    return mlp(shape, num_classes, hidden=(), normalize=normalize)


def mlp(
    shape: Sequence[int],
    num_classes: int,
    *,
    hidden: Sequence[int] = (400, 400),
    dropout: float = 0.0,
    normalize: nn.Module | None = None,
) -> Network:
    """A multi-layer perceptron with ReLU; inputs of ``shape`` are flattened.

    >>> mlp((1, 28, 28), 10).capacity
    10
    """
    layers: list[nn.Module] = [normalize] if normalize is not None else []
    layers.append(nn.Flatten())
    width = math.prod(shape)
    for units in hidden:
        layers += [nn.Linear(width, units), nn.ReLU()]
        if dropout:
            layers.append(nn.Dropout(dropout))
        width = units
    return Network(nn.Sequential(*layers), LinearHead(width, num_classes))
