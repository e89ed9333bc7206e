"""Averages of weights over time, and consistency with them (CLS-ER)."""

import pytest
import torch
from torch.nn.functional import normalize, softmax

import perdure
from perdure import Batch, Draw, Learner
from perdure.averaging import AnsweringAverage, Consistency, MovingAverage
from perdure.checks import check_part
from perdure.memory import Reservoir
from perdure.nn import NearestMeanOfExemplars, mlp
from perdure.terms import CrossEntropy


def sgd(params):
    return torch.optim.SGD(params, lr=0.2)


def network():
    torch.manual_seed(0)
    return mlp((5,), 4, hidden=(7,), dropout=0.3).double()


def batch(number: int, size: int = 6) -> Batch:
    random = torch.Generator().manual_seed(number)
    return Batch(
        torch.randn(size, 5, generator=random, dtype=torch.float64), torch.randint(4, (size,), generator=random)
    )


def weights(learner: Learner) -> list[torch.Tensor]:
    return [p.detach().clone() for p in learner.model.parameters()]


@pytest.mark.parametrize("decay", [0.0, 0.6, 0.999])
def test_the_average_is_its_closed_form(decay):
    part = MovingAverage(decay)
    learner = Learner(network(), sgd, [CrossEntropy(), part])
    path = [weights(learner)]
    for number in range(8):
        learner.observe(batch(number))
        path.append(weights(learner))
    shares = [min(1 - 1 / (t + 1), decay) for t in range(1, 9)]
    expected = path[0]
    for share, point in zip(shares, path[1:], strict=True):
        expected = [share * mean + (1 - share) * now for mean, now in zip(expected, point, strict=True)]
    found = [part.average.tensors()[name] for name, _ in learner.model.named_parameters()]
    torch.testing.assert_close(found[:2], expected[:2])  # the head's rows began as zeros


def test_while_it_warms_up_it_is_the_mean_of_what_the_model_has_been():
    part = MovingAverage(0.999)
    learner = Learner(network(), sgd, [CrossEntropy(), part])
    path = [weights(learner)[0]]
    for number in range(10):
        learner.observe(batch(number))
        path.append(weights(learner)[0])
    torch.testing.assert_close(part.average.tensors()["backbone.1.weight"], torch.stack(path).mean(0))


def updates(seed: int, sizes: list[int], frequency: float = 0.5, name: str | None = None) -> list[bool]:
    """Whether each update changed the average."""
    part = MovingAverage(0.9, frequency, name=name)
    learner = Learner(network(), sgd, [CrossEntropy(), part], seed=seed)
    changed = []
    for number, size in enumerate(sizes):
        before = {k: v.clone() for k, v in part.average.tensors().items()}
        learner.observe(batch(number, size))
        after = part.average.tensors()
        changed.append(any(not torch.equal(after[k], v) for k, v in before.items()) if before else None)
    return changed[1:]


def test_which_updates_count_depends_on_seed_name_and_number_alone():
    found = updates(0, [6] * 41)
    assert found == updates(0, [3, 9] * 20 + [5])
    assert found != updates(1, [6] * 41)
    assert found != updates(0, [6] * 41, name="another")
    assert 0.2 < sum(found) / len(found) < 0.8
    assert all(updates(0, [6] * 12, frequency=1.0))


def test_the_answer_is_that_of_the_average():
    part = AnsweringAverage(0.9)
    learner = Learner(network(), sgd, [CrossEntropy(), part])
    for number in range(5):
        learner.observe(batch(number))
    x = batch(9).x
    learner.model.eval()
    plain = learner.model(x).logits
    learner.model.train()
    torch.testing.assert_close(learner.logits(x), part.ask(x).logits)
    assert not torch.allclose(learner.logits(x), plain)


def test_means_of_exemplars_are_those_of_the_average_that_answers():
    memory, average = Reservoir(9), AnsweringAverage(0.9)
    learner = Learner(network(), sgd, [CrossEntropy(), NearestMeanOfExemplars(memory), average, memory])
    for number in range(5):
        learner.observe(batch(number))
    kept, x = memory.contents(), batch(9).x
    features = normalize(average.ask(kept.x).features, dim=1)
    known = kept.y.unique()
    means = normalize(torch.stack([features[kept.y == c].mean(0) for c in known]), dim=1)
    wanted = normalize(average.ask(x).features, dim=1) @ means.T
    torch.testing.assert_close(learner.logits(x)[:, known], wanted)
    learner.observe(batch(5))
    assert not torch.allclose(learner.logits(x)[:, known], wanted)


def consistent(weight: float = 0.7) -> tuple[Learner, Consistency, MovingAverage, MovingAverage]:
    draw = Draw("replay", Reservoir(30), 6)
    fast, slow = MovingAverage(0.3, name="fast"), MovingAverage(0.95, name="slow")
    term = Consistency(draw, slow, fast, weight=weight)
    return Learner(network(), sgd, [CrossEntropy(draw, current=True), term, fast, slow]), term, fast, slow


def test_consistency_is_with_the_average_that_is_surer_of_the_own_class():
    learner, term, fast, slow = consistent()
    for number in range(6):
        learner.observe(batch(number))
    step = learner.forward(batch(7))
    segment = step.segments["replay"]
    total, chosen = 0.0, set()
    for row, (x, y) in enumerate(zip(segment.batch.x, segment.batch.y.tolist(), strict=True)):
        said = [part.ask(x[None]).logits[0] for part in (slow, fast)]
        sure = [float(softmax(logits, 0)[y]) for logits in said]
        chosen.add(sure.index(max(sure)))
        own = segment.output.logits[row].detach()
        total += float((own - said[sure.index(max(sure))]).square().sum())
    assert chosen == {0, 1}
    assert float(step.losses[term.name].detach()) == pytest.approx(0.7 * total / (6 * 4))


def test_consistency_with_the_model_itself_is_zero():
    torch.manual_seed(0)
    net = mlp((5,), 4, hidden=(7,)).double()
    draw = Draw("replay", Reservoir(30), 6)
    averages = [MovingAverage(0.0, name="fast"), MovingAverage(0.0, name="slow")]
    term = Consistency(draw, *averages, weight=1.0)
    learner = Learner(net, sgd, [CrossEntropy(draw, current=True), term, *averages])
    for number in range(4):
        step = learner.observe(batch(number))
    assert float(step.losses[term.name].detach()) == pytest.approx(0, abs=1e-25)


def test_no_gradient_goes_through_the_averages():
    learner, term, *_ = consistent()
    learner.observe(batch(0))
    step = learner.forward(batch(1))
    out = step.segments["replay"].output.logits
    (grad,) = torch.autograd.grad(step.losses[term.name], out, retain_graph=True)
    best = out.detach() - grad * out.numel() / (2 * 0.7)
    assert float(step.losses[term.name].detach()) == pytest.approx(0.7 * float((out.detach() - best).square().mean()))


def test_cls_er_asks_both_averages_once():
    learner = perdure.build("cls_er", network(), sgd, memory=20, draw=6)
    assert sum(part.forwards for part in learner.parts) == 2


def test_parts_keep_their_promises():
    def make():
        draw = Draw("replay", Reservoir(20), 5)
        fast, stable = MovingAverage(0.9, name="fast"), AnsweringAverage(0.99, 0.6, name="stable")
        return [Consistency(draw, stable, fast, weight=0.3), fast, stable]

    check_part(make)


@pytest.mark.parametrize(
    ("call", "match"),
    [
        (lambda: MovingAverage(1.0), "decay=1.0"),
        (lambda: MovingAverage(0.9, 0.0), "frequency=0.0"),
        (lambda: Consistency(Draw("replay", Reservoir(20), 5), weight=1.0), "give it an average"),
    ],
)
def test_bad_arguments(call, match):
    with pytest.raises(ValueError, match=match):
        call()
