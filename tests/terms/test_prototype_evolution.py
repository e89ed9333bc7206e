"""CoPE: the pseudo-prototypical proxy loss and its prototypes, against a plain re-computation."""

import math

import pytest
import torch
from torch.nn.functional import normalize

import perdure
from perdure import Batch, Draw, Experience, Learner
from perdure.checks import check_part
from perdure.functional.pseudo_prototypes import log_sum_of_others, proxy_loss
from perdure.memory import ClassBalanced
from perdure.nn import embedded, linear, mlp
from perdure.terms import PseudoPrototypicalProxy


def random(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def probability(x, proxy, label, prototypes, classes, temperature):
    """P(label | x; proxy), against the prototypes of ``classes`` but that of ``label``."""
    own = math.exp(float(x @ proxy) / temperature)
    return own / (own + sum(math.exp(float(x @ prototypes[k]) / temperature) for k in classes if k != label))


def by_hand(x, y, prototypes, classes, temperature):
    """Example by example; ``classes`` are those whose prototypes count, for each example."""
    labels, total = y.tolist(), 0.0
    for i, c in enumerate(labels):
        proxies = [prototypes[c], *(x[j] for j in range(len(y)) if j != i and labels[j] == c)]
        chances = [probability(x[i], q, c, prototypes, classes[i], temperature) for q in proxies]
        total += math.log(sum(chances) / len(chances))
        for j, k in enumerate(labels):
            if k != c and c in classes[j]:
                by = [probability(x[j], q, c, prototypes, classes[j], temperature) for q in (x[i], prototypes[c])]
                total += math.log(1 - sum(by) / 2)
    return -total / len(y)


@pytest.mark.parametrize("temperature", [1.0, 0.1])
def test_the_loss_is_that_of_a_plain_double_loop(temperature):
    x, y = normalize(random(9, 5), dim=1), torch.tensor([0, 1, 0, 3, 1, 0, 3, 3, 1])
    prototypes = normalize(random(5, 5, seed=1), dim=1)
    known = torch.tensor([True, True, True, True, False])
    found = proxy_loss(x, y, prototypes, known, temperature=temperature)
    assert float(found) == pytest.approx(by_hand(x, y, prototypes, [range(4)] * 9, temperature))


def test_where_tasks_are_told_only_prototypes_of_the_own_task_count():
    x, y = normalize(random(6, 5), dim=1), torch.tensor([0, 1, 2, 3, 3, 0])
    prototypes = normalize(random(4, 5, seed=1), dim=1)
    own = y[:, None] // 2 == torch.arange(4) // 2
    classes = [[c for c in range(4) if c // 2 == label // 2] for label in y.tolist()]
    found = proxy_loss(x, y, prototypes, own, temperature=0.5)
    assert float(found) == pytest.approx(by_hand(x, y, prototypes, classes, 0.5))


def test_gradients_are_those_of_the_loop_with_attracting_examples_held():
    x = random(5, 4).requires_grad_()
    y, prototypes, known = torch.tensor([0, 1, 0, 1, 1]), normalize(random(2, 4, seed=1), dim=1), torch.ones(2).bool()

    def pull_and_push(x, held):
        scores = torch.exp(x @ prototypes.T / 0.5)
        total = x.new_zeros(())
        for i, c in enumerate(y.tolist()):
            proxies = [prototypes[c], *(held[j] for j in range(5) if j != i and y[j] == c)]
            chances = [torch.exp(x[i] @ q / 0.5) for q in proxies]
            total = total + torch.stack([v / (v + scores[i, 1 - c]) for v in chances]).mean().log()
            for j in range(5):
                if y[j] != c:
                    by = [torch.exp(x[j] @ q / 0.5) for q in (x[i], prototypes[c])]
                    total = total + (1 - sum(v / (v + scores[j, 1 - c]) for v in by) / 2).log()
        return -total / 5

    (expected,) = torch.autograd.grad(pull_and_push(x, x.detach()), x)
    (found,) = torch.autograd.grad(proxy_loss(x, y, prototypes, known, temperature=0.5), x)
    torch.testing.assert_close(found, expected)


def test_the_sum_of_others_keeps_its_digits_where_one_is_far_above():
    scores = torch.tensor([[80.0, 1.0, -3.0, 50.0], [5.0, 5.0, 0.0, 9.0]], dtype=torch.float32)
    allowed = torch.tensor([True, True, True, False])
    rows = [[scores[i, k].double() for k in range(3)] for i in range(2)]
    expected = [[torch.stack([v for k, v in enumerate(row) if k != c]).logsumexp(0) for c in range(3)] for row in rows]
    torch.testing.assert_close(log_sum_of_others(scores, allowed)[:, :3].double(), torch.tensor(expected).double())


def test_one_class_alone_teaches_nothing_and_gradients_are_numbers():
    x = normalize(random(3, 4), dim=1).requires_grad_()
    known = torch.tensor([False, True, False])
    loss = proxy_loss(x, torch.ones(3, dtype=torch.int64), normalize(random(3, 4), dim=1), known, temperature=0.1)
    (grad,) = torch.autograd.grad(loss, x)
    assert float(loss.detach()) == 0
    assert not grad.any()


def sgd(params):
    return torch.optim.SGD(params, lr=0.05)


def batch(number, classes, size=8):
    generator = torch.Generator().manual_seed(number)
    y = torch.tensor(classes)[torch.randint(len(classes), (size,), generator=generator)]
    return Batch(torch.randn(size, 5, generator=generator, dtype=torch.float64) + y[:, None], y)


def test_prototypes_follow_the_means_of_batches_at_length_1():
    torch.manual_seed(0)
    draw = Draw("replay", ClassBalanced(20), 6)
    part = PseudoPrototypicalProxy(draw, momentum=0.8)
    learner = Learner(embedded(mlp((5,), 4, hidden=(6,)).double(), 3), sgd, [part])
    expected: dict[int, torch.Tensor] = {}
    for number in range(8):
        step = learner.observe(batch(number, [0, 1] if number < 4 else [1, 2]))
        both = [step.segments[name] for name in step.segments]
        x = normalize(torch.cat([s.output.features for s in both]).detach(), dim=1)
        y = torch.cat([s.batch.y for s in both])
        for c in set(y.tolist()):
            mean = x[y == c].mean(0)
            moved = mean if c not in expected else 0.8 * expected[c] + 0.2 * mean
            expected[c] = moved / moved.norm()
    assert part.known.tolist() == [True, True, True, False]
    torch.testing.assert_close(part.prototypes[:3], torch.stack([expected[c] for c in range(3)]))
    assert len(step.segments["replay"].batch) == 6
    loss = by_hand(x, y, part.prototypes, [range(3)] * len(y), 0.1)
    assert abs(loss - float(step.loss.detach())) > 1e-9  # prototypes of before the update are in the loss
    learner.model.eval()
    cosines = normalize(learner.model(batch(9, [0]).x).features, dim=1) @ part.prototypes[:3].T
    learner.model.train()
    torch.testing.assert_close(learner.logits(batch(9, [0]).x)[:, :3], cosines)


def test_a_class_admitted_but_not_met_is_not_answered():
    part = PseudoPrototypicalProxy(Draw("replay", ClassBalanced(20), 6))
    learner = Learner(embedded(mlp((5,), 4, hidden=(6,)).double(), 3), sgd, [part])
    learner.begin(Experience(0, (0, 1, 2)))
    learner.observe(batch(0, [0, 1]))
    assert not (learner.predict(batch(1, [0, 1], 40).x) == 2).any()


def test_a_new_class_counts_as_a_prototype_in_its_first_loss():
    torch.manual_seed(0)
    part = PseudoPrototypicalProxy(Draw("replay", ClassBalanced(20), 6))
    learner = Learner(embedded(linear((5,), 4).double(), 3), sgd, [part])
    step = learner.forward(batch(0, [0, 1]))
    x = normalize(step.segments["current"].output.features.detach(), dim=1)
    y = step.segments["current"].batch.y
    means = torch.stack([normalize(x[y == c].mean(0), dim=0) for c in (0, 1)])
    assert float(step.loss.detach()) == pytest.approx(by_hand(x, y, means, [range(2)] * len(y), 0.1))


def test_it_learns_and_answers_under_autocast():
    torch.manual_seed(0)
    part = PseudoPrototypicalProxy(Draw("replay", ClassBalanced(20), 6))
    learner = Learner(embedded(mlp((5,), 4, hidden=(6,)), 3), sgd, [part])
    for number in range(2):
        given = batch(number, [0, 1])
        with torch.autocast("cpu", dtype=torch.bfloat16):
            step = learner.forward(Batch(given.x.float(), given.y))
        step.loss.backward()
        learner.shape_gradients(step)
        learner.optimizer.step()
        learner.after_step(step)
    assert part.prototypes.dtype == torch.float32
    torch.testing.assert_close(part.prototypes[:2].norm(dim=1), torch.ones(2))
    x = batch(9, [0, 1]).x.float()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        low = learner.logits(x)[:, :2]
    torch.testing.assert_close(low.float(), learner.logits(x)[:, :2], atol=0.05, rtol=0)


def test_part_keeps_its_promises():
    check_part(lambda: PseudoPrototypicalProxy(Draw("replay", ClassBalanced(20), 6)))


@pytest.mark.parametrize(
    ("call", "match"),
    [
        (lambda draw: PseudoPrototypicalProxy(draw, temperature=0), "temperature=0"),
        (lambda draw: PseudoPrototypicalProxy(draw, momentum=1.0), "momentum=1.0"),
        (lambda draw: embedded(mlp((5,), 4), 0), "size=0"),
        (lambda draw: perdure.build("cope", torch.nn.Linear(5, 4), sgd, memory=20), "split"),
    ],
)
def test_bad_arguments(call, match):
    with pytest.raises(ValueError, match=match):
        call(Draw("replay", ClassBalanced(20), 6))
