"""Gradients of each example equal those of a loop over examples, whatever the layers."""

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from perdure.functional import per_example_rest
from perdure.functional.per_example import gradient_gram, sum_of_powers
from perdure.nn import LinearHead, Network, Normalize, Whole


class Scaled(nn.Module):
    """Parameters of its own (one is a single number), a layer used twice, a weight shared by two, a bias used again, a
    parameter never used.
    """

    def __init__(self) -> None:
        super().__init__()
        self.scale, self.heat = nn.Parameter(torch.rand(6) + 0.5), nn.Parameter(torch.tensor(0.8))
        self.twice = nn.Linear(6, 6)
        self.one, self.other = nn.Linear(6, 6), nn.Linear(6, 6, bias=False)
        self.other.weight = self.one.weight
        self.again = nn.Linear(6, 6)
        self.idle = nn.Linear(2, 2)

    def forward(self, x: Tensor) -> Tensor:
        x = torch.tanh(self.twice(torch.tanh(self.twice(x * self.scale * self.heat))))
        x = self.again(x) * self.again.bias
        return self.other(torch.tanh(self.one(x)))


class Recurrent(nn.Module):
    """What cannot be vectorised."""

    def __init__(self) -> None:
        super().__init__()
        self.gru = nn.GRU(6, 5, batch_first=True)

    def forward(self, x: Tensor) -> Tensor:
        return self.gru(x[:, None].expand(-1, 3, -1))[0][:, -1]


class Added(nn.Module):
    """A residual block that works in place."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.norm = nn.Conv2d(4, 4, 3, padding="same", padding_mode="reflect"), nn.BatchNorm2d(4)

    def forward(self, x: Tensor) -> Tensor:
        out = self.norm(self.conv(x))
        out += x
        return F.relu(out, inplace=True)


class TokensFirst(nn.Module):
    """A layer whose axis 0 is not the example."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(3, 3)

    def forward(self, x: Tensor) -> Tensor:
        return self.layer(x.unflatten(1, (2, 3)).transpose(0, 1)).transpose(0, 1).flatten(1)


def images() -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(2, 4, (3, 2), stride=(2, 1), padding=(1, 2), dilation=(1, 2)),
        nn.BatchNorm2d(4),
        nn.ReLU(inplace=True),
        Added(),
        nn.Conv2d(4, 8, (2, 3), padding="same", groups=2, bias=False),
        nn.LayerNorm([8, 4, 8]),
        nn.ReLU(),
        nn.AdaptiveAvgPool2d(2),
        nn.Conv2d(8, 6, 2),
        nn.Flatten(),
    )


def sequences() -> nn.Module:
    return nn.Sequential(
        nn.Conv1d(2, 4, 3, stride=2, padding=1, dilation=2),
        nn.BatchNorm1d(4),
        nn.Tanh(),
        nn.Linear(6, 5),
        nn.LayerNorm(5),
        nn.Flatten(),
    )


BACKBONES = {
    "mlp": (lambda: nn.Sequential(nn.Linear(6, 7), nn.BatchNorm1d(7), nn.ReLU(inplace=True), nn.Linear(7, 6)), (6,), 6),
    "images": (images, (2, 7, 6), 6),
    "sequences": (sequences, (2, 14), 20),
    "own parameter": (Scaled, (6,), 6),
    "recurrent": (Recurrent, (6,), 5),
    "tokens first": (TokensFirst, (6,), 6),
}
KINDS = pytest.mark.parametrize("kind", BACKBONES)
pytestmark = pytest.mark.filterwarnings("ignore:Using padding=.same. with even kernel")


def network(kind: str, seed: int = 0) -> tuple[nn.Module, dict[str, Tensor], tuple[int, ...]]:
    torch.manual_seed(seed)
    make, shape, width = BACKBONES[kind]
    model = Network(nn.Sequential(Normalize(torch.zeros(()), torch.ones(())), make()), LinearHead(width, 4)).double()
    with torch.no_grad():
        for p in model.parameters():
            p += 0.3 * torch.randn_like(p)
        for module in model.modules():
            if isinstance(module, nn.BatchNorm1d | nn.BatchNorm2d):
                module.running_mean.normal_()
                module.running_var.uniform_(0.5, 2)
    return model.eval(), dict(model.named_parameters()), shape


def loop(model: nn.Module, params: dict[str, Tensor], x: Tensor, cotangents: Tensor) -> list[list[Tensor]]:
    """For each gradient k and each example b those of all parameters."""
    found = []
    for each in cotangents:
        for b in range(len(x)):
            score = (model(x[b : b + 1]).logits[0] * each[b]).sum()
            grads = torch.autograd.grad(score, list(params.values()), allow_unused=True)
            found.append([torch.zeros_like(p) if g is None else g for p, g in zip(params.values(), grads, strict=True)])
    return found


@KINDS
@pytest.mark.parametrize("power", [1, 2])
def test_sums_are_those_of_a_loop(kind, power, monkeypatch):
    model, params, shape = network(kind)
    x, cotangents = torch.randn(5, *shape).double(), torch.randn(3, 5, 4).double()
    expected = [sum(g.abs() ** power for g in each) for each in zip(*loop(model, params, x, cotangents), strict=True)]
    for numbers in (1, 200, 2**23):  # the memory they are allowed makes no difference
        monkeypatch.setattr("perdure.functional.per_example.NUMBERS", numbers)
        found = sum_of_powers(model, params, x, lambda logits: cotangents, power)
        assert list(found) == list(params)
        for name, value in zip(found, expected, strict=True):
            torch.testing.assert_close(found[name], value, msg=lambda m, name=name: f"{name}: {m}")
    assert all(p.grad is None for p in params.values())


@KINDS
def test_sums_do_not_depend_on_how_examples_are_batched(kind):
    model, params, shape = network(kind)
    x = torch.randn(7, *shape).double()
    whole = sum_of_powers(model, params, x, lambda logits: logits[None], 2)
    split = [sum_of_powers(model, params, part, lambda logits: logits[None], 2) for part in x.split([4, 2, 1])]
    for name, value in whole.items():
        torch.testing.assert_close(sum(each[name] for each in split), value)


@KINDS
@pytest.mark.parametrize("numbers", [1, 400, 2**23])
def test_cosines_are_those_of_a_loop(kind, numbers, monkeypatch):
    monkeypatch.setattr("perdure.functional.per_example.NUMBERS", numbers)
    model, params, shape = network(kind)
    x1, x2 = torch.randn(5, *shape).double(), torch.randn(3, *shape).double()
    y1, y2 = torch.tensor([0, 1, 1, 2, 0]), torch.tensor([2, 2, 0])
    allowed1, allowed2 = torch.tensor([True, True, True, False]), None

    def flat(x, y, allowed):
        mask = torch.zeros(4) if allowed is None else torch.zeros(4).masked_fill(~allowed, -torch.inf)
        rows = []
        for b in range(len(x)):
            loss = F.cross_entropy(model(x[b : b + 1]).logits + mask, y[b : b + 1])
            grads = torch.autograd.grad(loss, list(params.values()), allow_unused=True)
            rows.append(
                torch.cat(
                    [
                        torch.zeros(p.numel()) if g is None else g.flatten()
                        for p, g in zip(params.values(), grads, strict=True)
                    ]
                )
            )
        return F.normalize(torch.stack(rows), dim=1)

    found = gradient_gram(model, params, x1, y1, allowed1, x2, y2, allowed2)
    torch.testing.assert_close(found, flat(x1, y1, allowed1) @ flat(x2, y2, allowed2).T)
    with_itself = gradient_gram(model, params, x1, y1, allowed1, x1, y1, allowed1)
    torch.testing.assert_close(with_itself.diagonal(), torch.ones(5).double())


def test_a_gradient_of_zero_has_cosine_zero():
    model, params, _ = network("mlp")
    x, y, only = torch.randn(2, 6).double(), torch.tensor([0, 0]), torch.tensor([True, False, False, False])
    assert not gradient_gram(model, params, x, y, only, x, y, None).any()


def test_only_what_must_goes_through_the_map(monkeypatch):
    met = []

    def spy(model, params, x, cotangents):
        met.append(sorted(params))
        return real(model, params, x, cotangents)

    real = per_example_rest.gradients
    monkeypatch.setattr("perdure.functional.per_example.gradients", spy)
    for kind in BACKBONES:
        model, params, shape = network(kind)
        sum_of_powers(model, params, torch.randn(2, *shape).double(), lambda logits: logits[None], 2)
        own = [name.removeprefix("backbone.1.") for name in met.pop()] if met else []
        expected = {
            "own parameter": [
                "again.bias",
                "heat",
                "idle.bias",
                "idle.weight",
                "one.weight",
                "scale",
                "twice.bias",
                "twice.weight",
            ],
            "recurrent": ["gru.bias_hh_l0", "gru.bias_ih_l0", "gru.weight_hh_l0", "gru.weight_ih_l0"],
            "tokens first": ["layer.bias", "layer.weight"],
        }
        assert own == expected.get(kind, []), kind


def test_frozen_parameters_are_left_out():
    model, params, shape = network("images")
    chosen = {name: p for name, p in params.items() if "head" in name or name.endswith("8.bias")}
    x, cotangents = torch.randn(3, *shape).double(), torch.randn(1, 3, 4).double()
    for name, p in params.items():
        p.requires_grad_(name in chosen)
    found = sum_of_powers(model, chosen, x, lambda logits: cotangents, 2)
    expected = [sum(g**2 for g in each) for each in zip(*loop(model, chosen, x, cotangents), strict=True)]
    assert list(found) == list(chosen)
    for value, other in zip(found.values(), expected, strict=True):
        torch.testing.assert_close(value, other)


def test_a_module_that_returns_logits_will_do():
    torch.manual_seed(0)
    model = Whole(nn.Sequential(nn.Linear(6, 5), nn.ReLU(), nn.Linear(5, 4)), features="1").double().eval()
    params = dict(model.named_parameters())
    x, cotangents = torch.randn(3, 6).double(), torch.randn(2, 3, 4).double()
    found = sum_of_powers(model, params, x, lambda logits: cotangents, 2)
    expected = [sum(g**2 for g in each) for each in zip(*loop(model, params, x, cotangents), strict=True)]
    for value, other in zip(found.values(), expected, strict=True):
        torch.testing.assert_close(value, other)


def test_batch_statistics_are_refused():
    model, params, _ = network("mlp")
    with pytest.raises(ValueError, match="eval mode"):
        sum_of_powers(model.train(), params, torch.randn(4, 6).double(), lambda logits: logits[None], 2)
