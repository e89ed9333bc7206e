"""Terms that keep classes apart and leave room for those to come."""

import itertools
import math

import pytest
import torch
from torch.nn.functional import normalize

from perdure import Batch, Experience, Output, Segment, Step
from perdure.checks import check_part
from perdure.gradients import SubnetTuning
from perdure.nn import EtfHead
from perdure.terms import PseudoClasses, SupervisedContrastive


def step_of(features, y, index=0, seen=None, experience=None):
    segment = Segment(Batch(features, y), Output(torch.zeros(len(y), 8), features))
    seen = torch.ones(8, dtype=torch.bool) if seen is None else seen
    return Step(index=index, experience=experience, segments={"current": segment}, params={}, seen=seen, all_seen=False)


def random(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def test_supervised_contrastive_is_equation_2():
    x, y = random(7, 4), torch.tensor([0, 1, 0, 2, 1, 0, 3])
    z, t = normalize(x, dim=1), 0.3
    terms = []
    for i in range(7):
        others = [a for a in range(7) if a != i]
        positives = [p for p in others if y[p] == y[i]]
        total = sum(math.exp(float(z[i] @ z[a]) / t) for a in others)
        if positives:
            terms.append(-sum(math.log(math.exp(float(z[i] @ z[p]) / t) / total) for p in positives) / len(positives))
    found = SupervisedContrastive(2.0, temperature=t).loss(step_of(x, y))
    assert float(found) == pytest.approx(2 * sum(terms) / len(terms))


def test_supervised_contrastive_of_strangers_is_nothing():
    assert SupervisedContrastive().loss(step_of(random(3, 4), torch.tensor([0, 1, 2]))) is None


def pseudo(num_virtual=5):
    head = EtfHead(4, 8).double()
    for c in range(3):
        head.admit(c, 0)
    part = PseudoClasses(head, num_virtual, weight=0.5)
    part.bind({}, Batch(random(1, 4), torch.zeros(1, dtype=torch.int64), stored={"features": random(1, 4)}), 8)
    return part, head


def test_pseudo_classes_by_hand():
    part, head = pseudo()
    seen = torch.tensor([1, 1, 1, 0, 0, 0, 0, 0], dtype=torch.bool)
    x, y = random(2, 4, seed=3), torch.tensor([2, 0])
    found = [part.loss(step_of(x, y, index, seen)) for index in range(12)]  # either they are mixed, or none is
    middle = normalize(x.sum(0), dim=0)
    logits = 16 * torch.cat([head.vertices[:3], part.directions]) @ middle
    expected = -0.5 * float(logits.log_softmax(0)[3 + (0 * 7919 + 2) % 5])
    mixed = [float(loss) for loss in found if loss is not None]
    assert 0 < len(mixed) < len(found)
    assert mixed == pytest.approx([expected] * len(mixed))


def test_pseudo_classes_of_a_pair_are_one_whatever_the_order():
    part, _ = pseudo(num_virtual=64)
    pairs = {tuple(sorted(p)): (min(p) * 7919 + max(p)) % 64 for p in itertools.permutations(range(3), 2)}
    assert len(set(pairs.values())) == 3
    x = random(2, 4)
    one = {part.loss(step_of(x, torch.tensor([1, 2]), i)) for i in range(9)} - {None}
    other = {part.loss(step_of(x, torch.tensor([2, 1]), i)) for i in range(9)} - {None}
    assert {round(float(v), 9) for v in one} == {round(float(v), 9) for v in other}


def test_pseudo_classes_are_for_the_first_experience():
    part, _ = pseudo()
    x, y = random(6, 4), torch.tensor([0, 1, 2, 0, 1, 2])
    assert part.loss(step_of(x, y, experience=Experience(0, (0, 1, 2)))) is not None
    assert part.loss(step_of(x, y, experience=Experience(1, (3,)))) is None


def test_subnet_keeps_all_but_the_smallest_weights():
    weights = {"w": torch.tensor([[3.0, -0.1], [0.2, -4.0]]), "b": torch.tensor([0.0, 1.0])}
    part = SubnetTuning(share=0.5)
    part.bind(weights, Batch(torch.zeros(1, 2), torch.zeros(1, dtype=torch.int64)), 2)

    def shaped():
        grads = [torch.ones_like(p) for p in weights.values()]
        part.transform(grads, None)
        return [g.tolist() for g in grads]

    assert shaped() == [[[1, 1], [1, 1]], [1, 1]]
    part.after_experience(None)
    assert shaped() == [[[0, 1], [1, 0]], [0, 0]]
    weights["w"].fill_(1.0)
    part.after_experience(None)  # chosen once
    assert shaped() == [[[0, 1], [1, 0]], [0, 0]]


@pytest.mark.parametrize(
    "make", [lambda: SupervisedContrastive(), lambda: SubnetTuning(0.3)], ids=["contrastive", "subnet"]
)
def test_parts_keep_their_promises(make):
    check_part(make)


@pytest.mark.parametrize(
    ("call", "match"),
    [
        (lambda: SupervisedContrastive(temperature=0), "temperature=0"),
        (lambda: SubnetTuning(1.5), "share=1.5"),
        (lambda: PseudoClasses(EtfHead(3, 2), 0), "num_virtual=0"),
        (lambda: EtfHead(1, 2), "two features"),
    ],
)
def test_bad_arguments(call, match):
    with pytest.raises(ValueError, match=match):
        call()
