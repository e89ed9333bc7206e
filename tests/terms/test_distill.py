"""Terms with a teacher, in learners."""

import math

import pytest
import torch
from torch import nn
from torch.nn import functional as F

import perdure
from perdure import Batch, Draw, Experience, Learner
from perdure.checks._state import same_bits
from perdure.memory import ClassBalanced
from perdure.nn import LinearHead, Network, mlp
from perdure.terms import CrossEntropy, Distill, LessForget


def sgd(params):
    return torch.optim.SGD(params, lr=0.1, momentum=0.9, weight_decay=1e-2)


def network(classes=6):
    """Dropout and batch statistics within."""
    torch.manual_seed(0)
    layers = [nn.Linear(5, 7), nn.BatchNorm1d(7), nn.ReLU(), nn.Dropout(0.5)]
    return Network(nn.Sequential(*layers), LinearHead(7, classes)).double()


def batch(number, classes, size=8, task=None):
    random = torch.Generator().manual_seed(number)
    y = torch.tensor(list(classes))[torch.randint(len(classes), (size,), generator=random)]
    x = torch.randn(size, 5, generator=random, dtype=torch.float64)
    return Batch(x, y, None if task is None else torch.full_like(y, task))


def lived(learner, *groups, told=False, steps=3):
    """Through experiences of these classes; the last is still open."""
    for index, classes in enumerate(groups):
        if index:
            learner.end()
        learner.begin(Experience(index, classes, task=index if told else None))
        for number in range(steps):
            learner.observe(batch(10 * index + number, classes, task=index if told else None))
    return learner


def part(learner, kind):
    return next(p for p in learner.parts if isinstance(p, kind))


def gradients(learner, value):
    return torch.autograd.grad(value, list(learner.params.values()), allow_unused=True, retain_graph=True)


@pytest.mark.parametrize("told", [False, True])
def test_a_student_that_is_its_teacher_learns_nothing_from_it(told):
    """Pulled by its own dropout it would: the teacher is in eval mode."""
    learner = lived(perdure.build("lwf", network(), sgd), (0, 1), (2, 3), (4, 5), told=told)
    learner.end()
    learner.model.eval()
    step = learner.forward(batch(99, (4, 5), task=2 if told else None))
    value = part(learner, Distill).loss(step)
    assert value > 0.1
    for gradient in gradients(learner, value):
        assert gradient is None or not gradient.any()
    learner.model.train()
    step = learner.forward(batch(99, (4, 5), task=2 if told else None))
    assert any(g is not None and g.abs().max() > 1e-3 for g in gradients(learner, part(learner, Distill).loss(step)))


def test_the_teacher_says_the_same_whenever_asked_and_leaves_the_model_alone():
    learner = lived(perdure.build("lwf", network(), sgd), (0, 1), (2, 3))
    before = {name: value.clone() for name, value in learner.model.state_dict().items()}
    x = batch(0, (2, 3)).x
    first, again = (part(learner, Distill).teacher.ask(learner.model, x) for _ in range(2))
    assert same_bits(first.logits, again.logits)
    assert all(module.training for module in learner.model.modules())
    assert all(same_bits(value, before[name]) for name, value in learner.model.state_dict().items())


@pytest.mark.parametrize(("among", "classes"), [("old", range(4)), ("seen", range(6)), ("head", range(8))])
def test_lwf_is_its_formula(among, classes):
    learner = perdure.build("lwf", network(8), sgd, alpha=0.7, current=0.3, temperature=3.0, among=among)
    lived(learner, (0, 1), (2, 3), (4, 5))
    step = learner.forward(batch(99, (4, 5)))
    segment, teacher = step.segments["current"], part(learner, Distill).teacher
    said = teacher.ask(learner.model, segment.batch.x).logits
    known = list(classes if among == "head" else range(4))
    p = F.pad((said[:, known] / 3).softmax(1), (0, len(classes) - len(known)))
    distilled = 9 * F.cross_entropy(segment.output.logits[:, list(classes)] / 3, p)
    wanted = 0.3 * F.cross_entropy(segment.output.logits[:, :6], segment.batch.y) + 0.7 * distilled
    torch.testing.assert_close(step.loss, wanted)


@pytest.mark.parametrize("heads", ["sum", "mean"])
def test_lwf_distils_each_old_task_by_itself(heads):
    learner = lived(perdure.build("lwf", network(), sgd, heads=heads), (0, 1), (2, 3), (4, 5), told=True)
    step = learner.forward(batch(99, (4, 5), task=2))
    student, y = step.segments["current"].output.logits, step.segments["current"].batch.y
    said = part(learner, Distill).teacher.ask(learner.model, step.segments["current"].batch.x).logits
    each = [4 * F.cross_entropy(student[:, [a, b]] / 2, (said[:, [a, b]] / 2).softmax(1)) for a, b in ((0, 1), (2, 3))]
    wanted = F.cross_entropy(student[:, 4:], y - 4) + (sum(each) if heads == "sum" else sum(each) / 2)
    torch.testing.assert_close(step.loss, wanted)


def test_the_factor_of_the_temperature_can_be_left_out():
    values = []
    for squared in (True, False):
        learner = lived(perdure.build("lwf", network(), sgd, temperature=3.0, squared=squared), (0, 1))
        learner.end()
        learner.begin(Experience(1, (2, 3)))
        values.append(learner.forward(batch(99, (2, 3))).losses["Distill"])
    torch.testing.assert_close(values[0], 9 * values[1])


def test_there_is_nothing_to_distil_before_the_first_experience_has_ended():
    learner = lived(perdure.build("lwf", network(), sgd), (0, 1))
    assert set(learner.forward(batch(9, (0, 1))).losses) == {"CrossEntropy(current)"}


def test_weights_by_experience():
    options = {"alpha": [0, 0.5, 4 / 3], "current": [1, 1 / 2, 1 / 3]}
    plain = lived(perdure.build("lwf", network(), sgd), (0, 1))
    weighted = lived(perdure.build("lwf", network(), sgd, **options), (0, 1))
    assert all(torch.equal(a, b) for a, b in zip(plain.params.values(), weighted.params.values(), strict=True))
    for learner in (plain, weighted):
        learner.end()
        learner.begin(Experience(1, (2, 3)))
    one, two = (learner.forward(batch(99, (2, 3))).losses for learner in (plain, weighted))
    assert two["Distill"].item() == pytest.approx(0.5 * one["Distill"].item())
    assert two["CrossEntropy(current)"].item() == pytest.approx(0.5 * one["CrossEntropy(current)"].item())
    weighted.end()
    weighted.begin(Experience(3, (4,)))
    plain.end()
    plain.begin(Experience(3, (4,)))
    one, two = (learner.forward(batch(99, (4, 4))).losses for learner in (plain, weighted))
    assert two["CrossEntropy(current)"].item() == pytest.approx(one["CrossEntropy(current)"].item() / 3)  # the last


def test_the_teacher_is_asked_once_for_all_segments():
    learner = perdure.build("wa", network(), sgd, memory=ClassBalanced(6), draw=4)
    lived(learner, (0, 1), (2, 3))
    calls = []
    teacher = part(learner, Distill).teacher
    ask, teacher.ask = teacher.ask, lambda model, x: calls.append(len(x)) or ask(model, x)
    learner.observe(batch(99, (2, 3), size=5))
    assert calls == [9]


def test_wa_weighs_old_and_new_by_their_numbers():
    learner = lived(perdure.build("wa", network(), sgd, memory=ClassBalanced(12), draw=4), (0, 1, 2), (3,))
    step = learner.forward(batch(99, (3,)))
    x = torch.cat([s.batch.x for s in step.segments.values()])
    logits, y = (
        torch.cat(v) for v in zip(*((s.output.logits, s.batch.y) for s in step.segments.values()), strict=True)
    )
    said = part(learner, Distill).teacher.ask(learner.model, x).logits
    distilled = F.cross_entropy(logits[:, :3] / 2, (said[:, :3] / 2).softmax(1))
    torch.testing.assert_close(step.loss, F.cross_entropy(logits[:, :4], y) / 4 + distilled * 3 / 4)


def test_less_forget_of_the_teacher_itself_is_zero_and_grows_with_the_share_of_old_classes():
    memory = ClassBalanced(6)
    term = LessForget(Draw("replay", memory, 4), base_weight=5.0)
    learner = lived(Learner(network(), sgd, [CrossEntropy(), term]), (0, 1, 2, 3), (4,))
    step = learner.forward(batch(99, (4,)))
    features = torch.cat([s.output.features for s in step.segments.values()])
    x = torch.cat([s.batch.x for s in step.segments.values()])
    apart = 1 - F.cosine_similarity(features, term.teacher.ask(learner.model, x).features)
    torch.testing.assert_close(term.loss(step), 5 * math.sqrt(4) * apart.mean())
    learner.end()
    learner.model.eval()
    assert term.loss(learner.forward(batch(99, (4,)))).item() == pytest.approx(0, abs=1e-12)


def test_lucir_adds_its_three_terms_and_keeps_old_rows():
    learner = perdure.build("lucir", network(), sgd, memory=ClassBalanced(12), draw=4)
    lived(learner, (0, 1), (2, 3), (4, 5))
    assert set(learner.forward(batch(99, (4, 5))).losses) == {
        "CrossEntropy(current, replay)",
        "LessForget",
        "MarginRanking",
    }
    before = learner.model.head.weight.detach().clone()
    learner.observe(batch(99, (4, 5)))
    after = learner.model.head.weight.detach()
    assert same_bits(before[:4], after[:4])
    assert not torch.equal(before[4:], after[4:])


def test_lucir_ranks_exemplars_of_old_classes_only():
    learner = perdure.build("lucir", network(), sgd, memory=ClassBalanced(12), draw=6, num_rivals=1, margin=0.4)
    lived(learner, (0, 1), (2, 3))
    step = learner.forward(batch(99, (2, 3)))
    replay = step.segments["replay"]
    cosines = F.normalize(replay.output.features) @ F.normalize(learner.model.head.weight).T
    old = replay.batch.y < 2
    assert 0 < old.sum() < len(old)
    own = cosines[old, replay.batch.y[old]]
    wanted = (0.4 - own + cosines[old][:, 2:4].max(1).values).clamp(min=0).mean()
    torch.testing.assert_close(step.losses["MarginRanking"], wanted)


def test_options_that_make_no_sense_are_refused():
    with pytest.raises(ValueError, match=r"temperature=0: give a number above 0"):
        Distill(temperature=0)
    with pytest.raises(ValueError, match="choose"):
        Distill(among="new")
    with pytest.raises(ValueError, match="over='old': choose 'seen', 'experience', 'batch', 'head'"):
        perdure.build("lwf", network(), sgd, over="old")
    with pytest.raises(ValueError, match="num_rivals=0"):
        perdure.build("lucir", mlp((5,), 4), sgd, memory=6, draw=4, num_rivals=0)
