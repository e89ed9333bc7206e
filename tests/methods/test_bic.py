"""BiC: what is held out, what is fitted on it, what is learnt and answered by it."""

import copy

import pytest
import torch
from torch.nn.functional import cross_entropy

import perdure
from perdure import Batch, Experience, Part
from perdure.functional.fingerprint import fingerprint
from perdure.memory import HeldOut, Herding
from perdure.nn import BiasCorrection, mlp
from perdure.streams import class_incremental
from perdure.terms import CorrectedDistill


def examples(number, classes=(0, 1), size=60):
    random = torch.Generator().manual_seed(number)
    y = torch.tensor(classes)[torch.randint(len(classes), (size,), generator=random)]
    return Batch(torch.randn(size, 5, generator=random) + 0.4 * y[:, None], y)


def sgd(params):
    return torch.optim.SGD(params, lr=0.1)


def bic(capacity=90, **options):
    torch.manual_seed(0)
    return perdure.build("bic", mlp((5,), 6, hidden=(16,)), sgd, memory=capacity, draw=8, **options)


def part(learner, kind):
    return next(part for part in learner.parts if isinstance(part, kind))


def learn(learner, batch, index, epochs=3, size=12):
    learner.begin(Experience(index, tuple(batch.y.unique().tolist())))
    for epoch in range(epochs):
        order = torch.randperm(len(batch), generator=torch.Generator().manual_seed(epoch))
        for rows in order.split(size):
            learner.observe(batch.rows(rows), first_pass=epoch == 0)
    learner.end()


def raw(learner, x):
    model = copy.deepcopy(learner.model).eval()
    with torch.no_grad():
        return model(x).logits


class Watch(Part):
    """Notes every example that is learnt from."""

    def __init__(self):
        super().__init__()
        self.learnt = []

    def after_step(self, step):
        self.learnt += [segment.batch.x for segment in step.segments.values()]


def test_held_out_examples_are_never_learnt():
    learner, watch = bic(holdout=0.2), Watch()
    learner.parts = (*learner.parts, watch)
    learner._bind_phases()
    batches = [examples(0, (0, 1), 200), examples(1, (2, 3), 200)]
    for index, batch in enumerate(batches):
        learn(learner, batch, index)
    learnt = {tuple(row) for x in watch.learnt for row in x.tolist()}
    marked = {tuple(row) for batch in batches for row in batch.x[fingerprint(batch.x) < 0.2].tolist()}
    kept = part(learner, HeldOut).contents()
    assert len(marked) == pytest.approx(80, abs=30)
    assert not learnt & marked
    assert {tuple(row) for row in kept.x.tolist()} <= marked
    assert len(learnt) + len(marked) == 400
    assert torch.bincount(kept.y).tolist() in (
        [3, 3, 2, 2],
        [3, 2, 3, 2],
        [2, 3, 3, 2],
        [3, 2, 2, 3],
        [2, 2, 3, 3],
        [2, 3, 2, 3],
    )


def test_one_slot_for_nine():
    assert part(bic(90), HeldOut).capacity == 10
    assert part(bic(8), HeldOut).capacity == 1


def test_the_seed_says_which_are_held_out():
    x = examples(0, size=300).x
    one, two = (part(bic(seed=seed), HeldOut).withhold(Batch(x, torch.zeros(300))) for seed in (0, 1))
    assert one.sum() > 10
    assert not torch.equal(one, two)


def test_the_pair_is_the_one_that_held_out_exemplars_ask_for():
    learner = bic(180)
    learn(learner, examples(0), 0)
    correction = part(learner, BiasCorrection)
    assert correction.alpha.tolist() == [1] * 6  # nothing to compare the first classes with
    assert correction.beta.tolist() == [0] * 6
    learn(learner, examples(1, (2, 3), 300), 1)
    assert correction.alpha[:2].tolist() == [1, 1]
    assert correction.beta[:2].tolist() == [0, 0]
    assert correction.alpha[2] == correction.alpha[3]
    assert correction.beta[2] == correction.beta[3]
    assert correction.beta[2] != 0
    kept, pair = part(learner, HeldOut).contents(), torch.stack([correction.alpha[2], correction.beta[2]])
    logits = raw(learner, kept.x)[:, :4]

    def objective(pair):
        new = pair[0] * logits[:, 2:] + pair[1]
        ridge = correction.ridge / 2 * ((pair[0] - 1) ** 2 + pair[1] ** 2)
        return cross_entropy(torch.cat([logits[:, :2], new], dim=1), kept.y) + ridge

    pair.requires_grad_()
    objective(pair).backward()
    assert pair.grad.abs().max() < 1e-5


def test_a_head_that_is_made_to_prefer_new_classes_is_put_right():
    """The model is right; the logits of the new classes are then bent by hand, as far as they are from the held-out."""
    learner = bic(900, holdout=0.4)
    learn(learner, examples(0, (0, 1), 600), 0, epochs=1)
    learner.begin(Experience(1, (2, 3)))
    second = examples(1, (2, 3), 600)
    for rows in torch.arange(600).split(12):
        learner.observe(second.rows(rows))
    straight, bent = copy.deepcopy(learner), learner
    scale, shift = 1.8, 2.5
    with torch.no_grad():
        bent.model.head.weight[2:4] *= scale
        bent.model.head.bias[2:4] *= scale
        bent.model.head.bias[2:4] += shift
    for each in (straight, bent):
        part(each, BiasCorrection).ridge = 0.0
        each.end()
    right, undone = part(straight, BiasCorrection), part(bent, BiasCorrection)
    torch.testing.assert_close(undone.alpha[2] * scale, right.alpha[2], rtol=1e-3, atol=1e-3)
    torch.testing.assert_close(undone.alpha[2] * shift + undone.beta[2], right.beta[2], rtol=1e-3, atol=1e-3)
    torch.testing.assert_close(straight.logits(second.x), bent.logits(second.x), rtol=1e-3, atol=1e-3)
    assert not torch.allclose(raw(straight, second.x), raw(bent, second.x), atol=1)


def test_the_answer_is_corrected():
    learner, asked = bic(), examples(5, (0, 1, 2, 3)).x
    learn(learner, examples(0), 0)
    learn(learner, examples(1, (2, 3), 200), 1)
    correction = part(learner, BiasCorrection)
    expected = raw(learner, asked)[:, :4].clone()
    expected[:, 2:] = correction.alpha[2] * expected[:, 2:] + correction.beta[2]
    torch.testing.assert_close(learner.logits(asked)[:, :4], expected)


def test_loss_by_hand():
    learner = bic()
    learn(learner, examples(0), 0)
    learn(learner, examples(1, (2, 3), 200), 1)
    teacher, correction = copy.deepcopy(learner.model).eval(), part(learner, BiasCorrection)
    third = examples(2, (4, 5), 12)
    learner.begin(Experience(2, (4, 5)))
    learner.observe(third)
    step = learner.forward(third)
    segments = [step.segments[name] for name in ("current", "replay")]
    x, y = (torch.cat([getattr(s.batch, name) for s in segments]) for name in ("x", "y"))
    scale = torch.cat([correction.alpha[:4], torch.ones(2)])
    shift = torch.cat([correction.beta[:4], torch.zeros(2)])
    assert scale[2] != 1
    logits = scale * torch.cat([s.output.logits for s in segments]) + shift
    with torch.no_grad():
        said = ((scale * teacher(x).logits + shift)[:, :4] / 2).softmax(1)
    soft = -(said * (logits[:, :4] / 2).log_softmax(1)).sum(1).mean()
    torch.testing.assert_close(step.loss, 2 / 6 * cross_entropy(logits, y) + 4 / 6 * soft)


def test_a_student_equal_to_its_teacher_is_not_moved():
    learner = bic()
    learn(learner, examples(0), 0)
    learn(learner, examples(1, (2, 3), 200), 1)
    term, batch = part(learner, CorrectedDistill), examples(3, (0, 1, 2, 3))
    assert part(learner, BiasCorrection).alpha[2] != 1
    step = learner.forward(batch)  # no new class: the whole weight is on the teacher
    torch.autograd.backward(step.losses[term.name])
    assert max(p.grad.abs().max().item() for p in learner.model.parameters()) < 1e-7


def test_pairs_keep_their_digits_under_autocast():
    learner = bic()
    learner.begin(Experience(0, (0, 1)))
    with torch.autocast("cpu", dtype=torch.bfloat16):
        learner.forward(examples(0))
    assert part(learner, BiasCorrection).alpha.dtype == torch.float32


def test_a_memory_that_reads_held_out_data_is_refused():
    with pytest.raises(ValueError, match="Herding chooses among all data of an experience"):
        bic(Herding(20))


@pytest.mark.parametrize("holdout", [0.0, 1.0])
def test_a_share_that_is_none_is_refused(holdout):
    with pytest.raises(ValueError, match="hold out a share between 0 and 1"):
        bic(holdout=holdout)


@pytest.mark.parametrize("size", [1, 2])
def test_batches_of_one_or_two(size):
    """Nothing can be held out of them, and so nothing is corrected."""
    batch = Batch(examples(0, size=40).x, torch.arange(40) % 4)
    stream = class_incremental((batch.x, batch.y), (batch.x, batch.y), experiences=2)
    learner = bic(holdout=0.5)
    perdure.run(learner, stream, batch_size=size)
    assert len(part(learner, HeldOut)) == 0
    assert part(learner, BiasCorrection).alpha.tolist() == [1] * 6
