import math

import numpy as np
import pytest
import torch
from torch import nn

import perdure
from perdure import Batch
from perdure.checks._state import same_bits
from perdure.nn import Frozen, LinearHead, Network, Normalize, Whole, linear, mlp, resnet32, slim_resnet18, split


def conv(before, after, size=3):
    return before * after * size * size


def parameters_of(before, after, shortcut):
    """Two convolutions with their batch norms (scale and shift), and a 1 x 1 shortcut with its own where asked."""
    parameters = conv(before, after) + conv(after, after) + 2 * 2 * after
    return parameters + (conv(before, after, 1) + 2 * after if shortcut else 0)


def test_slim_resnet18_has_the_parameters_of_its_architecture():
    widths = (20, 40, 80, 160)
    wanted = conv(3, 20) + 2 * 20
    for i, width in enumerate(widths):
        before = widths[max(i - 1, 0)]
        wanted += parameters_of(before, width, shortcut=i > 0) + parameters_of(width, width, shortcut=False)
    model = slim_resnet18((3, 32, 32), 10)
    assert sum(p.numel() for p in model.backbone.parameters()) == wanted == 1_093_140
    assert sum(p.numel() for p in model.parameters()) == 1_093_140 + 10 * 161


def test_resnet32_has_the_parameters_of_its_architecture():
    wanted = conv(3, 16) + 2 * 16
    for before, width in ((16, 16), (16, 32), (32, 64)):
        wanted += parameters_of(before, width, shortcut=False) + 4 * parameters_of(width, width, shortcut=False)
    model = resnet32((3, 32, 32), 10)
    assert sum(p.numel() for p in model.backbone.parameters()) == wanted == 463_504
    assert sum(p.numel() for p in model.parameters()) == 464_154  # He et al. 2016, table 6: 0.46 M


@pytest.mark.parametrize("build", [slim_resnet18, resnet32])
@pytest.mark.parametrize("shape", [(3, 32, 32), (1, 28, 28), (3, 64, 64), (1, 8, 8)])
def test_residual_networks_take_images_of_any_size(build, shape):
    output = build(shape, 7).eval()(torch.randn(2, *shape))
    assert output.logits.shape == (2, 7)
    assert output.features.shape == (2, 160 if build is slim_resnet18 else 64)


@pytest.mark.parametrize(
    ("build", "sides"), [(slim_resnet18, [32, 32, 16, 16, 8, 8, 4, 4]), (resnet32, [32] * 5 + [16] * 5 + [8] * 5)]
)
def test_residual_networks_halve_the_image_between_stages(build, sides):
    model, found = build((3, 32, 32), 2).eval(), []
    for block in model.backbone[3:-2]:
        block.register_forward_hook(lambda _, __, output: found.append(output.shape[-1]))
    model(torch.randn(1, 3, 32, 32))
    assert found == sides


def test_the_parameterless_shortcut_takes_every_second_pixel_and_fills_with_zeros():
    x = torch.randn(2, 16, 8, 8)
    shortcut = resnet32((3, 32, 32), 2).backbone[8].shortcut
    y = shortcut(x)
    assert y.shape == (2, 32, 4, 4)
    assert torch.equal(y[:, 8:24], x[:, :, ::2, ::2])
    assert not y[:, :8].any()
    assert not y[:, 24:].any()
    assert not list(shortcut.parameters())


def test_flat_inputs_need_another_network():
    with pytest.raises(ValueError, match=r"inputs of shape \(64,\).*try model mlp"):
        slim_resnet18((64,), 2)


def test_mlp_is_the_sequence_it_says():
    torch.manual_seed(0)
    model = mlp((2, 3), 4, hidden=(5,))
    first = model.backbone[1]
    x = torch.randn(7, 2, 3)
    features = torch.relu(x.flatten(1) @ first.weight.T + first.bias)
    torch.testing.assert_close(model(x).features, features)
    torch.testing.assert_close(model(x).logits, features @ model.head.weight.T + model.head.bias)
    assert linear((2, 3), 4)(x).features.shape == (7, 6)


def test_head_rows_start_at_zero_and_get_pytorchs_distribution_when_admitted():
    head = LinearHead(400, 50)
    assert not head.weight.any()
    for label in range(49):
        head.admit(label, seed=0)
    bound = 1 / math.sqrt(400)
    rows = head.weight[:49].detach()
    assert rows.abs().max() <= bound
    assert rows.std() == pytest.approx(bound / math.sqrt(3), rel=0.01)  # of the uniform distribution
    assert abs(rows.mean()) < 4 * bound / math.sqrt(3 * rows.numel())
    assert head.bias[:49].abs().max() <= bound
    assert not head.weight[49].any()


def test_a_row_depends_on_seed_and_class_alone():
    one, two = LinearHead(8, 4), LinearHead(8, 16)
    one.admit(3, 5)
    for label in (7, 3):
        two.admit(label, 5)
    assert same_bits(one.weight[3], two.weight[3])
    assert not torch.equal(two.weight[3], two.weight[7])
    other = LinearHead(8, 4)
    other.admit(3, 6)
    assert not torch.equal(one.weight[3], other.weight[3])


def test_admission_adds_to_what_the_row_has_learnt():
    head = LinearHead(8, 2)
    with torch.no_grad():
        head.weight[1] += 1
    fresh = LinearHead(8, 2)
    for each in (head, fresh):
        each.admit(1, 0)
    torch.testing.assert_close(head.weight[1], fresh.weight[1] + 1)


def test_a_head_has_room_for_a_class_at_least():
    with pytest.raises(ValueError, match="capacity=0"):
        LinearHead(8, 0)


@pytest.mark.parametrize("bias", [True, False])
def test_growing_appends_zeros_and_says_what_was_replaced(bias):
    head = LinearHead(8, 2, bias=bias)
    head.admit(0, 0)
    old = dict(head.named_parameters())
    replaced = head.grow(4)
    assert head.capacity == 4
    assert {id(p) for p in replaced} == {id(p) for p in old.values()}
    for name, p in head.named_parameters():
        assert replaced[old[name]] is p
        assert same_bits(p[:2], old[name])
        assert not p[2:].any()


class Classifier(nn.Module):
    def __init__(self, bias=True):
        super().__init__()
        self.body = nn.Sequential(nn.Linear(5, 6), nn.ReLU())
        self.classifier = nn.ModuleDict({"last": nn.Linear(6, 3, bias=bias)})

    def forward(self, x):
        return self.classifier["last"](self.body(x))


@pytest.mark.parametrize("bias", [True, False])
def test_split_keeps_the_outputs_and_the_rows_it_was_given(bias):
    torch.manual_seed(0)
    model, x = Classifier(bias), torch.randn(4, 5)
    before = model(x).detach()
    net = split(model, head="classifier.last")
    assert same_bits(net(x).logits.detach(), before)
    for label in range(3):
        net.admit(label, 0)
    assert same_bits(net(x).logits.detach(), before)
    net.grow(6)
    net.admit(3, 0)
    torch.testing.assert_close(net(x).logits[:, :3].detach(), before)
    assert net(x).logits[:, 3].abs().sum() > 0
    assert net(x).features.shape == (4, 6)


def test_split_refuses_what_is_no_last_linear_layer_and_names_the_nearest():
    with pytest.raises(ValueError, match=r"'body' is Sequential.*nn\.Linear"):
        split(Classifier(), head="body")
    with pytest.raises(ValueError, match=r"no submodule 'classifier.lost'; did you mean 'classifier.last'"):
        split(Classifier(), head="classifier.lost")
    with pytest.raises(ValueError, match="no submodule ''"):
        split(Classifier(), head="")


def sgd(params):
    return torch.optim.SGD(params, lr=0.1)


def test_whole_captures_the_features_that_were_named():
    module = nn.Sequential(nn.Conv2d(1, 2, 3), nn.ReLU(), nn.Flatten(), nn.Linear(2 * 36, 3))
    model, x = Whole(module, features="1"), torch.randn(4, 1, 8, 8)
    output = model(x)
    torch.testing.assert_close(output.logits, module(x))
    torch.testing.assert_close(output.features, torch.relu(module[0](x)).flatten(1))
    assert Whole(module)(x).features is None
    with pytest.raises(ValueError, match="no submodule 'relu'"):
        Whole(module, features="relu")


def test_whole_learns_as_many_classes_as_it_returns_logits():
    learner = perdure.build("der_pp", nn.Linear(5, 4), sgd, memory=10, draw=4)
    for _ in range(3):
        learner.observe(Batch(torch.randn(4, 5), torch.tensor([0, 1, 2, 3])))
    assert learner.model.capacity == 4


@pytest.mark.parametrize("module", [nn.Conv2d(1, 2, 3), nn.LSTM(8, 3)], ids=["image", "tuple"])
def test_whole_must_return_logits(module):
    learner = perdure.build("finetune", module, sgd)
    x = torch.randn(2, 1, 8, 8) if isinstance(module, nn.Conv2d) else torch.randn(2, 4, 8)
    with pytest.raises(ValueError, match=r"must return logits of shape \(1, classes\)"):
        learner.observe(Batch(x, torch.tensor([0, 1])))


def test_frozen_stands_still():
    inner = nn.Sequential(nn.Linear(5, 6), nn.BatchNorm1d(6), nn.Dropout(0.5))
    frozen, x = Frozen(inner), torch.randn(8, 5)
    before = {k: v.clone() for k, v in inner.state_dict().items()}
    wanted = inner(x)
    for mode in (True, False):
        frozen.train(mode)
        assert not any(m.training for m in frozen.modules())
        assert same_bits(frozen(x), wanted)
    assert not frozen(x.requires_grad_()).requires_grad
    assert not any(p.requires_grad for p in frozen.parameters())
    assert all(same_bits(before[k], v) for k, v in inner.state_dict().items())


def test_frozen_backbone_in_a_learner_stays_in_eval():
    backbone = Frozen(nn.Sequential(nn.Linear(5, 6), nn.BatchNorm1d(6)))
    before = {k: v.clone() for k, v in backbone.state_dict().items()}
    learner = perdure.build("er", Network(backbone, LinearHead(6, 4)), sgd, memory=8, draw=4)
    for _ in range(3):
        learner.observe(Batch(torch.randn(4, 5), torch.tensor([0, 1, 2, 3])))
        learner.predict(torch.randn(2, 5))
    assert all(same_bits(before[k], v) for k, v in backbone.state_dict().items())
    assert not any(m.training for m in backbone.modules())


@pytest.mark.parametrize("shape", [(3, 4, 4), (6,)])
@pytest.mark.parametrize("dtype", [np.uint8, np.float32])
def test_normalize_fits_mean_and_deviation_a_channel(shape, dtype):
    x = np.random.default_rng(0).integers(0, 200, (50, *shape)).astype(dtype)
    batches = [torch.from_numpy(part) for part in np.array_split(x, 7)]
    fitted = Normalize.fit(batches)
    axes = (0, 2, 3) if len(shape) == 3 else 0
    np.testing.assert_allclose(fitted.mean.flatten(), x.astype(np.float64).mean(axes), rtol=1e-6)
    np.testing.assert_allclose(fitted.std.flatten(), x.astype(np.float64).std(axes), rtol=1e-6)
    y = fitted(torch.from_numpy(x))
    assert y.dtype == torch.float32
    assert y.shape == x.shape
    np.testing.assert_allclose(y.numpy().mean(axes), 0, atol=1e-5)
    np.testing.assert_allclose(y.numpy().std(axes), 1, atol=1e-4)


def test_normalize_leaves_the_scale_of_constant_features():
    x = torch.full((10, 2), 1000.5)
    x[:, 1] = torch.arange(10.0)
    y = Normalize.fit([x])(x)
    assert not y[:, 0].any()
    assert y[:, 1].std(correction=0) == pytest.approx(1)


def test_normalize_refuses_nothing_and_a_deviation_of_zero():
    with pytest.raises(ValueError, match="no examples"):
        Normalize.fit([])
    with pytest.raises(ValueError, match="std must be above 0"):
        Normalize(torch.zeros(2), torch.tensor([1.0, 0.0]))
