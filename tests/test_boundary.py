"""What parts look at when an experience ends: the data that can have been learnt."""

import pytest
import torch

import perdure
from perdure import Batch, Boundary, Experience, Learner, Part, streams
from perdure.checks._state import difference, snapshot
from perdure.nn import mlp
from perdure.penalties import EWC
from perdure.streams import ArrayData
from perdure.terms import CrossEntropy


def data(size=60, bad_label=3):
    x = torch.randn(size, 4, generator=torch.Generator().manual_seed(0))
    y = torch.arange(size) % 2
    x[5, 1], x[17, 0], y[30] = torch.nan, torch.inf, bad_label
    return x, y


def boundary(x, y, seen):
    model = mlp((4,), 4)
    experience = Experience(0, (0, 1), ArrayData(x, y))
    params = dict(model.named_parameters())
    return Boundary(index=9, params=params, seen=seen, all_seen=False, experience=experience, model=model)


def test_examples_that_cannot_have_been_learnt_are_left_out():
    x, y = data()
    end = boundary(x, y, torch.tensor([True, True, True, False]))
    good = [n for n in range(60) if n not in (5, 17, 30)]
    assert torch.equal(torch.cat([b.x for b in end.batches(7)]), x[good])
    assert [len(b) for b in end.batches(1)] == [1] * 57
    shuffled = end.batches(7, torch.Generator().manual_seed(1))
    assert sorted(torch.cat([b.x for b in shuffled]).flatten().tolist()) == sorted(x[good].flatten().tolist())


def test_labels_that_the_head_has_no_place_for_are_left_out():
    end = boundary(*data(bad_label=99), torch.ones(4, dtype=torch.bool))
    assert sum(map(len, end.batches(60))) == 57


@pytest.mark.parametrize("dtype", [torch.uint8, torch.int64])
def test_whole_numbers_are_finite(dtype):
    x = torch.arange(12).view(6, 2).to(dtype)
    end = boundary(x, torch.zeros(6, dtype=torch.int64), torch.ones(4, dtype=torch.bool))
    assert torch.equal(next(end.batches(6)).x, x)
    assert isinstance(next(end.batches(6)), Batch)


@pytest.mark.parametrize("name", ["ewc", "mas", "gpm", "ogd"])
def test_what_a_run_leaves_out_spoils_no_look_at_the_end(name):
    x, y = data()
    y[30] = 0
    stream = streams.class_incremental((x.repeat(2, 1), torch.cat([y, y + 2])), (x[:4], torch.arange(4)), experiences=2)
    torch.manual_seed(0)
    learner = perdure.build(name, mlp((4,), 4, hidden=(8,)), lambda p: torch.optim.SGD(p, lr=0.05))
    record = perdure.run(learner, stream, batch_size=10, on_bad_batch="skip", say=lambda text: None)
    assert record.num_skipped
    assert all(bool(p.isfinite().all()) for p in learner.params.values())


class Doubling(Part):
    """Edits the weights when an experience ends."""

    def consolidate(self, boundary):
        for p in boundary.params.values():
            p.mul_(2)


def test_an_end_without_the_data_that_a_part_reads_changes_nothing():
    def make():
        torch.manual_seed(0)
        return Learner(mlp((4,), 4), lambda p: torch.optim.SGD(p, lr=0.1), [CrossEntropy(), Doubling(), EWC(1.0)])

    x, y = torch.randn(8, 4), torch.arange(8) % 2
    learner, loaded = make(), make()
    experience = Experience(0, (0, 1), ArrayData(x, y))
    learner.begin(experience)
    learner.observe(Batch(x, y))
    state = snapshot(learner)
    loaded.load_state_dict(state)
    with pytest.raises(RuntimeError, match=r"call begin\(experience\) again after loading"):
        loaded.end()
    assert difference(state, snapshot(loaded)) is None
    loaded.begin(experience)
    for each in (learner, loaded):
        each.end()
    assert difference(snapshot(learner), snapshot(loaded)) is None


@pytest.mark.parametrize("name", ["ewc", "mas", "gpm", "ogd", "gem", "packnet"])
def test_of_an_experience_no_example_may_be_fit_to_look_at(name):
    torch.manual_seed(0)
    options = {"memory": 8} if name == "gem" else {}
    learner = perdure.build(name, mlp((4,), 4, hidden=(8,)), lambda p: torch.optim.SGD(p, lr=0.1), **options)
    told = 0 if name == "packnet" else None
    nothing = ArrayData(torch.full((9, 4), torch.nan), torch.zeros(9, dtype=torch.int64))
    learner.begin(Experience(0, (0, 1), nothing if told is None else nothing.told(told), told))
    x, y = torch.randn(8, 4), torch.arange(8) % 2
    learner.observe(Batch(x, y, None if told is None else torch.zeros(8, dtype=torch.int64)))
    learner.end()
    assert bool(learner.logits(x, told)[:, :2].isfinite().all())
