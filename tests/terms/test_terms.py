"""The terms of published methods, against their formulas."""

import pytest
import torch
from torch.nn import functional as F

import perdure
from perdure import Batch, Draw, Experience, Learner, Part
from perdure.checks._state import same_bits
from perdure.memory import Reservoir
from perdure.nn import mlp
from perdure.terms import CrossEntropy, LogitMatch


def sgd(params):
    return torch.optim.SGD(params, lr=0.1)


def network(classes=8):
    torch.manual_seed(0)
    return mlp((5,), classes, hidden=(7,))


def batch(number, classes=range(6), size=8):
    random = torch.Generator().manual_seed(number)
    y = torch.tensor(list(classes))[torch.randint(len(classes), (size,), generator=random)]
    return Batch(torch.randn(size, 5, generator=random), y)


def among(logits, y, classes):
    """Cross entropy of each example with the softmax over ``classes`` only."""
    place = {c: i for i, c in enumerate(classes)}
    columns = torch.tensor([place[c] for c in y.tolist()])
    return F.cross_entropy(logits[:, list(classes)], columns, reduction="none")


@pytest.mark.parametrize(
    ("over", "classes"), [("seen", range(4)), ("experience", (2, 3)), ("batch", (3,)), ("head", range(8))]
)
def test_cross_entropy_runs_over_the_classes_it_says(over, classes):
    learner = Learner(network(), sgd, [CrossEntropy(over=over, weight=0.5)])
    learner.begin(Experience(0, (0, 1)))
    learner.observe(batch(0, (0, 1)))
    learner.end()
    learner.begin(Experience(1, (2, 3)))
    step = learner.forward(batch(1, (3,)))
    segment = step.segments["current"]
    torch.testing.assert_close(step.loss, 0.5 * among(segment.output.logits, segment.batch.y, classes).mean())


def test_over_the_experience_needs_one():
    learner = Learner(network(), sgd, [CrossEntropy(over="experience")])
    with pytest.raises(RuntimeError, match=r"needs boundaries .* call begin\(experience\)"):
        learner.observe(batch(0))


def test_label_smoothing_is_pytorchs_over_the_seen_classes():
    learner = perdure.build("finetune", network(), sgd, label_smoothing=0.3)
    step = learner.forward(batch(0, (0, 1, 2)))
    segment = step.segments["current"]
    wanted = F.cross_entropy(segment.output.logits[:, :3], segment.batch.y, label_smoothing=0.3)
    torch.testing.assert_close(step.loss, wanted)


def test_er_is_one_mean_over_the_batch_and_the_draw():
    learner = perdure.build("er", network(), sgd, memory=10, draw=3)
    learner.observe(batch(0, (0, 1)))
    step = learner.forward(batch(1, (2, 3), size=5))
    losses = [among(s.output.logits, s.batch.y, range(4)) for s in step.segments.values()]
    assert [len(loss) for loss in losses] == [5, 3]
    torch.testing.assert_close(step.loss, torch.cat(losses).mean())


def test_er_ace_lets_new_data_compete_with_their_batch_and_exemplars_with_all_seen():
    """Caccia et al. 2022, equation 3."""
    learner = perdure.build("er_ace", network(), sgd, memory=10, draw=6)
    learner.observe(batch(0, (0, 1, 5)))
    step = learner.forward(batch(1, (2, 3)))
    new, old = step.segments["current"], step.segments["replay"]
    wanted = among(new.output.logits, new.batch.y, sorted(set(new.batch.y.tolist()))).mean()
    wanted = wanted + among(old.output.logits, old.batch.y, learner.admitted()).mean()
    torch.testing.assert_close(step.loss, wanted)
    learner = perdure.build("er_ace", network(), sgd, memory=10, draw=6)
    first = learner.forward(batch(0, (0, 1, 5)))
    torch.testing.assert_close(  # while memory is empty only the batch counts
        first.loss, among(first.segments["current"].output.logits, batch(0, (0, 1, 5)).y, (0, 1, 5)).mean()
    )


class Recorder(Part):
    def __init__(self):
        super().__init__()
        self.said = []

    def after_step(self, step):
        segment = step.segments["current"]
        self.said += zip(segment.batch.x.tolist(), segment.output.logits.detach(), strict=True)


def test_stored_logits_are_those_of_the_step_in_which_the_example_came():
    recorder, memory = Recorder(), Reservoir(12)
    learner = Learner(
        network(), sgd, [CrossEntropy(over="head"), LogitMatch(Draw("dark", memory, 5), 0.5), recorder], augment=jitter
    )
    for number in range(6):
        learner.observe(batch(number))
    said = {tuple(x): logits for x, logits in recorder.said}
    kept = memory.contents()
    assert len(kept) == 12
    for x, logits in zip(kept.x.tolist(), kept.stored["logits"], strict=True):
        assert same_bits(logits, said[tuple(x)])


def jitter(x, generator):
    return x + 0.1 * torch.randn(x.shape, generator=generator)


@pytest.mark.parametrize("method", ["der", "der_pp"])
def test_dark_replay_is_its_formula(method):
    """Buzzega et al. 2020, equations 5 and 6, with the mean over exemplars and classes of the authors' code."""
    options = {"alpha": 0.3, "draw": 4} | ({"beta": 0.7} if method == "der_pp" else {})
    learner = perdure.build(method, network(), sgd, memory=10, **options)
    for number in range(3):
        learner.observe(batch(number))
    step = learner.forward(batch(3))
    new, dark = step.segments["current"], step.segments["dark"]
    wanted = F.cross_entropy(new.output.logits, new.batch.y)
    wanted = wanted + 0.3 * F.mse_loss(dark.output.logits, dark.batch.stored["logits"])
    if method == "der_pp":
        hard = step.segments["replay"]
        wanted = wanted + 0.7 * F.cross_entropy(hard.output.logits, hard.batch.y)
        assert not torch.equal(hard.batch.x, dark.batch.x)
    torch.testing.assert_close(step.loss, wanted)
    assert set(step.segments) == ({"current", "dark", "replay"} if method == "der_pp" else {"current", "dark"})


def test_features_are_stored_on_request():
    class FeatureMatch(LogitMatch):
        fields = ("features",)

        def loss(self, step):
            segment = step.segments.get("dark")
            return None if segment is None else F.mse_loss(segment.output.features, segment.batch.stored["features"])

    memory = Reservoir(10)
    learner = Learner(network(), sgd, [CrossEntropy(), FeatureMatch(Draw("dark", memory, 4), 1.0)])
    for number in range(3):
        learner.observe(batch(number))
    assert set(memory.contents().stored) == {"features"}
    assert memory.contents().stored["features"].shape == (10, 7)
