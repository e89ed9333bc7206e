"""GPM and OGD keep their promise in float64, to the last digits, whatever the optimizer."""

import copy

import pytest
import torch
from torch import nn

import perdure
from perdure import Experience, Learner
from perdure.checks._state import difference, snapshot
from perdure.functional.linear_maps import linear_inputs
from perdure.gradients import GPM, OGD
from perdure.nn import LinearHead, Network, SettleNorms, mlp, with_settling_norms
from perdure.streams import ArrayData
from perdure.terms import CrossEntropy

OPTIMIZERS = {
    "sgd": lambda p: torch.optim.SGD(p, lr=0.1),
    "momentum": lambda p: torch.optim.SGD(p, lr=0.05, momentum=0.9, nesterov=True, weight_decay=0.1),
    "adam": lambda p: torch.optim.Adam(p, lr=0.01),
    "adamw": lambda p: torch.optim.AdamW(p, lr=0.01, weight_decay=0.1),
    "rmsprop": lambda p: torch.optim.RMSprop(p, lr=0.01, momentum=0.5),
    "adagrad": lambda p: torch.optim.Adagrad(p, lr=0.05),
}
PARTS = {"gpm": lambda: GPM(0.9, sample=20), "ogd": lambda: OGD(12), "ogd-each": lambda: OGD(6, "each")}


def experience(index, shape=(8,), classes=(0, 1, 2), size=24, rank=None, told=False):
    """Noise; of ``rank`` dimensions of its own if that is given."""
    random = torch.Generator().manual_seed(index)
    x = torch.randn(size, *shape, generator=random, dtype=torch.float64)
    if rank is not None:
        x = (
            x
            @ torch.linalg.qr(torch.randn(*shape, rank, generator=random, dtype=torch.float64))[0]
            @ torch.linalg.qr(torch.randn(*shape, rank, generator=random, dtype=torch.float64))[0].T
        )
    y = torch.tensor(classes)[torch.arange(size) % len(classes)]
    data = ArrayData(x, y)
    return Experience(index, tuple(classes), data.told(index) if told else data, index if told else None)


def perceptron(hidden=(7, 6), capacity=3):
    torch.manual_seed(0)
    return mlp((8,), capacity, hidden=hidden).double()


def convolutional():
    torch.manual_seed(0)
    layers = [nn.Conv2d(2, 4, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(4, 5, 2, stride=2), nn.ReLU()]
    return Network(nn.Sequential(*layers, nn.Flatten(), nn.Linear(20, 6), nn.LayerNorm(6)), LinearHead(6, 3)).double()


def learn(learner, experience, epochs=2, end=True):
    learner.begin(experience)
    for _ in range(epochs):
        for batch in experience.data.batches(8):
            learner.observe(batch)
    if end:
        learner.end()


def inner_products(part, change):
    """Of a change of the parameters, by name, with each direction of the subspace."""
    if isinstance(part, OGD):
        return [sum(b @ c.flatten() for b, c in zip(part.basis, change.values(), strict=True))]
    rows = []
    for layer, basis in zip(part._maps, part.bases, strict=True):
        weight = change[layer.weight].flatten(1)
        rows.append((weight if layer.bias is None else torch.cat([weight, change[layer.bias][:, None]], 1)) @ basis.T)
    return rows


def moved(learner, before):
    return {name: p.detach() - b for (name, p), b in zip(learner.params.items(), before, strict=True)}


@pytest.mark.parametrize("net", [perceptron, convolutional])
@pytest.mark.parametrize("part", PARTS)
@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_every_update_is_orthogonal_to_the_basis(net, part, optimizer):
    keep, shape = PARTS[part](), (8,) if net is perceptron else (2, 8, 8)
    learner = Learner(net(), OPTIMIZERS[optimizer], [CrossEntropy(), keep])
    for index in range(3):
        learner.begin(experience(index, shape))
        for batch in experience(index, shape).data.batches(8):
            before = [p.detach().clone() for p in learner.params.values()]
            learner.observe(batch)
            change = moved(learner, before)
            assert max(float(c.abs().max()) for c in change.values()) > 1e-4
            if index:
                assert max(float(i.abs().max()) for i in inner_products(keep, change)) < 1e-12
        learner.end()


@pytest.mark.parametrize("part", ["gpm", "ogd"])
@pytest.mark.parametrize(("optimizer", "holds"), [("sgd", True), ("momentum", False), ("adam", False)])
def test_projecting_the_gradient_alone_is_enough_for_plain_descent_only(part, optimizer, holds):
    keep = PARTS[part]()
    keep.whole_update = False
    learner = Learner(perceptron(), OPTIMIZERS[optimizer], [CrossEntropy(), keep])
    learn(learner, experience(0))
    before = [p.detach().clone() for p in learner.params.values()]
    learn(learner, experience(1), end=False)
    most = max(float(i.abs().max()) for i in inner_products(keep, moved(learner, before)))
    assert (most < 1e-12) == holds


def test_for_plain_descent_both_are_the_same():
    found = []
    for whole in (True, False):
        learner = Learner(perceptron(), OPTIMIZERS["sgd"], [CrossEntropy(), GPM(0.9, whole_update=whole)])
        for index in range(2):
            learn(learner, experience(index))
        found.append(torch.cat([p.detach().flatten() for p in learner.params.values()]))
    assert torch.allclose(*found, atol=1e-12)


@pytest.mark.parametrize("part", PARTS)
def test_bases_are_orthonormal(part):
    keep = PARTS[part]()
    learner = Learner(perceptron(), OPTIMIZERS["sgd"], [CrossEntropy(), keep])
    for index in range(3):
        learn(learner, experience(index))
        bases = keep.bases if isinstance(keep, GPM) else [torch.cat(keep.basis, 1)]
        for basis in bases:
            assert len(basis)
            assert torch.allclose(basis @ basis.T, torch.eye(len(basis), dtype=torch.float64), atol=1e-10)


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
@pytest.mark.parametrize("keep", [GPM(1.0, 0.0, 100), OGD(100, "each")], ids=["gpm", "ogd"])
def test_a_linear_problem_is_not_forgotten_at_all(keep, optimizer):
    """Inputs of three dimensions of eight (and the bias): what is said of them stays, to the last digits."""
    learner = Learner(perceptron(hidden=()), OPTIMIZERS[optimizer], [CrossEntropy(), copy.deepcopy(keep)])
    first, second = experience(0, rank=3), experience(1, rank=3)
    learn(learner, first, epochs=5)
    x = next(iter(first.data.batches(100))).x
    said, weights = learner.logits(x), [p.detach().clone() for p in learner.params.values()]
    learn(learner, second, epochs=5, end=False)
    assert max(float(m.abs().max()) for m in moved(learner, weights).values()) > 0.01
    assert torch.allclose(learner.logits(x), said, atol=1e-12)


def test_gpm_keeps_what_a_deep_network_says_of_all_it_looked_at():
    learner = Learner(perceptron(hidden=(40, 30)), OPTIMIZERS["momentum"], [CrossEntropy(), GPM(1.0)])
    first, second = experience(0, size=15, rank=3), experience(1, rank=3)
    learn(learner, first)
    x = next(iter(first.data.batches(100))).x
    said = learner.logits(x)
    learn(learner, second, end=False)
    assert torch.allclose(learner.logits(x), said, atol=1e-12)
    assert not torch.allclose(learner.logits(x + 1), said, atol=1e-3)


def test_gpm_holds_the_energy_it_was_told_to():
    """The threshold of each experience is that of its number."""
    keep = GPM(0.8, 0.1, 100)
    learner = Learner(perceptron(), OPTIMIZERS["sgd"], [CrossEntropy(), keep])
    for index in range(3):
        learn(learner, experience(index))
        batch = next(iter(experience(index).data.batches(100)))
        for (_, x), basis in zip(linear_inputs(learner.model, learner.params, batch.x), keep.bases, strict=True):
            assert (x @ basis.T).square().sum() >= min(1.0, 0.8 + 0.1 * index) * x.square().sum() * (1 - 1e-12)
    assert len(keep.bases[0]) == 9  # all there is, with the bias


def test_what_has_no_basis_stops_after_the_first_experience():
    learner = Learner(convolutional(), OPTIMIZERS["adamw"], [CrossEntropy(), GPM(0.9)])
    learn(learner, experience(0, (2, 8, 8)))
    norm = learner.model.backbone[-1]
    scale = norm.weight.detach().clone()
    assert not torch.equal(scale, torch.ones_like(scale))
    learn(learner, experience(1, (2, 8, 8)))
    assert torch.equal(norm.weight, scale)


def test_told_tasks_leave_the_rows_of_new_classes_free():
    keep = GPM(1.0, sample=100)
    learner = Learner(perceptron(hidden=(5,), capacity=6), OPTIMIZERS["momentum"], [CrossEntropy(), keep])
    learn(learner, experience(0, classes=(0, 1), told=True))
    assert keep.bases[1].shape == (6, 6)  # no direction of the last layer is left
    head = learner.model.head.weight.detach()
    before = head.clone()
    learn(learner, experience(1, classes=(2, 3), told=True), end=False)
    assert torch.allclose(head[:2], before[:2], atol=1e-13)
    assert float((head[2:4] - before[2:4]).abs().max()) > 0.01


def test_without_tasks_no_row_of_the_head_is_free():
    keep = GPM(1.0, sample=100)
    learner = Learner(perceptron(hidden=(5,), capacity=6), OPTIMIZERS["momentum"], [CrossEntropy(), keep])
    learn(learner, experience(0, classes=(0, 1)))
    learner.begin(experience(1, classes=(2, 3)))
    before = learner.model.head.weight.detach().clone()
    for batch in experience(1, classes=(2, 3)).data.batches(8):
        learner.observe(batch)
    assert torch.allclose(learner.model.head.weight, before, atol=1e-13)


def test_ogd_spans_the_gradients_of_the_logits_of_labels():
    keep = OGD(100)
    learner = Learner(perceptron(), OPTIMIZERS["sgd"], [CrossEntropy(), keep])
    learn(learner, experience(0))
    batch = next(iter(experience(0).data.batches(5)))
    for x, y in zip(batch.x, batch.y, strict=True):
        logit = learner.model(x[None]).logits[0, y]
        grads = torch.autograd.grad(logit, list(learner.params.values()))
        left = [g.clone() for g in grads]
        keep.project(left)
        assert max(float(g.abs().max()) for g in grads) > 0.1
        assert max(float(g.abs().max()) for g in left) < 1e-10


def test_ogd_keeps_no_direction_twice():
    keep = OGD(100)
    learner = Learner(perceptron(hidden=()), OPTIMIZERS["sgd"], [CrossEntropy(), keep])
    for index in range(2):
        learn(learner, experience(index, rank=2))
    assert len(keep.basis[0]) <= 3 * (2 * 2 + 1)  # three logits of a linear map, four dimensions and the bias


@pytest.mark.parametrize("part", PARTS)
def test_a_grown_head_keeps_the_basis_orthonormal(part):
    keep = PARTS[part]()
    learner = Learner(perceptron(capacity=2), OPTIMIZERS["adam"], [CrossEntropy(), keep])
    learn(learner, experience(0, classes=(0, 1)))
    learn(learner, experience(1, classes=(2, 3, 4)))
    bases = keep.bases if isinstance(keep, GPM) else [torch.cat(keep.basis, 1)]
    assert learner.model.head.weight.shape[0] == 8
    assert all(torch.allclose(b @ b.T, torch.eye(len(b), dtype=torch.float64), atol=1e-10) for b in bases)


@pytest.mark.parametrize("part", PARTS)
def test_a_state_with_another_number_of_directions_is_taken(part):
    def make():
        return Learner(perceptron(), OPTIMIZERS["momentum"], [CrossEntropy(), PARTS[part]()])

    learner, other = make(), make()
    learn(learner, experience(0))
    few = snapshot(learner)
    learn(learner, experience(1))
    other.load_state_dict(snapshot(learner))
    assert difference(snapshot(learner), snapshot(other)) is None
    other.load_state_dict(few)
    learn(other, experience(1))
    assert difference(snapshot(learner), snapshot(other)) is None


def with_norm():
    torch.manual_seed(0)
    layers = [nn.Linear(8, 40), nn.BatchNorm1d(40), nn.ReLU(), nn.Linear(40, 30), nn.BatchNorm1d(30), nn.ReLU()]
    return Network(nn.Sequential(*layers), LinearHead(30, 3)).double()


@pytest.mark.parametrize("part", PARTS)
def test_batch_statistics_that_would_follow_new_data_are_refused(part):
    learner = Learner(with_norm(), OPTIMIZERS["sgd"], [CrossEntropy(), PARTS[part]()])
    learn(learner, experience(0))
    with pytest.raises(ValueError, match=r"batch normalization would not: .*with_settling_norms"):
        learn(learner, experience(1))


def test_with_settled_norms_nothing_is_forgotten():
    model = with_settling_norms(with_norm())
    learner = Learner(model, OPTIMIZERS["adam"], [CrossEntropy(), GPM(1.0), SettleNorms()])
    first = experience(0, size=15, rank=3)
    learn(learner, first)
    x = next(iter(first.data.batches(100))).x
    said = learner.logits(x)
    learn(learner, experience(1, rank=3))
    assert torch.allclose(learner.logits(x), said, atol=1e-11)


@pytest.mark.parametrize("name", ["gpm", "ogd"])
def test_recipes_settle_batch_normalization(name):
    learner = perdure.build(name, with_norm(), OPTIMIZERS["sgd"])
    for index in range(2):
        learn(learner, experience(index))
    assert bool(learner.model.backbone[1].settled)


def test_bad_arguments_are_refused():
    for make, message in (
        (lambda: GPM(0.0), "threshold=0.0"),
        (lambda: GPM(1.1), "threshold=1.1"),
        (lambda: GPM(sample=0), "sample=0"),
        (lambda: OGD(0), "directions=0"),
    ):
        with pytest.raises(ValueError, match=message):
            make()


def test_gpm_refuses_a_model_without_layers_it_knows():
    class Scale(nn.Module):
        def __init__(self):
            super().__init__()
            self.by = nn.Parameter(torch.ones(8, dtype=torch.float64))

        def forward(self, x):
            return x * self.by

    learner = Learner(Scale(), OPTIMIZERS["sgd"], [CrossEntropy(), GPM()])
    with pytest.raises(ValueError, match="no linear or convolutional layer"):
        learn(learner, experience(0))


class Heated(nn.Module):
    """A layer, and a parameter that is a single number."""

    def __init__(self):
        super().__init__()
        self.layer, self.heat = nn.Linear(8, 6), nn.Parameter(torch.tensor(0.7))

    def forward(self, x):
        return torch.tanh(self.heat * self.layer(x))


@pytest.mark.parametrize("part", PARTS)
def test_a_parameter_that_is_one_number_is_a_parameter(part):
    def make():
        torch.manual_seed(0)
        return Learner(
            Network(Heated(), LinearHead(6, 3)).double(), OPTIMIZERS["momentum"], [CrossEntropy(), PARTS[part]()]
        )

    learner, other = make(), make()
    learn(learner, experience(0))
    before = [p.detach().clone() for p in learner.params.values()]
    learn(learner, experience(1), end=False)
    change = moved(learner, before)
    assert max(float(i.abs().max()) for i in inner_products(learner.parts[1], change)) < 1e-12
    learn(other, experience(2), end=False)
    other.load_state_dict(snapshot(learner))
    assert difference(snapshot(learner), snapshot(other)) is None


@pytest.mark.parametrize("part", PARTS)
def test_an_update_that_was_broken_off_leaves_nothing_behind(part):
    learner, other = (Learner(convolutional(), OPTIMIZERS["sgd"], [CrossEntropy(), PARTS[part]()]) for _ in range(2))
    shape = (2, 8, 8)
    for each in (learner, other):
        learn(each, experience(0, shape), end=False)
    start = snapshot(learner)
    learner.end()
    learner.begin(experience(1, shape))
    step = learner.forward(next(experience(1, shape).data.batches(8)))
    step.loss.backward()
    learner.shape_gradients(step)  # and no update: back to where there was nothing to keep
    learner.load_state_dict(start)
    for each in (learner, other):
        each.observe(next(experience(0, shape).data.batches(8)))
    assert difference(snapshot(learner), snapshot(other)) is None
