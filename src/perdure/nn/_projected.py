"""Put a projection and a fixed head in the place of a model's head."""

from __future__ import annotations

from collections import OrderedDict

import torch
from torch import nn

from perdure._random import addressed_default
from perdure.nn._etf_head import EtfHead
from perdure.nn._given_head import linear_head
from perdure.nn._model import Network


class FixedNetwork(Network):
    """A network whose head is an ``EtfHead``."""

    head: EtfHead


def projected(model: nn.Module) -> FixedNetwork:
    """The backbone of ``model``, a linear projection that starts as the identity, and an ``EtfHead`` in place of the
    linear one. ``ValueError`` where the model is no ``perdure.nn.Network`` with a ``LinearHead``.
    """
    network, linear = linear_head(model)
    weight = linear.weight
    width = weight.shape[1]
    with addressed_default(0, "projection"):  # the initial numbers are overwritten below
        projection = nn.Linear(width, width, device=weight.device, dtype=weight.dtype)
    with torch.no_grad():
        nn.init.eye_(projection.weight)
        nn.init.zeros_(projection.bias)
    head = EtfHead(width, linear.capacity).to(weight)
    backbone = nn.Sequential(OrderedDict(backbone=network.backbone, projection=projection))
    return FixedNetwork(backbone, head)
