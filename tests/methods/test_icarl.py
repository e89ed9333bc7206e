"""iCaRL: its loss and its answer against plain recomputations."""

import copy
import functools

import pytest
import torch
from torch.nn.functional import normalize

import perdure
from perdure import Batch, Experience, Learner
from perdure.checks._state import difference, same_bits
from perdure.memory import Herding, Ring
from perdure.nn import LinearHead, NearestMeanOfExemplars, Network, mlp
from perdure.streams import class_incremental
from perdure.terms import CrossEntropy


def examples(number, classes=(0, 1), size=24):
    random = torch.Generator().manual_seed(number)
    y = torch.tensor(classes)[torch.randint(len(classes), (size,), generator=random)]
    y[: len(classes)] = torch.tensor(classes)
    return Batch(torch.randn(size, 5, generator=random) + y[:, None], y)


class Rows:
    def __init__(self, batch):
        self.batch = batch

    def __len__(self):
        return len(self.batch)

    def batches(self, size, generator=None, start=0):
        return (self.batch.rows(rows) for rows in torch.split(torch.arange(len(self)), size)[start:])


def network():
    torch.manual_seed(0)
    backbone = torch.nn.Sequential(torch.nn.Linear(5, 7), torch.nn.BatchNorm1d(7), torch.nn.ReLU())
    return Network(backbone, LinearHead(7, 6))


def adam(params, **options):
    return torch.optim.Adam(params, lr=0.02, **options)


def icarl(capacity=8, optimizer=adam, **options):
    return perdure.build("icarl", network(), optimizer, memory=capacity, draw=4, **options)


def learn(learner, batch, index):
    learner.begin(Experience(index, tuple(batch.y.unique().tolist()), Rows(batch)))
    for _ in range(3):
        learner.observe(batch)
    learner.end()


def logistic(logits, targets):
    p = logits.sigmoid()
    return -(targets * p.log() + (1 - targets) * (1 - p).log())


@pytest.mark.parametrize("temperature", [1.0, 2.0])
def test_loss_by_hand(temperature):
    first, second = examples(0), examples(1, (2, 3))
    learner = icarl()
    learner.begin(Experience(0, (0, 1), Rows(first)))
    step = learner.forward(first)
    logits = step.segments["current"].output.logits[:, :2]
    targets = torch.eye(2)[first.y]
    torch.testing.assert_close(step.loss, logistic(logits, targets).sum(1).mean())  # no teacher yet: all is new
    learner = icarl(temperature=temperature)
    learn(learner, first, 0)
    teacher = copy.deepcopy(learner.model).eval()
    learner.begin(Experience(1, (2, 3), Rows(second)))
    learner.observe(second)
    step = learner.forward(second)
    assert step.segments.keys() == {"current", "replay"}  # exemplars are learnt from
    assert len(step.segments["replay"].batch) == 4
    x = torch.cat([step.segments[name].batch.x for name in ("current", "replay")])
    y = torch.cat([step.segments[name].batch.y for name in ("current", "replay")])
    logits = torch.cat([step.segments[name].output.logits for name in ("current", "replay")])[:, :4]
    with torch.no_grad():
        said = (teacher(x).logits / temperature).sigmoid()[:, :2]
    targets = torch.cat([said, torch.eye(4)[y][:, 2:]], dim=1)
    torch.testing.assert_close(step.loss, logistic(logits, targets).sum(1).mean())


def test_the_answer_is_the_nearest_mean_of_normalised_features():
    learner, asked = icarl(), examples(9, (0, 1, 2, 3), 50).x
    learn(learner, examples(0), 0)
    learn(learner, examples(1, (2, 3)), 1)
    kept = next(part for part in learner.parts if isinstance(part, Herding)).contents()
    model = copy.deepcopy(learner.model).eval()
    with torch.no_grad():
        means = []
        for label in range(4):
            mean = normalize(model(kept.x[kept.y == label]).features, dim=1).mean(0)
            means.append(mean / mean.norm())
        gaps = torch.cdist(normalize(model(asked).features, dim=1), torch.stack(means))
    assert torch.equal(learner.predict(asked), gaps.argmin(1))
    assert len(learner.predict(asked).unique()) > 1


def answering():
    memory = Ring(6)
    learner = Learner(network(), adam, [CrossEntropy(), memory, NearestMeanOfExemplars(memory)])
    learner.observe(examples(0))
    return learner


def fresh(learner):
    """What a learner answers that has never been asked."""
    twin = answering()
    twin.load_state_dict(learner.state_dict())
    return twin.logits(examples(5).x)


def asked(learner):
    return learner.logits(examples(5).x)


def counted(learner):
    """How often the model is called for one answer."""
    calls = []
    handle = learner.model.register_forward_hook(lambda *_: calls.append(1))
    asked(learner)
    handle.remove()
    return len(calls)


def write_weight(learner):
    with torch.no_grad():
        learner.model.head.weight[0] += 0  # any write counts
        learner.model.backbone[0].weight.mul_(-1)


def write_statistics(learner):
    learner.model.backbone(torch.randn(8, 5, generator=torch.Generator().manual_seed(0)))


def write_exemplar(learner):
    learner.parts[1].x[0] += 1


def load(learner):
    other = answering()
    other.observe(examples(3))
    learner.load_state_dict(other.state_dict())


def learn_more(learner):
    learner.observe(examples(2))


def grow(learner):
    learner.observe(examples(4, (0, 7)))


CHANGES = [write_weight, write_statistics, write_exemplar, load, learn_more, grow]


@pytest.mark.parametrize("change", CHANGES)
def test_means_are_kept_until_something_changes(change):
    learner = answering()
    assert counted(learner) == 2  # the asked examples and the exemplars
    assert counted(learner) == 1
    before = asked(learner)
    change(learner)
    after = asked(learner)
    assert same_bits(after, fresh(learner))
    assert difference(before, after) is not None
    assert counted(learner) == 1


@pytest.mark.parametrize("options", [{"foreach": True}, {"foreach": False}, {"fused": True}], ids=str)
def test_every_kind_of_optimizer_step_is_noticed(options):
    learner = answering()
    learner.optimizer = adam(learner.model.parameters(), **options)
    asked(learner)
    learner.observe(examples(2))
    assert same_bits(asked(learner), fresh(learner))


def test_a_fused_step_is_noticed_where_no_statistic_and_no_exemplar_changes_with_it():
    def make():
        torch.manual_seed(0)
        optimizer = functools.partial(adam, fused=True)
        return perdure.build("icarl", mlp((5,), 6, hidden=(7,)), optimizer, memory=8, draw=4)

    learner, twin = make(), make()
    learn(learner, examples(0), 0)
    second = examples(1, (2, 3))
    learner.begin(Experience(1, (2, 3), Rows(second)))
    asked(learner)
    learner.observe(second)
    twin.load_state_dict(learner.state_dict())
    assert same_bits(asked(learner), asked(twin))


def test_means_made_under_autocast_answer_without_and_the_other_way_round():
    learner = answering()
    plain = asked(learner)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        torch.testing.assert_close(asked(learner)[:, :2].float(), plain[:, :2], atol=0.05, rtol=0)
    learner.observe(examples(2))
    with torch.autocast("cpu", dtype=torch.bfloat16):
        asked(learner)
    torch.testing.assert_close(asked(learner)[:, :2], fresh(learner)[:, :2], atol=0.05, rtol=0)


def test_a_copy_keeps_no_means_of_its_original():
    learner = answering()
    asked(learner)
    twin = copy.deepcopy(learner)
    assert counted(twin) == 2
    learner.observe(examples(2))
    assert same_bits(asked(twin), fresh(twin))


def test_classes_without_exemplars_wait_for_the_end_of_their_experience():
    learner, second = icarl(), examples(1, (2, 3))
    first = examples(0)
    learner.begin(Experience(0, (0, 1), Rows(first)))
    learner.observe(first)
    assert same_bits(learner.logits(first.x)[:, :2], head(learner, first.x)[:, :2])
    learner.end()
    learner.begin(Experience(1, (2, 3), Rows(second)))
    learner.observe(second)
    assert learner.predict(second.x).max() < 2
    learner.end()
    assert learner.predict(second.x).max() > 1


def head(learner, x):
    learner.model.eval()
    with torch.no_grad():
        logits = learner.model(x).logits
    learner.model.train()
    return logits


def test_streams_it_is_wrong_on_are_refused():
    learner = icarl()
    learn(learner, examples(0), 0)
    with pytest.raises(ValueError, match=r"icarl learns new classes, and experience 1 .* brings none"):
        learner.begin(Experience(1, (0, 1), Rows(examples(1))))
    with pytest.raises(ValueError, match="Herding reads the data"):
        learner.begin(Experience(1, (2, 3)))


def test_a_model_without_features_is_refused():
    memory = Ring(4)
    whole = torch.nn.Linear(5, 2)
    learner = Learner(whole, adam, [CrossEntropy(), memory, NearestMeanOfExemplars(memory)])
    learner.observe(examples(0))
    with pytest.raises(ValueError, match="the model gives none"):
        learner.predict(examples(0).x)


@pytest.mark.parametrize("size", [1, 2])
def test_batches_of_one_or_two(size):
    batch = examples(0, (0, 1, 2, 3), 30)
    stream = class_incremental((batch.x, batch.y), (batch.x, batch.y), experiences=2)
    model = mlp((5,), 4, hidden=(6,))
    learner = perdure.build("icarl", model, adam, memory=4, draw=2)
    record = perdure.run(learner, stream, batch_size=size)
    assert min(record.accuracy[-1]) > 0
