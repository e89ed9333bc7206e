"""SCR: two views of everything in one forward, contrasted, and answered by nearest means of exemplars."""

import math

import pytest
import torch
from torch import nn
from torch.nn.functional import normalize

import perdure
from perdure import Batch, Draw, Learner
from perdure.functional.contrast import supervised_contrastive
from perdure.functional.views import any_view, random_exchange, random_resized_crop
from perdure.memory import Reservoir
from perdure.nn import LinearHead, Network, mlp, two_views
from perdure.terms import ReplayContrast


def sgd(params):
    return torch.optim.SGD(params, lr=0.1)


def batch(number, size=6, shape=(5,)):
    generator = torch.Generator().manual_seed(number)
    x = torch.randn(size, *shape, generator=generator)
    return Batch(x, torch.randint(3, (size,), generator=generator))


def test_the_loss_is_that_of_a_plain_double_loop_over_both_views():
    torch.manual_seed(0)
    draw = Draw("replay", Reservoir(20), 5)
    term = ReplayContrast(draw, temperature=0.2)
    learner = Learner(two_views(mlp((5,), 4, hidden=(7,)).double(), 6), sgd, [term])
    for number in range(3):
        learner.observe(Batch(batch(number).x.double(), batch(number).y))
    step = learner.forward(Batch(batch(3).x.double(), batch(3).y))
    segments = [step.segments["current"], step.segments["replay"]]
    z, y = [], []
    for view in ("first", "second"):
        for segment in segments:
            z += [*segment.output.aux[view].detach()]
            y += segment.batch.y.tolist()
    assert len(z) == 2 * (6 + 5)
    total = 0.0
    for i in range(len(z)):
        scale = sum(math.exp(float(z[i] @ z[a]) / 0.2) for a in range(len(z)) if a != i)
        fellows = [p for p in range(len(z)) if p != i and y[p] == y[i]]
        total -= sum(math.log(math.exp(float(z[i] @ z[p]) / 0.2) / scale) for p in fellows) / len(fellows)
    assert float(step.losses[term.name].detach()) == pytest.approx(total / len(z))


def test_both_views_go_through_in_one_forward_with_their_statistics_together():
    torch.manual_seed(0)
    backbone = nn.Sequential(nn.Linear(5, 8), nn.BatchNorm1d(8), nn.ReLU())
    network = two_views(Network(backbone, LinearHead(8, 4)), 6)
    seen = []
    backbone[0].register_forward_hook(lambda module, given, output: seen.append(given[0]))
    torch.manual_seed(3)
    x = batch(0).x
    out = network(x)
    (given,) = seen
    torch.manual_seed(3)
    assert torch.equal(given, torch.cat([x, any_view(x, torch.default_generator)]))
    assert backbone[1].num_batches_tracked == 1
    torch.testing.assert_close(backbone[1].running_mean, 0.1 * backbone[0](given).mean(0).detach())
    for name in ("first", "second"):
        torch.testing.assert_close(out.aux[name].norm(dim=1), torch.ones(6))
    network.eval()
    seen.clear()
    assert torch.equal(network(x).features, network.backbone(x))
    assert torch.equal(seen[0], x)


def test_the_second_view_depends_on_seed_and_update_alone():
    def second(seed, updates):
        torch.manual_seed(0)
        network = two_views(mlp((5,), 4, hidden=(7,)), 6)
        learner = Learner(network, sgd, [ReplayContrast(Draw("replay", Reservoir(20), 5))], seed=seed)
        for number in range(updates):
            learner.observe(batch(number))
        torch.manual_seed(updates)  # what the global generator does elsewhere is nothing to it
        inputs = []
        network.backbone.register_forward_hook(lambda module, given, output: inputs.append(given[0]))
        learner.forward(batch(9))
        (both,) = [x for x in inputs if len(x) > 2]  # one row alone is tried before the first update
        return both[len(both) // 2 :][:6]

    assert torch.equal(second(0, 0), second(0, 0))
    assert not torch.equal(second(0, 0), second(1, 0))
    assert not torch.equal(second(0, 0), second(0, 3))


def test_a_view_of_your_own():
    network = two_views(mlp((5,), 4, hidden=(7,)), 6, lambda x, generator: x)
    out = network(batch(0).x)
    torch.testing.assert_close(out.aux["first"], out.aux["second"])


def test_the_answer_is_the_nearest_mean_of_exemplars_before_the_projection():
    torch.manual_seed(0)
    memory = Reservoir(15)
    learner = perdure.build("scr", mlp((5,), 4, hidden=(7,)), sgd, memory=memory, draw=5, projection=6)
    for number in range(5):
        learner.observe(batch(number))
    kept, x = memory.contents(), batch(9).x
    learner.model.eval()
    features = normalize(learner.model.backbone(kept.x), dim=1)
    means = normalize(torch.stack([features[kept.y == c].mean(0) for c in range(3)]), dim=1)
    expected = normalize(learner.model.backbone(x), dim=1) @ means.T
    learner.model.train()
    torch.testing.assert_close(learner.logits(x)[:, :3], expected.detach())


def test_a_loss_of_one_row_of_each_class_is_nothing():
    assert supervised_contrastive(torch.eye(3), torch.arange(3), 0.1) is None


@pytest.mark.parametrize("dtype", [torch.uint8, torch.float32, torch.int64])
@pytest.mark.parametrize("shape", [(7,), (3, 6, 9), (1, 8, 8), (4, 5)])
def test_views_keep_shape_and_type_and_change_something(dtype, shape):
    x = torch.arange(5 * math.prod(shape)).reshape(5, *shape).to(dtype)
    before = x.clone()
    view = any_view(x, torch.Generator().manual_seed(0))
    assert view.shape == x.shape
    assert view.dtype == dtype
    assert torch.equal(x, before)
    assert not torch.equal(view, x)
    assert set(view.flatten().tolist()) <= set(x.flatten().tolist())


def test_a_crop_of_everything_is_the_image():
    x = torch.rand(4, 2, 6, 9)
    assert torch.equal(random_resized_crop((1.0, 1.0), ratio=1.0)(x, torch.Generator()), x)


def test_a_crop_is_a_stretched_window_of_the_wanted_area():
    height, width = 20, 30
    rows, columns = torch.meshgrid(torch.arange(height), torch.arange(width), indexing="ij")
    x = torch.stack([rows, columns]).repeat(200, 1, 1, 1)
    cropped = random_resized_crop((0.3, 0.6), ratio=1.2)(x, torch.Generator().manual_seed(1))
    assert (cropped[:, 0] == cropped[:, 0, :, :1]).all()  # the same rows in every column, and so on
    assert (cropped[:, 1] == cropped[:, 1, :1]).all()
    assert (cropped[:, 0].diff(dim=1) >= 0).all()
    assert (cropped[:, 1].diff(dim=2) >= 0).all()
    tall = (cropped[:, 0, -1, 0] - cropped[:, 0, 0, 0] + 1) / height
    wide = (cropped[:, 1, 0, -1] - cropped[:, 1, 0, 0] + 1) / width
    area = tall * wide
    assert (area > 0.3 - 0.08).all()
    assert (area < 0.6 + 0.08).all()
    assert area.max() - area.min() > 0.2
    assert cropped[:, 0].min() == 0
    assert cropped[:, 0].max() == height - 1


def test_an_exchange_takes_entries_of_others_at_the_same_place():
    x = torch.arange(50)[:, None] * 100 + torch.arange(40)
    mixed = random_exchange(0.3)(x, torch.Generator().manual_seed(0))
    assert torch.equal(mixed % 100, x % 100)
    assert 0.25 < float((mixed != x).float().mean()) < 0.35
    assert torch.equal(random_exchange(0.0)(x, torch.Generator()), x)


@pytest.mark.parametrize(
    ("call", "match"),
    [
        (lambda: ReplayContrast(Draw("replay", Reservoir(9), 5), temperature=0), "temperature=0"),
        (lambda: two_views(mlp((5,), 4), 0), "projection=0"),
        (lambda: random_resized_crop((0.9, 0.5)), "scale="),
        (lambda: random_resized_crop(ratio=0.5), r"ratio=0\.5"),
        (lambda: random_exchange(1.5), r"share=1\.5"),
    ],
)
def test_bad_arguments(call, match):
    with pytest.raises(ValueError, match=match):
        call()


def test_a_model_of_one_view_is_told():
    learner = Learner(mlp((5,), 4), sgd, [ReplayContrast(Draw("replay", Reservoir(9), 5))])
    with pytest.raises(ValueError, match="no two views"):
        learner.observe(batch(0))
