"""A snapshot answers as the model did, whatever the model learns meanwhile."""

import copy

import pytest
import torch
from torch import nn

import perdure
from perdure._modes import evaluating
from perdure._snapshot import Snapshot
from perdure.nn import LinearHead, Network


def network(width: int = 4) -> Network:
    torch.manual_seed(0)
    backbone = nn.Sequential(nn.Linear(width, 6), nn.BatchNorm1d(6), nn.ReLU(), nn.Dropout(0.5))
    model = Network(backbone, LinearHead(6, 3))
    model.admit(0, 0)
    model(torch.randn(8, width))
    return model


@torch.no_grad()
def move(model: nn.Module) -> None:
    for p in model.parameters():
        p.add_(torch.randn_like(p))
    model(torch.randn(8, 4) + 3)


def taken(model: Network) -> Snapshot:
    snapshot = Snapshot()
    snapshot.bind(model)
    return snapshot


def test_it_says_what_the_model_said_in_eval_mode_and_leaves_modes_alone():
    model, x = network(), torch.randn(5, 4)
    snapshot = taken(model)
    with evaluating(model):
        before = model(x)
    model.backbone[1].eval()
    modes = [module.training for module in model.modules()]
    move(model)
    said = snapshot.ask(model, x)
    assert torch.equal(said.logits, before.logits)
    assert torch.equal(said.features, before.features)
    assert not said.logits.requires_grad
    assert [module.training for module in model.modules()] == modes
    snapshot.take(model)
    assert not torch.equal(snapshot.ask(model, x).logits, before.logits)


def test_an_average_is_the_closed_form():
    model = network()
    snapshot, expected = taken(model), dict(model.named_parameters())["backbone.0.weight"].detach().clone()
    for _ in range(3):
        move(model)
        snapshot.blend(model, 0.9)
        expected = 0.9 * expected + 0.1 * model.backbone[0].weight.detach()
    assert torch.allclose(snapshot.tensors()["backbone.0.weight"], expected, atol=1e-6)
    assert snapshot.tensors()["backbone.1.num_batches_tracked"] == model.backbone[1].num_batches_tracked


def test_rows_that_the_head_gains_are_zero_and_old_answers_stay():
    model, x = network(), torch.randn(5, 4)
    snapshot = taken(model)
    before = snapshot.ask(model, x).logits
    model.grow(7)
    model.admit(5, 0)
    snapshot.grow(model)
    after = snapshot.ask(model, x).logits
    assert after.shape == (5, 7)
    assert torch.equal(after[:, :3], before)
    assert not bool(after[:, 3:].any())


def test_modes_come_back_after_an_error():
    model = network()
    with pytest.raises(RuntimeError), evaluating(model):
        raise RuntimeError
    assert all(module.training for module in model.modules())


def test_it_belongs_to_the_state_of_its_part():
    class Teacher(perdure.Part):
        def __init__(self):
            super().__init__()
            self.teacher = Snapshot()

        def bind(self, params, example, num_classes):
            self.teacher.bind(self.model)

        def grow(self, params, num_classes):
            self.teacher.grow(self.model)

        def after_experience(self, boundary):
            self.teacher.take(boundary.model)

    perdure.checks.check_part(Teacher, model=lambda: network(8))


def test_a_copy_answers_with_weights_of_its_own():
    model, x = network(), torch.randn(5, 4)
    snapshot = taken(model)
    before = snapshot.ask(model, x).logits
    twin = copy.deepcopy(snapshot)
    move(model)
    twin.take(model)
    assert torch.equal(snapshot.ask(model, x).logits, before)
    with evaluating(model):
        assert torch.equal(twin.ask(model, x).logits, model(x).logits)


def test_what_is_frozen_is_not_copied():
    model, x = network(), torch.randn(5, 4)
    model.backbone[0].requires_grad_(False)
    snapshot = taken(model)
    assert "backbone.0.weight" not in snapshot.tensors()
    with evaluating(model):
        assert torch.equal(snapshot.ask(model, x).logits, model(x).logits)
