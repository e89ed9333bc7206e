"""GEM and A-GEM within a learner: the constraints are those of the past's exemplars, and they hold."""

import pytest
import torch
from scipy.optimize import nnls
from torch import nn

import perdure
from perdure import Batch, Diverged, streams
from perdure._random import generator
from perdure._references import gradient
from perdure.checks._state import difference
from perdure.functional.masking import cross_entropy
from perdure.functional.shapes import as_rows
from perdure.gradients import AGEM, GEM
from perdure.memory import PerExperience, Reservoir
from perdure.nn import LinearHead, Network, mlp


def sgd(params):
    return torch.optim.SGD(params, lr=0.05)


def stream(told=False, experiences=3):
    """Three hundred examples of two classes an experience, hard to tell apart: gradients conflict."""
    x = torch.randn(180, 8, generator=generator(0, "test/gem"))
    make = streams.task_incremental if told else streams.class_incremental
    return make((x, torch.arange(180) % (2 * experiences)), experiences=experiences, holdout=1 / 6)


def net(seed=0, dropout=0.0):
    torch.manual_seed(seed)
    return mlp((8,), 6, hidden=(16,), dropout=dropout)


def steps(learner, made, batch_size=10):
    """Live through the stream; at each step what ``forward``, backward and ``shape_gradients`` make of it."""
    for experience in made.experiences:
        learner.begin(experience)
        for batch in experience.data.batches(batch_size):
            step = learner.forward(batch)
            step.loss.backward()
            before = flat([p.grad.clone() for p in step.params.values()])
            learner.shape_gradients(step)
            yield experience.index, step, before, flat([p.grad for p in step.params.values()])
            learner.optimizer.step()
            learner.after_step(step)
        learner.end()


def flat(grads, lead=0):
    return torch.cat([g.flatten(lead) for g in grads], dim=lead).double()


@pytest.mark.parametrize("told", [False, True], ids=["class-incremental", "task-incremental"])
def test_references_are_the_gradients_of_all_exemplars_of_each_past_experience(told):
    memory = PerExperience(24)
    learner = perdure.build("gem", net(dropout=0.5), sgd, memory=memory)
    for index, step, _, _ in steps(learner, stream(told)):
        past = memory.past()
        assert len(past) == index
        if not past:
            assert not step.references
            continue
        learner.model.eval()
        for k, batch in enumerate(past):
            loss = cross_entropy(learner.model(batch.x).logits, batch.y, step.allowed(batch), reduction="mean")
            mine = torch.autograd.grad(loss, list(step.params.values()))
            torch.testing.assert_close(flat(mine), flat([r[k] for r in step.references["GEM"]]))
        learner.model.train()


@pytest.mark.parametrize("strength", [0.0, 0.5])
def test_every_constraint_holds_and_what_violates_none_stays_to_the_bit(strength):
    learner = perdure.build("gem", net(), sgd, memory=24, strength=strength)
    shaped = 0
    for _, step, before, after in steps(learner, stream()):
        if "GEM" not in step.references:
            assert torch.equal(before, after)
            continue
        rows = flat(step.references["GEM"], 1)
        if (rows @ before >= 0).all():
            assert torch.equal(before, after)
            continue
        shaped += 1
        assert (rows @ after).min() > -1e-5 * rows.norm() * after.norm()
        moved = before + strength * rows.sum(0)
        least, _ = nnls(rows.T.numpy(), -moved.numpy())
        torch.testing.assert_close(after, moved + torch.as_tensor(least) @ rows, atol=1e-5, rtol=1e-4)
    assert shaped > 5


def test_signs_of_zeros_stay_where_nothing_is_violated():
    part = GEM(PerExperience(4))
    grads = [torch.tensor([0.0, -0.0, 1.0])]
    part.transform(grads, [torch.tensor([[1.0, -1.0, 2.0], [0.0, 1.0, 0.0]])])
    assert difference([torch.tensor([0.0, -0.0, 1.0])], grads) is None


def test_gem_with_one_past_experience_is_agem_on_all_of_memory():
    def live(name, **options):
        learner = perdure.build(name, net(), sgd, memory=PerExperience(20), **options)
        return [after for *_, after in steps(learner, stream(experiences=2))]

    one, two = live("gem", strength=0.0), live("agem", draw=20)
    assert len(one) == len(two) == 16
    for a, b in zip(one, two, strict=True):
        torch.testing.assert_close(a, b, atol=1e-5, rtol=1e-4)
    plain = [after for *_, after in steps(perdure.build("finetune", net(), sgd), stream(experiences=2))]
    assert all(torch.equal(a, b) for a, b in zip(plain[:8], one[:8], strict=True))  # nothing is past yet
    assert not torch.allclose(plain[-1], one[-1], atol=1e-2)


@pytest.mark.parametrize("forward", ["separate", "joint"])
def test_agem_does_not_interfere_with_what_was_drawn(forward):
    learner, shaped = perdure.build("agem", net(), sgd, memory=24, draw=8, forward=forward), 0
    for index, step, before, after in steps(learner, stream()):
        assert ("reference" in step.segments) == (index > 0)
        if not index:
            assert torch.equal(before, after)
            continue
        segment = step.segments["reference"]
        loss = cross_entropy(
            learner.model(segment.batch.x).logits, segment.batch.y, step.allowed(segment.batch), reduction="mean"
        )
        r = flat(torch.autograd.grad(loss, list(step.params.values())))
        if r @ before >= 0:
            assert torch.equal(before, after)
        else:
            shaped += 1
            torch.testing.assert_close(after, before - (r @ before) / (r @ r) * r, atol=1e-6, rtol=1e-4)
            assert abs(r @ after) < 1e-5 * r.norm() * before.norm()
    assert shaped > 5


def test_agem_draws_from_as_many_as_its_capacity_has_room_for():
    """Not from one batch of each experience."""
    for capacity in (9, 30, 90):
        memory, references = PerExperience(capacity), set()
        learner = perdure.build("agem", net(), sgd, memory=memory, draw=9)
        for index, step, *_ in steps(learner, stream()):
            if index == 2:
                references |= {tuple(x.tolist()) for x in step.segments["reference"].batch.x}
        assert len(memory) == capacity
        assert sorted(map(len, memory.past())) == [capacity // 3] * 3
        assert len(references) > capacity / 3


def test_agem_without_boundaries_is_constrained_by_all_it_keeps():
    learner = perdure.build("agem", net(), sgd, memory=Reservoir(20), draw=8)
    seen = [
        "AGEM" in learner.observe(batch).references
        for batch in streams.task_free(stream()).experiences[0].data.batches(10)
    ]
    assert seen == [False] + [True] * (len(seen) - 1)


def test_batch_statistics_are_those_of_what_is_learnt():
    """The past goes through GEM's side pass in eval mode."""
    backbone = nn.Sequential(nn.Linear(8, 12), nn.BatchNorm1d(12), nn.ReLU())
    learner = perdure.build("gem", Network(backbone, LinearHead(12, 6)), sgd, memory=24)
    for _ in steps(learner, stream()):
        assert backbone[1].training
    assert int(backbone[1].num_batches_tracked) == learner.num_updates


def test_the_gradient_of_one_loss_leaves_the_graphs_of_the_others_alone():
    reached, weight = [], torch.ones(3, requires_grad=True)
    losses = []
    for k in range(4):
        middle = weight * (k + 1)
        middle.register_hook(lambda grad, k=k: None if grad is None else reached.append(k))
        losses.append(middle.sum())
    (grads,) = gradient(losses, [weight])
    assert grads.tolist() == [[k + 1] * 3 for k in range(4)]
    assert reached == [0, 1, 2, 3]


@pytest.mark.parametrize("name", ["gem", "agem"])
def test_a_gradient_that_is_not_finite_is_told(name):
    def broken(p):
        return torch.optim.SGD(p, lr=1e30)

    learner = perdure.build(name, net(), broken, memory=PerExperience(20), **({"draw": 8} if name == "agem" else {}))
    with pytest.raises(Diverged):
        for _ in steps(learner, stream()):
            pass


def test_gem_asks_for_a_memory_by_experience_and_a_strength_that_makes_sense():
    with pytest.raises(ValueError, match=r"Reservoir does not tell them apart: give memory=PerExperience"):
        perdure.build("gem", net(), sgd, memory=Reservoir(20))
    with pytest.raises(ValueError, match="strength=-1"):
        GEM(PerExperience(4), strength=-1)
    with pytest.raises(ValueError, match="strength=nan"):
        GEM(PerExperience(4), strength=float("nan"))


def test_the_past_has_one_place_in_a_saved_state():
    learner = perdure.build("gem", net(), sgd, memory=24)
    learner.begin(perdure.Experience(0, (0, 1)))
    learner.observe(Batch(torch.randn(4, 8), torch.tensor([0, 1, 0, 1])))
    assert learner.state_dict()["parts"]["GEM"] == {}
    assert AGEM(perdure.Draw("reference", PerExperience(4), 2)).state_dict() == {}


class Heated(nn.Module):
    """A model with a parameter that is a single number."""

    def __init__(self):
        super().__init__()
        self.layer, self.heat = nn.Linear(8, 6), nn.Parameter(torch.tensor(1.3))

    def forward(self, x):
        return self.heat * self.layer(x)


@pytest.mark.parametrize("name", ["gem", "agem"])
def test_a_parameter_that_is_one_number_is_a_parameter(name):
    torch.manual_seed(0)
    learner = perdure.build(name, Heated(), sgd, memory=PerExperience(32))
    held = 0
    for _, step, _, after in steps(learner, stream(experiences=2)):
        for references in step.references.values():
            rows = torch.cat([as_rows(r) if name == "gem" else r.flatten() for r in references], -1).double()
            assert float((rows @ after).min()) > -1e-6
            held += 1
    assert held


@pytest.mark.parametrize("name", ["gem", "agem"])
def test_processes_that_average_references_too_stay_equal(name):
    ranks = [perdure.build(name, net(), sgd, memory=PerExperience(40)) for _ in range(2)]
    for rank, learner in enumerate(ranks):
        learner.shard = (rank, 2)
        learner._set_seed(0)
    constrained = 0
    for experience in stream().experiences:
        for learner in ranks:
            learner.begin(experience)
        for batch in experience.data.batches(10):
            made = [learner.forward(batch.rows(torch.arange(rank, 10, 2))) for rank, learner in enumerate(ranks)]
            for step in made:
                step.loss.backward()
            average(*([p.grad for p in step.params.values()] for step in made))
            for part in made[0].references:
                average(*(step.references[part] for step in made))
                constrained += 1
            for learner, step in zip(ranks, made, strict=True):
                learner.shape_gradients(step)
                learner.optimizer.step()
                learner.after_step(step)
        for learner in ranks:
            learner.end()
    assert constrained
    assert difference(ranks[0].weights, ranks[1].weights) is None


def average(mine, theirs):
    """As ``all_reduce`` does."""
    for a, b in zip(mine, theirs, strict=True):
        mean = (a + b) / 2
        a.copy_(mean)
        b.copy_(mean)


def test_one_exemplar_that_is_past_is_refused_where_batch_normalization_is():
    backbone = nn.Sequential(nn.Linear(8, 12), nn.BatchNorm1d(12), nn.ReLU())
    learner = perdure.build("agem", Network(backbone, LinearHead(12, 6)), sgd, memory=3, draw=2)
    with pytest.raises(perdure.BadBatch, match="batch normalization cannot learn from one"):
        for _ in steps(learner, stream()):
            pass
