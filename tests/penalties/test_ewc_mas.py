"""Importances of EWC and MAS at the end of an experience equal what autograd says example by example."""

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from perdure import Batch, Experience, Learner
from perdure.checks import check_part
from perdure.nn import LinearHead, Network
from perdure.penalties import EWC, L2, MAS
from perdure.streams import ArrayData
from perdure.terms import CrossEntropy

CLASSES = 6


def network():
    """With dropout and batch statistics, which a look at the data must neither use nor move."""
    torch.manual_seed(0)
    layers = [nn.Conv1d(1, 3, 3), nn.BatchNorm1d(3), nn.ReLU(), nn.Dropout(0.5), nn.Flatten()]
    return Network(nn.Sequential(*layers, nn.Linear(12, 7), nn.Tanh()), LinearHead(7, CLASSES)).double()


def experience(index, told=False, n=23):
    random = torch.Generator().manual_seed(index)
    x = torch.randn(n, 1, 6, generator=random).double()
    y = torch.randint(2, (n,), generator=random) + 2 * index
    task = index if told else None
    return Experience(index, (2 * index, 2 * index + 1), ArrayData(x, y, task=task), task=task)


def learn(part, count=1, told=False, seed=0):
    """``count`` experiences; what was asked of each is left to the test."""
    learner = Learner(network(), lambda p: torch.optim.SGD(p, lr=0.05), [CrossEntropy(), part], seed=seed)
    for index in range(count):
        opened = experience(index, told)
        learner.begin(opened)
        for batch in opened.data.batches(8):
            learner.observe(batch)
        if index < count - 1:
            learner.end()
    return learner, opened


def by_hand(learner, opened, allowed, value):
    """The sum over examples of what ``value(params' gradients)`` makes of each score, in eval mode."""
    model = learner.model.eval()
    params = list(learner.params.values())
    total = [torch.zeros_like(p) for p in params]
    for batch in opened.data.batches(1):
        logits = model(batch.x).logits[0, allowed]
        for weight, score, what in value(logits, batch.y):
            grads = torch.autograd.grad(score, params, retain_graph=True)
            for mine, g in zip(total, grads, strict=True):
                mine += weight * what(g)
    model.train()
    return total


def log_likelihoods(labels):
    def value(logits, y):
        logs = F.log_softmax(logits, 0)
        chances = logs.detach().exp().tolist()
        chosen = {"expectation": range(len(logs)), "predicted": [int(logs.argmax())], "true": [int(y)]}[labels]
        return [(chances[i] if labels == "expectation" else 1.0, logs[i], torch.square) for i in chosen]

    return value


def close(found, expected):
    for one, other in zip(found, expected, strict=True):
        torch.testing.assert_close(one, other)


@pytest.mark.parametrize("labels", ["expectation", "predicted", "true"])
@pytest.mark.parametrize("fisher_batch", [1, 9, 128])
def test_fisher_information_is_the_mean_over_examples_however_batched(labels, fisher_batch):
    part = EWC(0.0, labels=labels, fisher_batch=fisher_batch)
    learner, opened = learn(part)
    learner.end()
    expected = by_hand(learner, opened, slice(0, 2), log_likelihoods(labels))
    close(part.importance, [each / 23 for each in expected])
    head = part.importance[list(learner.params).index("head.weight")]
    assert bool(head[:2].any())
    assert not head[2:].any()  # classes that were not seen


def test_only_classes_of_the_task_answer_where_tasks_are_told():
    part = EWC(0.0)
    learner, opened = learn(part, 2, told=True)
    before = [each.clone() for each in part.importance]
    learner.end()
    expected = by_hand(learner, opened, slice(2, 4), log_likelihoods("expectation"))
    close(part.importance, [b + each / 23 for b, each in zip(before, expected, strict=True)])


def test_sampled_labels_are_addressed_by_the_seed():
    runs = []
    for seed in (0, 0, 1):
        part = EWC(0.0, labels="sampled")
        learner, _ = learn(part)
        learner._set_seed(seed)
        learner.end()
        runs.append(part.importance)
    assert all(torch.equal(a, b) for a, b in zip(runs[0], runs[1], strict=True))
    assert not all(torch.equal(a, b) for a, b in zip(runs[0], runs[2], strict=True))


def test_the_same_few_examples_are_looked_at_however_batched():
    small, large = EWC(0.0, samples=5, fisher_batch=2), EWC(0.0, samples=5)
    for part in (small, large):
        learn(part)[0].end()
    close(small.importance, large.importance)


def test_samples_are_a_random_few_and_the_mean_is_over_them():
    everything, some, one = EWC(0.0), EWC(0.0, samples=23), EWC(0.0, samples=1)
    for part in (everything, some, one):
        learn(part)[0].end()
    close(some.importance, everything.importance)
    assert not torch.allclose(one.importance[0], everything.importance[0])
    learner, opened = learn(EWC(0.0))
    for row in opened.data.batches(1):  # one example's Fisher information, whichever it was
        single = Experience(0, (0, 1), ArrayData(row.x, row.y))
        found = by_hand(learner, single, slice(0, 2), log_likelihoods("expectation"))
        if torch.allclose(found[0], one.importance[0]):
            break
    else:
        raise AssertionError("samples=1 is the Fisher information of no example")


def test_batches_as_published_square_the_gradient_of_the_mean():
    """Over all of the data as one batch; with batches of one it is the Fisher information of predicted labels."""
    whole, single, exact = (
        EWC(0.0, fisher="batch", labels="predicted", fisher_batch=23),
        EWC(0.0, fisher="batch", labels="predicted", fisher_batch=1),
        EWC(0.0, labels="predicted"),
    )
    for part in (whole, single, exact):
        learner, opened = learn(part)
        learner.end()
    (batch,) = opened.data.batches(23)
    model = learner.model.eval()
    logits = model(batch.x).logits[:, :2]
    grads = torch.autograd.grad(F.cross_entropy(logits, logits.argmax(1)), list(learner.params.values()))
    close(whole.importance, [23 * g**2 for g in grads])
    close(single.importance, exact.importance)


def lengths(logits, y):
    return [(1.0, logits.square().sum(), torch.abs)]


def test_mas_is_the_mean_absolute_gradient_of_the_squared_length_and_adds_up():
    part = MAS(0.0, batch=9)
    learner, opened = learn(part)
    learner.end()
    first = by_hand(learner, opened, slice(0, 2), lengths)
    close(part.importance, [each / 23 for each in first])
    opened = experience(1)
    learner.begin(opened)
    for batch in opened.data.batches(8):
        learner.observe(batch)
    learner.end()
    second = by_hand(learner, opened, slice(0, 4), lengths)
    close(part.importance, [(a + b) / 23 for a, b in zip(first, second, strict=True)])
    anchors = [a * p.detach() for a, p in zip(part.importance, learner.params.values(), strict=True)]
    close(part.pull, anchors)  # of all importance at the latest parameters


@pytest.mark.parametrize(("norm", "divided"), [("sum", 1), ("mean", 2)])
def test_mas_of_batches_as_published(norm, divided):
    part = MAS(0.0, gradients="batch", norm=norm, batch=23)
    learner, opened = learn(part)
    learner.end()
    (batch,) = opened.data.batches(23)
    squares = learner.model.eval()(batch.x).logits[:, :2].square().sum(1).mean() / divided
    close(part.importance, [g.abs() for g in torch.autograd.grad(squares, list(learner.params.values()))])


@pytest.mark.parametrize("online", [False, True])
def test_l2_has_importance_one(online):
    part = L2(2.0, online=online)
    learner, _ = learn(part, 3)
    learner.end()
    assert all(bool((each == (1 if online else 3)).all()) for each in part.importance)


@pytest.mark.parametrize(
    "make",
    [
        lambda: EWC(1.0),
        lambda: EWC(1.0, fisher="batch", labels="true"),
        lambda: MAS(1.0),
        lambda: MAS(1.0, gradients="batch"),
    ],
)
def test_a_look_at_the_data_leaves_the_model_alone(make):
    learner, _ = learn(make())
    grads = [p.grad.clone() for p in learner.params.values()]
    before = {name: value.clone() for name, value in learner.model.state_dict().items()}
    norm = learner.model.backbone[1]
    learner.end()
    assert all(torch.equal(before[name], value) for name, value in learner.model.state_dict().items())
    assert int(norm.num_batches_tracked) == 3
    assert norm.training
    assert all(torch.equal(g, p.grad) for g, p in zip(grads, learner.params.values(), strict=True))


def test_online_decays_what_was_important():
    online, summed = EWC(0.0, online=True, decay=0.5), EWC(0.0)
    learner, _ = learn(online, 2)
    before = [each.clone() for each in online.importance]
    learner.end()
    other, _ = learn(summed, 2)
    earlier = [each.clone() for each in summed.importance]
    other.end()
    close(before, earlier)
    close(online.importance, [s - e / 2 for s, e in zip(summed.importance, earlier, strict=True)])
    anchors = [a * p.detach() for a, p in zip(online.importance, learner.params.values(), strict=True)]
    close(online.pull, anchors)


def test_an_experience_without_data_is_refused_before_it_is_learnt():
    learner = Learner(network(), lambda p: torch.optim.SGD(p, lr=0.05), [CrossEntropy(), EWC(1.0)])
    with pytest.raises(ValueError, match="data"):
        learner.begin(Experience(0, (0, 1)))


def test_the_penalty_holds_a_learner_back():
    """Without data that say otherwise a step leads back to the anchor, however the gradient came about."""
    part = EWC(1.0)
    learner, _ = learn(part)
    learner.end()
    x = torch.randn(4, 1, 6).double()
    step = learner.forward(Batch(x, torch.tensor([0, 1, 0, 1])))
    step.loss.backward()
    before = [p.grad.clone() for p in learner.params.values()]
    with torch.no_grad():
        for p in learner.params.values():
            p += 0.1
    learner.shape_gradients(step)
    for p, g, f in zip(learner.params.values(), before, part.importance, strict=True):
        torch.testing.assert_close(p.grad, g + 0.1 * f)


def test_all_forms_keep_every_promise():
    check_part(
        lambda: [
            EWC(1.0, labels="sampled", online=True, decay=0.9, samples=5, name="a"),
            EWC(1.0, fisher="batch", labels="true", fisher_batch=4, name="b"),
            MAS(0.1, gradients="batch", norm="mean", batch=4),
            L2(0.01, online=True),
        ]
    )
