"""GSS: scores against per-example autograd, placement against algorithm 2 written out, promises of memories."""

import copy

import numpy as np
import pytest
import torch
from torch import nn

import perdure
from perdure import Batch, streams
from perdure._random import generator
from perdure.checks import check_memory
from perdure.functional.masking import cross_entropy
from perdure.memory import GSS
from perdure.memory._choose import choose
from perdure.nn import LinearHead, Network, Normalize

CLASSES = 5


def network(width=4):
    torch.manual_seed(0)
    scale = Normalize(torch.zeros(width), torch.full((width,), 30.0))
    backbone = nn.Sequential(scale, nn.Linear(width, 8), nn.BatchNorm1d(8), nn.Tanh(), nn.Dropout(0.5))
    return Network(backbone, LinearHead(8, 2 * CLASSES))


def memory(capacity, seed=0, **options):
    made = GSS(capacity, **options)
    made.seed = seed
    model = network()
    for label in range(CLASSES):
        model.admit(label, 0)
    made.join(model)
    return made


def bound(*args, **options):
    made = memory(*args, **options)
    made.bind({}, stream(1), CLASSES)
    return made


def stream(length):
    x = torch.randn(length, 4, generator=generator(0, "test/gss/x"))
    return Batch(30 * x, torch.randint(CLASSES, (length,), generator=generator(0, "test/gss/y")))


def write(made, batch, size=7):
    for rows in torch.split(torch.arange(len(batch)), size):
        made.write(batch.rows(rows), allowed)
    return made


def allowed(batch):
    return torch.arange(2 * CLASSES) < CLASSES


def gradient(model, x, y):
    """Of one example's cross entropy, by autograd, in eval mode."""
    model.eval()
    loss = cross_entropy(model(x[None]).logits, y[None], allowed(None))
    grads = torch.autograd.grad(loss.sum(), [p for p in model.parameters() if p.requires_grad])
    model.train()
    return torch.cat([g.flatten() for g in grads]).double()


def by_hand(made, batch):
    """Algorithm 2 written out example by example: which stream position each slot holds, and its score."""
    slots, scores, gs = [], [], [gradient(made.model, x, y) for x, y in zip(batch.x, batch.y, strict=True)]
    for position, g in enumerate(gs):
        random = generator(made.seed, f"{made.name}/luck", position)
        rivals = choose(len(slots), min(made.samples, len(slots)), random).tolist()
        which, whether = torch.rand(2, dtype=torch.float64, generator=random).tolist()
        score = max([float(g @ gs[slots[i]] / g.norm() / gs[slots[i]].norm()) + 1 for i in rivals], default=1.0)
        if len(slots) < made.capacity:
            slots.append(position)
            scores.append(score)
        elif score < 1:
            chance = np.cumsum(scores) / sum(scores)
            i = int((chance <= which).sum())
            if whether < scores[i] / (scores[i] + score):
                slots[i], scores[i] = position, score
    return slots, scores


@pytest.mark.parametrize(("samples", "capacity"), [(1, 6), (3, 6), (10, 20)])
def test_it_is_algorithm_2(samples, capacity):
    batch = stream(150)
    made = write(bound(capacity, samples=samples), batch)
    slots, scores = by_hand(made, batch)
    assert torch.equal(made.contents().x, batch.x[slots])
    assert torch.equal(made.contents().y, batch.y[slots])
    np.testing.assert_allclose(made.score.numpy(), scores, atol=1e-5)
    assert max(slots) > capacity + 20  # examples were exchanged
    assert len(set(slots)) == len(slots) == capacity


def test_examples_within_a_batch_meet_those_before_them():
    """However the stream is cut, while the weights stay."""
    batch = stream(90)
    one = write(bound(12), batch, 1)
    for size in (4, 90):
        other = write(bound(12), batch, size)
        assert torch.equal(one.contents().x, other.contents().x)
        torch.testing.assert_close(one.score, other.score, atol=1e-6, rtol=1e-5)


def test_it_keeps_the_promises_of_memories():
    check_memory(
        lambda: memory(10),
        exclude={"state_is_complete": "the last bits of scores depend on how many examples are compared at once"},
    )


def test_a_state_loaded_goes_on_to_the_bit():
    batch = stream(120)
    one = write(bound(9), batch)
    half = write(bound(9), batch.rows(torch.arange(63)))
    again = write(bound(9, seed=5), stream(30))
    again.load_state_dict(half.state_dict())
    again.seed = 0
    write(again, batch.rows(torch.arange(63, 120)))
    for name, value in one.state_dict().items():
        assert torch.equal(value, again.state_dict()[name])


def test_writing_leaves_the_model_alone():
    made = bound(10)
    before = copy.deepcopy(made.model.state_dict())
    write(made, stream(60))
    assert made.model.training
    assert all(torch.equal(value, before[name]) for name, value in made.model.state_dict().items())
    assert all(p.grad is None for p in made.model.parameters())


def test_diverse_gradients_stay():
    """Of a hundred examples that are all but equal and four that oppose them, the four are kept."""
    x = torch.cat([torch.ones(50, 4), torch.tensor([[-1.0, 2.0, 0.5, 1.0]] * 4)]) * 30
    x = x + torch.randn(54, 4, generator=generator(0, "test/gss/noise"))
    y = torch.cat([torch.zeros(50, dtype=torch.int64), torch.tensor([1, 2, 3, 4])])
    kept = []
    for seed in range(10):
        made = write(bound(8, seed), Batch(x, y))
        kept.append((made.contents().y > 0).sum().item())
    assert np.mean(kept) > 1.2  # 4 * 8 / 54 = 0.6 in a reservoir


def test_a_learner_with_it_can_be_copied_and_counts_its_forwards():
    x = torch.randn(60, 4, generator=generator(0, "test/gss"))
    made = streams.class_incremental((x, torch.arange(60) % 4), experiences=2, holdout=1 / 5)
    learner = perdure.build("gss", network(), lambda p: torch.optim.SGD(p, lr=0.1), memory=10, draw=5)
    perdure.run(learner, made, batch_size=6, evaluate_every=0)
    twin = copy.deepcopy(learner)
    batch = Batch(torch.randn(6, 4), torch.arange(6) % 4)
    for each in (learner, twin):
        each.observe(batch)
    assert torch.equal(learner.parts[-1].contents().x, twin.parts[-1].contents().x)
    assert learner.parts[-1].forwards == 2


def test_it_compares_with_one_at_least():
    with pytest.raises(ValueError, match="samples=0"):
        GSS(10, samples=0)
