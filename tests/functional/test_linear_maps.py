"""Inputs of layers: their product with the weights is what the layer gave."""

from types import SimpleNamespace

import pytest
import torch
from torch import nn

from perdure.functional.linear_maps import linear_inputs, linear_maps
from perdure.nn import mlp

LAYERS = {
    "linear": (nn.Linear(5, 3), (4, 5)),
    "positions": (nn.Linear(5, 3, bias=False), (4, 2, 5)),
    "conv2d": (nn.Conv2d(2, 3, 3, padding=1, stride=2), (4, 2, 7, 6)),
    "dilated": (nn.Conv2d(2, 3, (2, 3), dilation=2, padding="same", bias=False), (4, 2, 7, 6)),
    "conv1d": (nn.Conv1d(2, 3, 4, padding=1, stride=2), (4, 2, 9)),
}


class Says(nn.Module):
    """A layer by itself, in the shape of a model."""

    def __init__(self, *layers):
        super().__init__()
        self.layers = nn.Sequential(*layers)

    def forward(self, x):
        return SimpleNamespace(logits=self.layers(x))


@pytest.mark.parametrize("name", LAYERS)
def test_rows_times_weights_are_what_the_layer_gives(name):
    layer, shape = LAYERS[name]
    layer = layer.double()
    x = torch.randn(shape, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    params = dict(layer.named_parameters())
    ((weight, inputs),) = linear_inputs(Says(layer), params, x)
    rows = params[weight].flatten(1)
    if layer.bias is not None:
        rows = torch.cat([rows, layer.bias[:, None]], 1)
        assert bool((inputs[:, -1] == 1).all())
    given = layer(x)
    given = given.movedim(1, -1) if name.startswith(("conv", "dilated")) else given
    assert torch.allclose(inputs @ rows.T, given.reshape(-1, given.shape[-1]))


def test_layers_are_found_in_order_and_the_last_is_known():
    net = mlp((4,), 3, hidden=(6, 5))
    params = dict(net.named_parameters())
    maps = linear_maps(net, params, torch.zeros(1, 4))
    assert [(m.weight, m.width, m.last) for m in maps] == [
        ("backbone.1.weight", 5, False),
        ("backbone.3.weight", 7, False),
        ("head.weight", 6, True),
    ]


def test_what_has_no_basis_is_left_out():
    grouped, norm = nn.Conv2d(4, 4, 3, groups=2), nn.BatchNorm2d(4)
    model = Says(grouped, norm, nn.Flatten(), nn.Linear(36, 2), nn.LayerNorm(2)).eval()
    maps = linear_maps(model, dict(model.named_parameters()), torch.zeros(1, 4, 5, 5))
    assert [(m.weight, m.last) for m in maps] == [("layers.3.weight", False)]


def test_frozen_layers_are_left_out():
    net = mlp((4,), 3, hidden=(6,))
    net.backbone.requires_grad_(False)
    params = {name: p for name, p in net.named_parameters() if p.requires_grad}
    assert [m.weight for m in linear_maps(net, params, torch.zeros(1, 4))] == ["head.weight"]
