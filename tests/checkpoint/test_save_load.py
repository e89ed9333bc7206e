import json
import os
import shutil
import string
from dataclasses import asdict
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import save as to_bytes
from torch.optim import lr_scheduler

import perdure
from perdure import Batch, Draw, Experience, Learner
from perdure.checkpoint._manifest import MANIFEST, STATE, TENSORS, measure
from perdure.checkpoint._pack import Packed
from perdure.checkpoint._read import read_checkpoint
from perdure.checks._state import difference, snapshot
from perdure.memory import ClassBalanced, Reservoir
from perdure.nn import mlp
from perdure.terms import CrossEntropy, LogitMatch

FILES = (TENSORS, STATE, MANIFEST)


def sgd(params):
    return torch.optim.SGD(params, lr=0.1, momentum=0.9)


def adam(params):
    return torch.optim.Adam(params)


def build(name="er", *, seed=0, features=5, hidden=8, optimizer=sgd, memory=20, **options):
    torch.manual_seed(seed)
    if name != "finetune":
        options.setdefault("draw", 4)
    model = mlp((features,), 4, hidden=(hidden,), dropout=0.2)
    return perdure.build(name, model, optimizer, memory=memory, seed=seed, **options)


def batch(number, features=5, size=6):
    random = torch.Generator().manual_seed(number)
    return Batch(torch.randn(size, features, generator=random), torch.randint(4, (size,), generator=random))


def taught(learner, steps=4, **options):
    for number in range(steps):
        learner.observe(batch(number, **options))
    return learner


@pytest.fixture
def saved(tmp_path):
    return perdure.save(tmp_path / "checkpoint", taught(build()))


def refused(path, learner, *words, error=ValueError):
    """Loading fails with all the words in the message, and the learner is as it was."""
    before = snapshot(learner)
    with pytest.raises(error) as raised:
        perdure.load(path, learner)
    for word in words:
        assert word in str(raised.value)
    assert difference(before, snapshot(learner)) is None


def test_a_checkpoint_is_three_files_and_nothing_is_left_beside(saved):
    assert sorted(p.name for p in saved.iterdir()) == sorted(FILES)
    assert [p.name for p in saved.parent.iterdir()] == ["checkpoint"]


def test_directories_on_the_way_are_made_and_dots_resolved(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    path = perdure.save("a/b/../c/check point", taught(build()))
    learner = build(seed=1)
    perdure.load(str(path), learner)
    assert difference(snapshot(taught(build())), snapshot(learner)) is None


def test_an_existing_path_is_refused_and_kept(saved):
    before = {name: (saved / name).read_bytes() for name in FILES}
    with pytest.raises(FileExistsError, match="checkpoint exists"):
        perdure.save(saved, taught(build(seed=3)))
    assert before == {name: (saved / name).read_bytes() for name in FILES}
    file = saved.parent / "file"
    file.write_text("mine")
    with pytest.raises(FileExistsError, match="file exists"):
        perdure.save(file, build())
    assert file.read_text() == "mine"


@pytest.mark.parametrize("call", ["fsync", "rename", "write_bytes"])
@pytest.mark.parametrize("error", [OSError("disk full"), KeyboardInterrupt()], ids=["disk full", "interrupted"])
def test_saving_that_fails_leaves_nothing(tmp_path, monkeypatch, call, error):
    def fail(*_, **__):
        raise error

    monkeypatch.setattr(os if call == "fsync" else Path, call, fail)
    with pytest.raises(type(error)):
        perdure.save(tmp_path / "checkpoint", taught(build()))
    monkeypatch.undo()
    assert list(tmp_path.iterdir()) == []


def test_a_process_killed_before_the_rename_leaves_no_checkpoint(tmp_path, monkeypatch):
    """Whatever is left beside has another name and cannot be taken for it."""
    monkeypatch.setattr(shutil, "rmtree", lambda *_, **__: None)
    monkeypatch.setattr(Path, "rename", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
    with pytest.raises(KeyboardInterrupt):
        perdure.save(tmp_path / "checkpoint", taught(build()))
    monkeypatch.undo()
    assert not (tmp_path / "checkpoint").exists()
    refused(tmp_path / "checkpoint", build(), "is not a checkpoint", error=FileNotFoundError)
    perdure.save(tmp_path / "checkpoint", taught(build()))


@pytest.mark.parametrize("name", [TENSORS, STATE])
@pytest.mark.parametrize("damage", ["flip", "cut", "empty", "remove"])
def test_a_damaged_file_is_named(saved, name, damage):
    file = saved / name
    content = bytearray(file.read_bytes())
    if damage == "flip":
        content[len(content) // 2] ^= 1
    elif damage == "cut":
        content = content[:-1]
    elif damage == "empty":
        content = b""
    file.write_bytes(content)
    if damage == "remove":
        file.unlink()
    refused(saved, build(), name, "is damaged")


def test_a_directory_without_manifest_is_no_checkpoint(saved):
    (saved / MANIFEST).unlink()
    refused(saved, build(), MANIFEST, error=FileNotFoundError)


@pytest.mark.parametrize("text", ["", "{", "[]", "null", "{}", '{"format": 1}', '{"format": 1, "files": []}', "\ud800"])
def test_a_broken_manifest_is_refused(saved, text):
    (saved / MANIFEST).write_bytes(text.encode("utf-8", "surrogatepass"))
    refused(saved, build(), str(saved))


def test_another_format_is_refused_with_both_numbers(saved):
    manifest = json.loads((saved / MANIFEST).read_text())
    (saved / MANIFEST).write_text(json.dumps(manifest | {"format": 7}))
    refused(saved, build(), "7", "this version reads 2")


def test_another_method_is_refused_with_both_names(saved):
    refused(saved, build("finetune"), "'er'", "'finetune'")
    refused(saved, perdure.build("gdumb", mlp((5,), 4), sgd), "'er'", "'gdumb'")


def test_a_state_of_gdumb_is_refused_by_a_learner(tmp_path):
    gdumb = perdure.build("gdumb", mlp((5,), 4), sgd, memory=8)
    path = perdure.save(tmp_path / "gdumb", taught(gdumb))
    refused(path, build(), "'gdumb'", "'er'")
    other = perdure.build("gdumb", mlp((5,), 4), sgd, memory=Reservoir(8))
    refused(path, other, "ClassBalanced", "Reservoir")
    refused(path, perdure.build("gdumb", mlp((5,), 4), sgd, memory=9), "keeps 8 exemplars", "9", "memory=8")


def test_other_parts_are_refused_with_both_lists(tmp_path):
    model = mlp((5,), 4)
    path = perdure.save(tmp_path / "parts", Learner(model, sgd, [CrossEntropy()]))
    draw = Draw("dark", Reservoir(8), 4)
    other = Learner(mlp((5,), 4), sgd, [CrossEntropy(), LogitMatch(draw, 1.0)])
    refused(path, other, "made of CrossEntropy(current);", "LogitMatch(dark), Reservoir")


@pytest.mark.parametrize("fresh", [True, False], ids=["new", "taught"])
@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"hidden": 9}, ("backbone.1.bias", "(8,)", "(9,)", "same model")),
        ({"features": 6}, ("backbone.1.weight", "(8, 5)", "(8, 6)")),
        ({"memory": 30}, ("Reservoir", "20", "30", "memory=20")),
        ({"memory": ClassBalanced(20)}, ("ClassBalanced", "Reservoir")),
        ({"optimizer": adam}, ("optimizer",)),
        ({"scheduler": lambda o: lr_scheduler.StepLR(o, 3)}, ("scheduler",)),
    ],
)
def test_what_does_not_fit_is_refused_with_both_sides(saved, options, words, fresh):
    learner = build(**options)
    refused(saved, learner if fresh else taught(learner, features=options.get("features", 5)), *words)


def test_stored_fields_must_be_the_same(tmp_path):
    def make(*fields):
        memory = Reservoir(8)
        memory.require(fields)
        return Learner(mlp((5,), 4), sgd, [CrossEntropy(), memory])

    path = perdure.save(tmp_path / "checkpoint", taught(make("logits")))
    refused(path, make("features"), "('logits',)", "('features',)")


def test_tasks_told_before_must_be_told_again(tmp_path):
    told = build()
    told.observe(Batch(torch.randn(3, 5), torch.arange(3), torch.zeros(3, dtype=torch.int64)))
    path = perdure.save(tmp_path / "checkpoint", told)
    refused(path, taught(build()), "told", "not told")


def test_a_learner_that_has_learnt_goes_back_to_before(tmp_path):
    path = perdure.save(tmp_path / "checkpoint", build())
    learner = taught(build())
    perdure.load(path, learner)
    assert difference(snapshot(build()), snapshot(learner)) is None
    assert difference(snapshot(taught(build())), snapshot(taught(learner))) is None


SCHEDULERS = {
    "step": lambda o: lr_scheduler.StepLR(o, 2),
    "steps": lambda o: lr_scheduler.MultiStepLR(o, [2, 5]),
    "cosine": lambda o: lr_scheduler.CosineAnnealingLR(o, 10),
    "one cycle": lambda o: lr_scheduler.OneCycleLR(o, 0.2, 20),
    "lambda": lambda o: lr_scheduler.LambdaLR(o, lambda step: 0.9**step),
    "warm-up": lambda o: lr_scheduler.SequentialLR(
        o, [lr_scheduler.LinearLR(o, 0.1, total_iters=3), lr_scheduler.ExponentialLR(o, 0.9)], [3]
    ),
}


@pytest.mark.parametrize("scheduler", SCHEDULERS.values(), ids=SCHEDULERS.keys())
@pytest.mark.parametrize("optimizer", [sgd, adam], ids=["sgd", "adam"])
def test_schedules_go_on_bit_for_bit(tmp_path, scheduler, optimizer):
    whole = taught(build(optimizer=optimizer, scheduler=scheduler), 8)
    path = perdure.save(tmp_path / "checkpoint", taught(build(optimizer=optimizer, scheduler=scheduler), 4))
    again = build(seed=1, optimizer=optimizer, scheduler=scheduler)
    perdure.load(path, again)
    for number in range(4, 8):
        again.observe(batch(number))
    assert difference(whole.model.state_dict(), again.model.state_dict()) is None
    assert [g["lr"] for g in again.optimizer.param_groups] == [g["lr"] for g in whole.optimizer.param_groups]


def test_a_loaded_learner_shares_nothing_with_the_one_it_came_from():
    """A state passed on in memory is copied, the optimizer's too, which PyTorch would share."""
    first, second = taught(build()), build(seed=1)
    second.load_state_dict(first.state_dict())
    before = snapshot(second)
    first.observe(batch(9))
    assert difference(before, snapshot(second)) is None


def test_an_open_experience_is_open_after_loading(tmp_path):
    learner = build()
    learner.begin(Experience(0, (0, 1, 2, 3), name="first"))
    taught(learner)
    again = build(seed=1)
    perdure.load(perdure.save(tmp_path / "checkpoint", learner), again)
    assert (again.experience.index, again.experience.classes, again.experience.name) == (0, (0, 1, 2, 3), "first")
    again.end()


def test_only_tensors_numbers_and_strings_are_saved(tmp_path):
    learner = build()
    learner.state_dict = lambda: {"a": {"b": object()}}
    with pytest.raises(TypeError, match="learner/a/b is object"):
        perdure.save(tmp_path / "checkpoint", learner)
    assert list(tmp_path.iterdir()) == []


def rewrite(path, state=None, tensors=None):
    """A checkpoint whose checksums are right and whose content is hostile."""
    if state is not None:
        (path / STATE).write_bytes(state)
    if tensors is not None:
        (path / TENSORS).write_bytes(tensors)
    manifest = json.loads((path / MANIFEST).read_text())
    manifest["files"] = {name: asdict(measure(path / name)) for name in (TENSORS, STATE)}
    (path / MANIFEST).write_text(json.dumps(manifest))


PLAIN = st.none() | st.booleans() | st.integers() | st.floats() | st.text(string.printable, max_size=8)
KEYS = st.sampled_from(["$items", "$tensor", "$tuple", "method", "parts", "model", "optimizer", "example", "classes"])
JSON = st.recursive(
    PLAIN, lambda x: st.lists(x, max_size=4) | st.dictionaries(KEYS | st.text(max_size=3), x, max_size=4)
)


@settings(max_examples=100, deadline=None)
@given(value=JSON | st.builds(lambda x: {"$items": [["parts", x], ["model", x], ["method", "er"]]}, JSON))
def test_hostile_json_gives_a_value_error(tmp_path_factory, value):
    path = perdure.save(tmp_path_factory.mktemp("hostile") / "checkpoint", build())
    rewrite(path, state=json.dumps({"$items": [["position", None], ["learner", value]]}).encode())
    refused(path, build())


@settings(max_examples=50, deadline=None)
@given(data=st.binary(max_size=64) | st.binary(max_size=64).map(lambda b: len(b).to_bytes(8, "little") + b))
def test_hostile_tensors_give_a_value_error(tmp_path_factory, data):
    path = perdure.save(tmp_path_factory.mktemp("hostile") / "checkpoint", build())
    rewrite(path, tensors=data)
    refused(path, build(), str(path))


@pytest.mark.parametrize("state", [b"[" * 100_000, b'{"$tuple":' * 300 + b"1" + b"}" * 300, b"1" * 5000, b"\xff"])
def test_json_bombs_give_a_value_error(saved, state):
    rewrite(saved, state=state)
    refused(saved, build(), str(saved))


def test_tensors_that_the_state_names_but_are_not_there_give_a_value_error(saved):
    rewrite(saved, tensors=to_bytes({"other": torch.zeros(2)}))
    refused(saved, build(), str(saved))


def test_no_code_is_run_when_a_checkpoint_is_read():
    """The reader uses JSON and safetensors; whatever could run code is not even imported."""
    for file in Path(perdure.checkpoint.__file__).parent.glob("*.py"):
        source = file.read_text()
        assert not [word for word in ("import pickle", "torch.load", "eval(", "exec(", "marshal") if word in source], (
            file
        )


@pytest.mark.parametrize("position", [None, {"step": 3, "epoch": [1, 2.5], "name": "x", "lost": (float("nan"), -1)}])
def test_the_position_comes_back(tmp_path, position):
    path = perdure.save(tmp_path / "checkpoint", taught(build()), position)
    assert repr(perdure.load(path, build(seed=2))) == repr(position)


def test_keys_with_slashes_do_not_meet(tmp_path):
    learner = build()
    learner.state_dict = lambda: {"a/b": torch.ones(1), "a": {"b": torch.zeros(1)}, 3: {"b": torch.full((1,), 3.0)}}
    path = perdure.save(tmp_path / "checkpoint", learner)
    state = read_checkpoint(path).states[0]
    assert (state["a/b"].item(), state["a"]["b"].item(), state[3]["b"].item()) == (1, 0, 3)


@pytest.mark.parametrize("name", [MANIFEST, STATE, TENSORS])
def test_a_link_is_not_followed(saved, tmp_path, name):
    (saved / name).rename(tmp_path / "elsewhere")
    (saved / name).symlink_to(tmp_path / "elsewhere")
    refused(saved, build(), name, "or a link")


def test_sizes_are_limited(saved):
    with (saved / MANIFEST).open("ab") as file:
        file.write(b" " * (1 << 20))
    refused(saved, build(), "at most 1,048,576 are read")


def test_what_fails_half_way_changes_nothing(saved):
    """Right in form, wrong in content: found out on a copy."""
    state = read_checkpoint(saved).states[0]
    state["parts"]["Reservoir"]["_extra_state"] = torch.tensor([1000, 5])
    packed = Packed({"position": None, "learner": state})
    rewrite(saved, json.dumps(packed.tree).encode(), to_bytes({n: t.clone() for n, t in packed.tensors.items()}))
    refused(saved, build())
    refused(saved, taught(build(), 1))
