"""A head that compares directions."""

import pytest
import torch
from torch import nn

from perdure.checks._state import same_bits
from perdure.nn import CosineHead, LinearHead, Network, mlp, resnet32, with_cosine_head


def admitted(num_features=5, capacity=4, classes=(0, 1, 2)):
    head = CosineHead(num_features, capacity, scale=3.0).double()
    for label in classes:
        head.admit(label, seed=0)
    return head


def test_it_is_the_scale_times_the_cosine():
    head, features = admitted(), torch.randn(6, 5, dtype=torch.float64)
    wanted = torch.cosine_similarity(features[:, None], head.weight[None], dim=2)
    torch.testing.assert_close(head(features), 3 * wanted)


def test_neither_the_length_of_features_nor_that_of_rows_counts():
    head, features = admitted(), torch.randn(6, 5, dtype=torch.float64)
    before = head(features)
    torch.testing.assert_close(head(7 * features), before)
    with torch.no_grad():
        head.weight[1] *= 100
    torch.testing.assert_close(head(features), before)


def test_rows_without_class_and_features_of_zero_answer_zero_with_finite_gradients():
    head, features = admitted(), torch.randn(2, 5, dtype=torch.float64)
    features[1] = 0
    features.requires_grad_()
    logits = head(features)
    assert not logits[:, 3].any()
    assert not logits[1].any()
    logits.logsumexp(1).sum().backward()
    assert bool(torch.isfinite(features.grad).all())
    assert head.weight.grad.abs().max() < 100
    assert head.scale.grad.item() != 0


def test_it_grows_and_shrinks_and_admits_by_class():
    head = admitted()
    before, features = head.weight.detach().clone(), torch.randn(3, 5, dtype=torch.float64)
    logits = head(features)
    old = head.weight
    assert head.grow(8) == {old: head.weight}
    torch.testing.assert_close(head(features)[:, :4], logits)
    head.admit(6, seed=0)
    late = CosineHead(5, 8).double()
    late.admit(6, seed=0)
    assert same_bits(head.weight[6].detach(), late.weight[6].detach())
    head.shrink(4)
    assert head.capacity == 4
    assert same_bits(head.weight.detach(), before)


def test_it_takes_the_place_of_a_linear_head_and_the_model_stays():
    model = mlp((6,), 4, hidden=(5,), dropout=0.1)
    layers, head = list(model.backbone), model.head
    swapped = with_cosine_head(model, scale=2.0)
    assert isinstance(swapped.head, CosineHead)
    assert swapped.capacity == 4
    assert swapped.head.scale.item() == 2
    assert [type(layer) for layer in swapped.backbone] == [nn.Flatten, nn.Linear, nn.Dropout]
    assert list(swapped.backbone.state_dict()) == list(model.backbone.state_dict())
    assert list(model.backbone) == layers
    assert model.head is head


def test_features_stay_where_their_last_relu_cannot_be_told_apart_or_is_wanted():
    model = mlp((6,), 4, hidden=(5,))
    assert with_cosine_head(model, signed=False).backbone is model.backbone
    residual = resnet32((3, 8, 8), 4)
    assert with_cosine_head(residual).backbone is residual.backbone
    own = Network(nn.ReLU(), LinearHead(6, 4))
    assert with_cosine_head(own).backbone is own.backbone


class Residual(nn.Sequential):
    def forward(self, x):
        return x + super().forward(x)


def test_a_backbone_that_inherits_from_a_sequence_is_not_taken_apart():
    model = Network(Residual(nn.Linear(6, 6), nn.ReLU()), LinearHead(6, 4))
    assert with_cosine_head(model).backbone is model.backbone


def test_a_model_without_a_head_to_swap_is_refused():
    with pytest.raises(ValueError, match=r"perdure.nn.split\(model, head="):
        with_cosine_head(nn.Linear(6, 4))
    with pytest.raises(ValueError, match=r"perdure.nn.split\(model, head="):
        with_cosine_head(with_cosine_head(mlp((6,), 4)))
