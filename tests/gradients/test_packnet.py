"""PackNet: weights that were given to a task, and the answers of earlier tasks, stay to the bit."""

import copy

import pytest
import torch
from torch import nn

import perdure
from perdure import Experience, Learner
from perdure.checks._state import difference, snapshot
from perdure.functional.pruning import smallest
from perdure.gradients import PackNet
from perdure.nn import LinearHead, Network, SettleNorms, with_settling_norms
from perdure.streams import ArrayData
from perdure.terms import CrossEntropy

OPTIMIZERS = {
    "sgd": lambda p: torch.optim.SGD(p, lr=0.05, momentum=0.9, nesterov=True, weight_decay=0.1),
    "adam": lambda p: torch.optim.Adam(p, lr=0.02, weight_decay=0.01),
    "adamw": lambda p: torch.optim.AdamW(p, lr=0.02, weight_decay=0.1),
}


def experience(task, size=24):
    """Two classes of a task's own."""
    random = torch.Generator().manual_seed(task)
    y = torch.arange(size) % 2
    x = torch.randn(size, 2, 6, 6, generator=random) + (2 * y - 1)[:, None, None, None] * torch.randn(
        2, 6, 6, generator=random
    )
    return Experience(task, (2 * task, 2 * task + 1), ArrayData(x, y + 2 * task).told(task), task)


def everything(task):
    return next(experience(task).data.batches(24))


def network(capacity=4):
    """Convolutions, batch statistics, dropout."""
    torch.manual_seed(0)
    layers = [nn.Conv2d(2, 5, 3), nn.BatchNorm2d(5), nn.ReLU(), nn.Dropout(0.1), nn.Flatten(), nn.Linear(80, 12)]
    return Network(nn.Sequential(*layers, nn.BatchNorm1d(12), nn.ReLU()), LinearHead(12, capacity))


def make(optimizer="sgd", seed=0, **options):
    return perdure.build("packnet", network(), OPTIMIZERS[optimizer], **{"retrain_epochs": 2, "seed": seed} | options)


def learn(learner, task, epochs=2):
    opened = experience(task)
    learner.begin(opened)
    for _ in range(epochs):
        for batch in opened.data.batches(8):
            learner.observe(batch)
    learner.end()


def pack(learner):
    return next(part for part in learner.parts if isinstance(part, PackNet))


@pytest.mark.parametrize("restart", ["never", "optimizer"])
@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_what_earlier_tasks_have_stays_to_the_bit(optimizer, restart):
    learner = make(optimizer)
    learner.restart = restart
    asked = everything(0).x
    answers, weights, buffers = {}, {}, None
    for task in range(4):  # the head grows at the third
        learn(learner, task)
        part = pack(learner)
        owners = dict(zip(learner.params, part._owners(), strict=True))
        for name, (mask, before) in weights.items():
            after = learner.params[name].detach()[tuple(slice(0, size) for size in mask.shape)]
            assert torch.equal(after[mask], before[mask]), name
        norms = {k: v.clone() for k, v in learner.weights.items() if "running" in k or "num_batches" in k}
        assert buffers is None or difference(buffers, norms) is None
        buffers = norms
        weights = {name: (owner > 0, learner.params[name].detach().clone()) for name, owner in owners.items()}
        for earlier, before in answers.items():
            rows = [2 * earlier, 2 * earlier + 1]
            now = learner.logits(asked, earlier)[:, rows]
            assert torch.equal(now, before[:, rows]), (task, earlier)
        answers[task] = learner.logits(asked, task)
    assert all(bool((owner > 0).any()) for owner in owners.values())


def test_a_task_is_answered_by_the_weights_of_its_own_and_earlier_ones():
    learner = make()
    learn(learner, 0)
    learn(learner, 1)
    own = pack(learner).weights(0)
    assert set(own) == {"backbone.0.weight", "backbone.5.weight"}  # no bias, no norm, no head
    hollow = copy.deepcopy(learner.model).eval()
    owners = dict(zip(learner.params, pack(learner)._owners(), strict=True))
    with torch.no_grad():
        for name in own:
            hollow.get_parameter(name).masked_fill_(owners[name] != 1, 0)
        x = everything(0).x
        expected = hollow(x).logits[:, :2]
    assert torch.equal(learner.logits(x, 0)[:, :2], expected)
    assert not torch.equal(learner.model.eval()(x).logits[:, :2], expected)


def test_the_pruned_share_is_exact_in_each_layer():
    learner = make(share=0.5, later_share=0.75)
    free = {"backbone.0.weight": 90, "backbone.5.weight": 960}
    for task, share in enumerate((0.5, 0.75, 0.75)):
        learn(learner, task)
        owners = dict(zip(learner.params, pack(learner)._owners(), strict=True))
        for name, before in free.items():
            left = int((owners[name] == 0).sum())
            assert left == round(share * before)
            assert int((owners[name] == task + 1).sum()) == before - left
            assert not learner.params[name][owners[name] == 0].any()  # the next task begins at zero there
            free[name] = left


def test_rows_of_the_head_belong_to_the_task_of_their_class():
    learner = make()
    learn(learner, 0)
    learn(learner, 1)
    owner = dict(zip(learner.params, pack(learner)._owners(), strict=True))["head.weight"]
    assert owner[:, 0].tolist() == [1, 1, 2, 2]


def test_what_goes_is_smallest_and_one_weight_always_stays():
    weight = torch.tensor([[0.1, -0.2], [0.2, 5.0]])
    everywhere = torch.ones(2, 2, dtype=torch.bool)
    assert smallest(weight, everywhere, 0.5).tolist() == [[True, True], [False, False]]  # of equals the first
    assert smallest(weight, everywhere, 0.99).sum() == 3
    assert smallest(weight, ~everywhere, 0.5).sum() == 0


def test_retraining_moves_only_what_was_kept_and_helps():
    plain, again = make("adam", retrain_epochs=0), make("adam", retrain_epochs=20, rate_factor=1.0)
    for learner in (plain, again):
        learn(learner, 0, epochs=1)
    for a, b in zip(pack(plain)._owners(), pack(again)._owners(), strict=True):
        assert torch.equal(a, b)
    data = everything(0)

    def loss(learner):
        return nn.functional.cross_entropy(learner.logits(data.x, 0)[:, :2], data.y).item()

    assert loss(again) < 0.5 * loss(plain)
    assert again.num_processed == plain.num_processed + 20 * len(data)
    assert all(p.grad is None for p in again.params.values())


def test_no_weight_left_is_said_before_anything_changes():
    learner = make(share=0.0)
    learn(learner, 0)
    learner.begin(experience(1))
    before = snapshot(learner)
    with pytest.raises(ValueError, match="1 tasks have used up all weights, and none is free for task 1: free more"):
        learner.observe(next(experience(1).data.batches(8)))
    assert difference(before, snapshot(learner)) is None


def test_a_task_is_learnt_once():
    learner = make()
    learn(learner, 0)
    learner.begin(experience(0))
    before = snapshot(learner)
    for _ in range(2):
        with pytest.raises(ValueError, match="task 0 was learnt before"):
            learner.observe(next(experience(0).data.batches(8)))
    assert difference(before, snapshot(learner)) is None


def test_batch_statistics_that_would_follow_new_data_are_refused():
    model = network()
    pack = PackNet(model.head, OPTIMIZERS["sgd"], epochs=1)
    learner = Learner(model, OPTIMIZERS["sgd"], [CrossEntropy(), pack])
    learn(learner, 0)
    with pytest.raises(ValueError, match="batch normalization would not"):
        learn(learner, 1)
    settled = with_settling_norms(network())
    pack = PackNet(settled.head, OPTIMIZERS["sgd"], epochs=1)
    learner = Learner(settled, OPTIMIZERS["sgd"], [CrossEntropy(), pack, SettleNorms()])
    learn(learner, 0)
    learn(learner, 1)


def test_resumed_in_the_middle_of_a_later_task():
    through, stopped, later = make("adam"), make("adam"), experience(1)
    for learner in (through, stopped):
        learn(learner, 0)
        learner.begin(later)
    batches = list(later.data.batches(8))
    stopped.observe(batches[0])
    resumed = make("adam", seed=5)
    resumed.load_state_dict(snapshot(stopped))
    resumed.begin(later)
    for learner, rest in ((through, batches), (resumed, batches[1:])):
        for batch in rest:
            learner.observe(batch)
        learner.end()
    assert difference(snapshot(through), snapshot(resumed)) is None


def test_what_makes_no_sense_is_refused():
    with pytest.raises(ValueError, match=r"share=1.0: give the part"):
        make(share=1.0)
    with pytest.raises(ValueError, match="retrain for 0 epochs or more"):
        make(retrain_epochs=-1)
    model = network()
    with pytest.raises(ValueError, match="an optimizer of its own: give a function"):
        perdure.build("packnet", model, OPTIMIZERS["sgd"](model.parameters()))
    with pytest.raises(ValueError, match="the model has none"):
        learn(perdure.build("packnet", perdure.nn.linear((2, 6, 6), 2), OPTIMIZERS["sgd"]), 0)
