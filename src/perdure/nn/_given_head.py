"""Find the head of a model that a method works on."""

from __future__ import annotations

from torch import nn

from perdure.nn._linear import LinearHead
from perdure.nn._model import Network


def linear_head(model: nn.Module) -> tuple[Network, LinearHead]:
    """The model and its head; ``ValueError`` where it is no ``perdure.nn.Network`` with a ``LinearHead``."""
    if not isinstance(model, Network) or not isinstance(model.head, LinearHead):
        raise ValueError(
            "this method works on the last layer and cannot tell which it is: give a perdure.nn.Network with a "
            'LinearHead, or perdure.nn.split(model, head="NAME OF THE LAYER")'
        )
    return model, model.head
