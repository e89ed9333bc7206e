"""What parts may do beside adding a loss: keep examples out, choose exemplars, edit parameters, answer otherwise."""

import pytest
import torch

import perdure
from perdure import Batch, Draw, Experience, Learner, Part
from perdure._modes import evaluating
from perdure.checks import check_part
from perdure.memory import Ring
from perdure.terms import CrossEntropy


def learner(*parts, **options):
    torch.manual_seed(0)
    model = perdure.nn.mlp((4,), 4, hidden=(6,))
    return Learner(model, lambda params: torch.optim.SGD(params, lr=0.1), [CrossEntropy(), *parts], **options)


def batch(size=4, task=None):
    x = torch.arange(4.0 * size).reshape(size, 4) / 10
    return Batch(x, torch.arange(size) % 2, None if task is None else torch.full((size,), task))


class Data:
    def __init__(self, *batches):
        self.all = batches

    def __len__(self):
        return sum(map(len, self.all))

    def batches(self, size, generator=None, start=0):
        return iter(self.all[start:])


class KeepOut(Part):
    """Keeps the examples whose first number is in ``values`` out of updates."""

    def __init__(self, *values):
        super().__init__()
        self.values = torch.tensor(values)
        self.met = []

    def withhold(self, batch):
        return torch.isin(batch.x[:, 0], self.values)

    def after_step(self, step):
        self.met.append(None if step.withheld is None else step.withheld.x[:, 0].tolist())


def test_withheld_examples_are_not_learnt_and_shown_after_the_step():
    part, memory = KeepOut(0.4), Ring(8)
    mine, other = learner(part, memory), learner(Ring(8))
    mine.observe(batch())
    other.observe(batch().rows(torch.tensor([0, 2, 3])))
    assert part.met == [[pytest.approx(0.4)]]
    assert len(memory) == 3
    assert all(torch.equal(a, b) for a, b in zip(mine.params.values(), other.params.values(), strict=True))


def test_two_examples_stay_or_nothing_is_withheld():
    part = KeepOut(0.0, 0.4, 0.8)
    mine = learner(part)
    mine.observe(batch())
    mine.observe(batch(2))
    assert part.met == [None, None]


class Oldest(Part):
    """Replays those of the candidates that came first."""

    def __init__(self, draw):
        super().__init__()
        self.draws = (draw,)
        self.given = []

    def choose(self, choice):
        self.given.append((len(choice.candidates), choice.rate, choice.index))
        return choice.candidates.x[:, 0].argsort()[: choice.draw.size]


def test_a_part_chooses_among_candidates_once_there_are_more_than_enough():
    draw = Draw("replay", Ring(12), 3, candidates=8)
    part = Oldest(draw)
    mine = learner(part)
    sizes = []
    for start in (0.0, 100.0, 200.0):
        came = batch()
        step = mine.observe(Batch(came.x + start, came.y))
        segment = step.segments.get("replay")
        sizes.append(None if segment is None else segment.batch.x[:, 0].tolist())
    assert sizes[0] is None
    assert sorted(sizes[1]) == pytest.approx([0.0, 0.4, 0.8])
    assert sorted(sizes[2]) == pytest.approx([0.0, 0.4, 0.8])
    assert part.given == [(4, 0.1, 1), (8, 0.1, 2)]


def test_candidates_need_one_part_that_chooses():
    draw = Draw("replay", Ring(12), 3, candidates=8)
    with pytest.raises(ValueError, match="no part would choose among the candidates of draw 'replay'"):
        learner(CrossEntropy(draw, name="replay"))
    with pytest.raises(ValueError, match="lower draw= or raise candidates="):
        Draw("replay", Ring(12), 3, candidates=2)


class Together(Part):
    """Takes part of each of two reference gradients away."""

    def reference(self, step):
        logits = step.segments["current"].output.logits
        return [logits[:, 0].sum(), logits[:, 1].sum()]

    def transform(self, grads, reference):
        self.seen = [r.clone() for r in reference]


def test_references_come_one_by_one_along_a_leading_axis():
    part = Together()
    mine = learner(part)
    step = mine.forward(batch())
    expected = torch.autograd.grad(
        step.segments["current"].output.logits[:, 1].sum(), list(mine.params.values()), retain_graph=True
    )
    step.loss.backward()
    mine.shape_gradients(step)
    assert all(torch.equal(r[1], e) for r, e in zip(part.seen, expected, strict=True))
    assert [r.shape for r in part.seen] == [(2, *p.shape) for p in mine.params.values()]


class Small(Part):
    """Keeps every parameter within 0.01 of zero, and doubles them when an experience ends."""

    def __init__(self):
        super().__init__()
        self.order = []

    def constrain(self, params):
        for p in params:
            p.clamp_(-0.01, 0.01)

    def after_step(self, step):
        self.order.append(max(p.abs().max().item() for p in step.params.values()))

    def consolidate(self, boundary):
        for p in boundary.params.values():
            p.mul_(2)
        return 7

    def after_experience(self, boundary):
        self.order.append(max(p.abs().max().item() for p in boundary.params.values()))


def test_parameters_are_constrained_before_states_and_consolidated_before_boundaries():
    part = Small()
    mine = learner(part)
    mine.begin(Experience(0, (0, 1)))
    mine.observe(batch())
    mine.end()
    assert part.order == pytest.approx([0.01, 0.02])
    assert mine.num_processed == 4 + 7


def test_an_experience_that_nothing_was_learnt_of_ends_quietly():
    mine = learner(Small())
    mine.begin(Experience(0, (0, 1)))
    mine.end()
    assert mine.num_processed == 0


class ByTask(Part):
    """Answers for task 1 with weights of zero."""

    def weights(self, task):
        return {name: torch.zeros_like(p) for name, p in self.model.named_parameters()} if task == 1 else None


def test_answers_come_with_the_weights_of_each_example_s_task():
    mine = learner(ByTask())
    mine.observe(batch(task=0))
    mine.observe(batch(task=1))
    x = batch().x
    mixed = mine.logits(x, torch.tensor([0, 1, 0, 1]))[:, :2]
    assert torch.equal(mixed[[1, 3]], torch.zeros(2, 2))
    assert torch.allclose(mixed[[0, 2]], mine.logits(x, 0)[:, :2][[0, 2]])
    assert bool(mixed[[0, 2]].any())


def test_one_part_answers_with_other_weights():
    with pytest.raises(ValueError, match="both answer in place of the model's weights"):
        learner(ByTask("a"), ByTask("b"))


class Asks(Part):
    """Calls the model once more than it says."""

    def __init__(self, forwards):
        super().__init__()
        self.forwards = forwards

    def after_step(self, step):
        with evaluating(self.model), torch.no_grad():
            self.model(step.segments["current"].batch.x)


def test_forwards_that_parts_make_are_counted():
    check_part(lambda: Asks(1))
    with pytest.raises(AssertionError, match="2 forwards in one step, 0 of them declared"):
        check_part(lambda: Asks(0))
    with pytest.raises(AssertionError, match="declare 2 forwards a step, and never made more than 1"):
        check_part(lambda: Asks(2))


class Demanding(Part):
    needs_data = needs_tasks = needs_new_classes = True


@pytest.mark.parametrize(
    ("need", "experience", "message"),
    [
        (
            "needs_data",
            Experience(0, (0, 1)),
            "reads the data of an experience when it ends",
        ),
        ("needs_tasks", Experience(0, (0, 1)), "needs to be told tasks"),
        ("needs_new_classes", Experience(1, (0,)), "learns new classes, and experience 1 '' brings none"),
    ],
)
def test_what_a_part_needs_is_asked_for_when_an_experience_begins(need, experience, message):
    part = Part("demanding")
    setattr(part, need, True)
    mine = learner(part)
    if need == "needs_new_classes":
        mine.observe(batch())
    with pytest.raises(ValueError, match=message):
        mine.begin(experience)
    assert mine.experience is None


def test_a_batch_without_tasks_is_refused_where_they_are_needed():
    part = Part("demanding")
    part.needs_tasks = True
    with pytest.raises(perdure.BadBatch, match="answers for a task"):
        learner(part).observe(batch())


def test_a_learner_that_needs_boundaries_learns_nothing_before_one():
    mine = learner(Reads())
    mine.parts[1].needs_boundaries = True
    with pytest.raises(RuntimeError, match=r"needs boundaries .* call begin\(experience\)"):
        mine.observe(batch())
    assert mine.example is None
    mine.begin(Experience(0, (0, 1), Data(batch())))
    mine.observe(batch())


def test_run_refuses_before_learning_what_a_part_cannot_serve():
    part = Part("demanding")
    part.needs_new_classes = True
    data = (torch.randn(12, 4), torch.arange(12) % 4)
    stream = perdure.streams.class_incremental(data, experiences=2, holdout=0.5, fold_labels=True)
    mine = learner(part)
    with pytest.raises(ValueError, match="brings none: use a class-incremental stream"):
        perdure.run(mine, stream)
    assert mine.num_updates == 0


def test_run_knows_which_classes_a_learner_has_already():
    part = Part("demanding")
    part.needs_new_classes = True
    data = (torch.randn(12, 4), torch.arange(12) % 4)
    stream = perdure.streams.class_incremental(data, experiences=2, holdout=0.5)
    mine = learner(part)
    mine.begin(Experience(0, (2, 3)))
    mine.observe(Batch(torch.randn(4, 4), torch.tensor([2, 3, 2, 3])))
    mine.end()
    with pytest.raises(ValueError, match=r"experience 1 .* brings none"):
        perdure.run(mine, stream)
    assert mine.num_updates == 1


def test_the_data_of_an_experience_are_told_to_come_back_after_a_load():
    part = Reads()
    mine, again = learner(part), learner(Reads())
    mine.begin(Experience(0, (0, 1), Data(batch())))
    mine.observe(batch())
    again.load_state_dict(mine.state_dict())
    with pytest.raises(RuntimeError, match="call begin\\(experience\\) again after loading"):
        again.end()
    again.begin(Experience(0, (0, 1), Data(batch())))
    again.end()
    assert again.parts[1].rows == 4


class Reads(Part):
    needs_data = True

    def after_experience(self, boundary):
        self.rows = sum(len(b) for b in boundary.batches(2))


class Shown(Part):
    """Keeps what the model was shown of each segment, and of all of them."""

    def __init__(self, draw):
        super().__init__()
        self.draws = (draw,)

    def loss(self, step):
        self.each = {name: s.shown for name, s in step.segments.items()}
        self.joined = step.gather(("current", "replay")).shown
        self.kept = step.segments["current"].batch.x


@pytest.mark.parametrize("forward", ["joint", "separate"])
def test_segments_tell_what_the_model_was_shown(forward):
    part = Shown(Draw("replay", Ring(4), 2))
    mine = learner(part, augment=lambda x, generator: x + 1, forward=forward)
    mine.observe(batch())
    assert torch.equal(part.joined, batch().x + 1)
    mine.observe(batch())
    assert torch.equal(part.kept, batch().x)
    assert torch.equal(part.each["current"], batch().x + 1)
    assert torch.equal(part.joined, torch.cat([part.each["current"], part.each["replay"]]))
