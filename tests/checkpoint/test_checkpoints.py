"""The folder of a run's checkpoints: which stay, what they share, what happens when one cannot be written."""

import json
import shutil
import threading

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import perdure
from perdure import Batch, CheckpointError, Checkpoints
from perdure.checkpoint import Locked, _shelf
from perdure.checkpoint._background import Background
from perdure.checkpoint._manifest import MANIFEST, STATE, TENSORS
from perdure.checks._state import difference, snapshot
from perdure.memory import ClassBalanced, Reservoir, Ring
from perdure.nn import mlp

MEMORIES = {"reservoir": Reservoir, "class-balanced": ClassBalanced, "ring": Ring}


def build(name="er", memory=20, seed=0, hidden=8):
    torch.manual_seed(seed)
    options = {} if name in ("finetune", "gdumb") else {"draw": 4}
    if name == "gdumb":
        options = {"fit_epochs": 1}
    net = mlp((5,), 4, hidden=(hidden,), dropout=0.2)
    return perdure.build(
        name, net, lambda p: torch.optim.SGD(p, lr=0.1, momentum=0.9), memory=memory, seed=seed, **options
    )


def batch(number, size=6, classes=4):
    random = torch.Generator().manual_seed(number)
    return Batch(torch.randn(size, 5, generator=random), torch.randint(classes, (size,), generator=random))


def names(folder):
    return sorted(path.name for path in folder.iterdir() if path.name not in ("lock", "owner.json", "rows"))


def rows(folder):
    return sorted(path.name for path in (folder / "rows").iterdir())


def restored(saved, name="er", memory=20):
    learner = build(name, memory, seed=9)
    saved.restore(learner)
    return snapshot(learner)


def teach_and_save(checkpoints, learner, steps, start=0):
    for number in range(start, start + steps):
        learner.observe(batch(number))
        checkpoints.save(learner, {"after": number}, number)


def test_the_last_ones_stay(tmp_path):
    learner = build("finetune")
    with Checkpoints(tmp_path / "a" / "b", keep=2) as checkpoints:
        assert checkpoints.newest() is None
        teach_and_save(checkpoints, learner, 5)
        checkpoints.wait()
        assert names(checkpoints.folder) == ["000004-update-3", "000005-update-4"]
        assert checkpoints.num_saved == 5
        checkpoints.finish()
        assert names(checkpoints.folder) == ["000005-update-4"]
        saved = checkpoints.newest()
    assert names(checkpoints.folder) == ["000005-update-4"]
    assert saved.position == {"after": 4}
    assert difference(snapshot(learner), restored(saved, "finetune")) is None


def test_one_that_stands_alone_shares_no_file(tmp_path):
    learner = build()
    with Checkpoints(tmp_path) as checkpoints:
        teach_and_save(checkpoints, learner, 3)
        checkpoints.save(learner, "end", 3, alone=True)
        checkpoints.finish()
    assert names(tmp_path) == ["000004-update-3"]
    assert not (tmp_path / "rows").exists()
    (tmp_path / "000004-update-3").rename(tmp_path / "elsewhere")
    again = build(seed=3)
    assert perdure.load(tmp_path / "elsewhere", again) == "end"
    assert difference(snapshot(learner), snapshot(again)) is None


def test_load_takes_the_newest_of_a_folder(tmp_path):
    learner = build()
    with Checkpoints(tmp_path) as checkpoints:
        teach_and_save(checkpoints, learner, 3)
    again = build(seed=3)
    assert perdure.load(tmp_path, again) == {"after": 2}
    assert difference(snapshot(learner), snapshot(again)) is None


def test_what_is_learnt_while_it_is_written_does_not_show(tmp_path):
    """The state is that of the moment of ``save``, however long writing takes."""
    learner = build()
    with Checkpoints(tmp_path) as checkpoints:
        for number in range(12):
            learner.observe(batch(number))
            if number == 7:
                before = snapshot(learner)
                checkpoints.save(learner, None, 8)
        checkpoints.wait()
        assert difference(before, restored(checkpoints.newest())) is None


@settings(max_examples=25, deadline=None)
@given(
    kind=st.sampled_from(sorted(MEMORIES)),
    name=st.sampled_from(["er", "der_pp", "gdumb"]),
    plan=st.lists(st.tuples(st.integers(1, 9), st.booleans()), min_size=3, max_size=25),
    grows=st.integers(2, 20),
    reopened=st.integers(0, 25),
)
def test_rows_laid_over_each_other_are_the_memory(tmp_path_factory, kind, name, plan, grows, reopened):
    """However batches, checkpoints, new classes (which widen stored logits) and new processes follow each other."""
    folder = tmp_path_factory.mktemp("rows")
    learner = build(name, MEMORIES[kind](20))
    checkpoints = Checkpoints(folder, keep=100)
    states = {}
    checkpoints.__enter__()
    for number, (size, save) in enumerate(plan):
        learner.observe(batch(number, size, classes=4 if number < grows else 11))
        if save:
            checkpoints.save(learner, number, number)
            states[number] = snapshot(learner)
        if number == reopened:
            checkpoints.__exit__()
            checkpoints = Checkpoints(folder, keep=100)
            checkpoints.__enter__()
    checkpoints.wait()
    for path in (path for path in folder.iterdir() if path.name.endswith(tuple(f"update-{n}" for n in states))):
        saved = _shelf.read_checkpoint(path)
        assert difference(states[saved.position], restored(saved, name, MEMORIES[kind](20))) is None
    checkpoints.__exit__()


def test_only_exemplars_written_since_are_saved(tmp_path):
    learner = build(memory=4000)
    learner.observe(batch(0, 4000))
    with Checkpoints(tmp_path) as checkpoints:
        for number in range(1, 4):
            learner.observe(batch(number))
            checkpoints.save(learner, None, number)
        checkpoints.wait()
        sizes = [(tmp_path / "rows" / name).stat().st_size for name in rows(tmp_path)]
        assert len(sizes) == 3
        assert max(sizes[1:]) < sizes[0] / 50
        assert difference(snapshot(learner), restored(checkpoints.newest(), memory=4000)) is None


def test_rows_begin_anew_and_one_checkpoint_shares_none_with_the_newest(tmp_path):
    """So one damaged file cannot take all checkpoints with it."""
    learner = build(memory=2000)
    learner.observe(batch(0, 2000))
    told = []
    with Checkpoints(tmp_path, keep=2, say=told.append) as checkpoints:
        teach_and_save(checkpoints, learner, _shelf.MOST_ROW_FILES + 4, start=1)
        checkpoints.wait()
        kept = names(tmp_path)
        assert len(kept) == 3
        chains = [set(json.loads((tmp_path / name / MANIFEST).read_text())["rows"]) for name in kept]
        assert chains[1] < chains[2]
        assert not chains[0] & chains[2]
        assert len(chains[2]) == 4
        assert set(rows(tmp_path)) == set().union(*chains)
        damaged = tmp_path / "rows" / min(chains[2])
        damaged.write_bytes(damaged.read_bytes()[:-1])
        assert checkpoints.newest().path.name == kept[0]
        assert [damaged.name in line for line in told] == [True, True]


@pytest.mark.parametrize("damage", [MANIFEST, STATE, TENSORS, "rows", "all"])
def test_a_damaged_newest_is_named_and_the_one_before_is_used(tmp_path, damage):
    told = []
    learner = build()
    with Checkpoints(tmp_path, say=told.append) as checkpoints:
        teach_and_save(checkpoints, learner, 3)
        checkpoints.wait()
    newest, before = names(tmp_path)[2], names(tmp_path)[1]
    if damage == "all":
        shutil.rmtree(tmp_path / newest)
        (tmp_path / newest).mkdir()
    else:
        file = tmp_path / "rows" / rows(tmp_path)[-1] if damage == "rows" else tmp_path / newest / damage
        content = bytearray(file.read_bytes())
        content[len(content) // 2] ^= 4
        file.write_bytes(content)
    with Checkpoints(tmp_path, say=told.append) as checkpoints:
        saved = checkpoints.newest()
        assert saved.path.name == before
        assert len(told) == 1
        assert newest in told[0] or damage == "rows"
        saved.restore(learner)
        teach_and_save(checkpoints, learner, 3, start=2)  # the damaged one is cleared away, the others stay
        checkpoints.wait()
        assert newest not in names(tmp_path)
        assert len(told) == 1


def test_a_removed_folder_stops_with_an_error_or_is_told_once(tmp_path):
    told = []
    learner = build()
    with Checkpoints(tmp_path / "gone", say=told.append) as checkpoints:
        teach_and_save(checkpoints, learner, 1)
        checkpoints.wait()
        shutil.rmtree(tmp_path / "gone")
        teach_and_save(checkpoints, learner, 1, start=1)
        with pytest.raises(CheckpointError, match=r"cannot save a checkpoint in .*gone: No such file"):
            checkpoints.wait()
    with Checkpoints(tmp_path / "other", on_error="continue", say=told.append) as checkpoints:
        teach_and_save(checkpoints, learner, 1)
        checkpoints.wait()
        shutil.rmtree(tmp_path / "other")
        teach_and_save(checkpoints, learner, 3, start=1)
        checkpoints.wait()
        assert len(told) == 1
        assert "learning goes on without" in told[0]
        (tmp_path / "other").mkdir()
        teach_and_save(checkpoints, learner, 2, start=4)
        checkpoints.wait()
        assert difference(snapshot(learner), restored(checkpoints.newest())) is None


def test_a_folder_that_cannot_be_made_is_told_of(tmp_path):
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(CheckpointError, match="there is none yet"), Checkpoints(tmp_path / "file" / "run"):
        pass
    told = []
    with Checkpoints(tmp_path / "file" / "run", on_error="continue", say=told.append) as checkpoints:
        teach_and_save(checkpoints, build(), 2)
    assert "learning goes on without" in told[0]


def test_a_write_that_fails_leaves_the_last_one_and_nothing_else(tmp_path, monkeypatch):
    learner = build()
    with Checkpoints(tmp_path) as checkpoints:
        teach_and_save(checkpoints, learner, 1)
        checkpoints.wait()
        before = snapshot(learner)

        def full(*_):
            raise OSError(28, "No space left on device")

        for stage in ("write_state", "seal"):
            monkeypatch.setattr(f"perdure.checkpoint._checkpoints.{stage}", full)
            teach_and_save(checkpoints, learner, 1, start=2)
            while checkpoints._background.busy:
                pass
            with pytest.raises(CheckpointError, match="No space left on device; the last good one is 000001-update-0"):
                checkpoints.due(3)
            monkeypatch.undo()
            assert names(tmp_path) == ["000001-update-0"]
        assert difference(before, restored(checkpoints.newest())) is None
        teach_and_save(checkpoints, learner, 1, start=5)
        assert difference(snapshot(learner), restored(_wait(checkpoints).newest())) is None


def _wait(checkpoints):
    checkpoints.wait()
    return checkpoints


def test_a_state_that_cannot_be_saved_says_so(tmp_path):
    learner = build()
    learner.state_dict = lambda: {"a": {"b": object()}}
    with Checkpoints(tmp_path) as checkpoints, pytest.raises(TypeError, match="learner/a/b is object"):
        checkpoints.save(learner, None, 1)


def test_what_a_killed_process_left_is_cleared_away(tmp_path):
    with Checkpoints(tmp_path) as checkpoints:
        teach_and_save(checkpoints, build(), 1)
    (tmp_path / ".000002-update-9.77.part").mkdir()
    (tmp_path / ".000002-update-9.77.part" / TENSORS).write_bytes(b"half")
    (tmp_path / "rows" / ".000002.safetensors.part").write_bytes(b"half")
    with Checkpoints(tmp_path) as checkpoints:
        assert names(tmp_path) == ["000001-update-0"]
        assert rows(tmp_path) == ["000001.safetensors"]


def test_the_rows_folder_may_not_be_a_link(tmp_path):
    told = []
    with Checkpoints(tmp_path / "run", say=told.append) as checkpoints:
        teach_and_save(checkpoints, build(), 1)
        checkpoints.wait()
        (tmp_path / "run" / "rows").rename(tmp_path / "elsewhere")
        (tmp_path / "run" / "rows").symlink_to(tmp_path / "elsewhere")
        assert checkpoints.newest() is None
        assert "is a link" in told[0]
    with pytest.raises(ValueError, match="rows is a link"), Checkpoints(tmp_path / "run"):
        pass


def test_a_link_in_the_place_of_a_checkpoint_is_not_followed(tmp_path):
    with Checkpoints(tmp_path / "theirs") as checkpoints:
        teach_and_save(checkpoints, build("finetune"), 1)
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "000001-update-0").symlink_to(tmp_path / "theirs" / "000001-update-0")
    with Checkpoints(tmp_path / "mine") as checkpoints:
        assert checkpoints.newest() is None


def test_two_cannot_use_one_folder(tmp_path):
    with Checkpoints(tmp_path), pytest.raises(Locked), Checkpoints(tmp_path):
        pass
    with Checkpoints(tmp_path):
        pass


def test_when_one_is_due(tmp_path):
    with Checkpoints(tmp_path, every=5, minutes=None) as checkpoints:
        assert [n for n in range(1, 12) if checkpoints.due(n)] == [5, 10]
    with Checkpoints(tmp_path, minutes=1e-9) as checkpoints:
        assert checkpoints.due(1)
    with Checkpoints(tmp_path, minutes=10) as checkpoints:
        assert not checkpoints.due(1)
    for wrong in ({"every": 0}, {"minutes": 0}, {"minutes": float("nan")}, {"keep": 0}):
        with pytest.raises(ValueError, match="above 0"):
            Checkpoints(tmp_path, **wrong)


def test_one_job_at_a_time_in_the_background():
    background, go, order = Background(), threading.Event(), []
    background.start(lambda: (go.wait(10), order.append("first")))
    assert background.busy
    threading.Timer(0.05, go.set).start()
    background.start(lambda: order.append("second"))  # waits for the first
    assert order[0] == "first"
    background.wait()
    assert order == ["first", "second"]
    assert not background.busy
    background.start(lambda: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        background.wait()
    background.wait()
