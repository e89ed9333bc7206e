"""Whatever is in a checkpoint, loading works or says in one line what is wrong, and then has changed nothing.

Nobody's checksums protect from an attacker, who makes a manifest that fits; so most of these are ``sealed`` like that.
"""

import json
import math
import os
from dataclasses import asdict

import pytest
import torch
from forging import NAMES, attempt, change_state, forged, item, seal, set_to, sound
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import load as from_bytes
from safetensors.torch import save as to_bytes

import perdure
from perdure.checkpoint._manifest import MANIFEST, ROWS, STATE, TENSORS, measure

few = settings(max_examples=80, derandomize=True)
many = settings(max_examples=250, derandomize=True)
names = st.sampled_from(NAMES)
shares = st.floats(0, 1, exclude_max=True)


@st.composite
def damages(draw):
    """What is made of a file's bytes."""
    at, how, noise = (
        draw(shares),
        draw(st.sampled_from(["cut", "flip", "insert", "replace"])),
        draw(st.binary(max_size=40)),
    )
    bit = draw(st.integers(0, 7))

    def damage(content: bytes) -> bytes:
        place = int(at * len(content))
        if how == "cut":
            return content[:place]
        if how == "flip":
            return content[:place] + bytes([content[place] ^ 1 << bit]) + content[place + 1 :]
        return (content[:place] if how == "insert" else b"") + noise + (content[place:] if how == "insert" else b"")

    return damage


@given(name=names, which=shares, damage=damages())
@many
def test_damage_is_noticed(name, which, damage):
    """In a manifest it may be in words that decide nothing, such as the version of PyTorch."""
    files = sound(name)
    path = sorted(files)[int(which * len(files))]
    changed = damage(files[path])
    with forged({**files, path: changed}, sealed=False) as checkpoint:
        said = attempt(checkpoint, name)
    assert said or changed == files[path] or path.endswith(MANIFEST)


@given(name=names, which=shares, damage=damages(), taught=st.booleans())
@many
def test_damage_that_is_sealed(name, which, damage, taught):
    files = {path: content for path, content in sound(name).items() if not path.endswith(MANIFEST)}
    path = sorted(files)[int(which * len(files))]
    with forged({**sound(name), path: damage(files[path])}, sealed=True) as checkpoint:
        attempt(checkpoint, name, taught=taught)


PLAIN = (
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=4)
)
WORDS = st.sampled_from(
    ["$items", "$tensor", "$tuple", "$float", "lr", "y", "seen", "params", "learner", "nan", "-inf"]
)
JSON = st.recursive(
    PLAIN | WORDS, lambda x: st.lists(x, max_size=3) | st.dictionaries(WORDS, x, max_size=2), max_leaves=6
)


def places(tree, at=()):
    """Of everything in a tree of JSON."""
    yield at
    for key, value in tree.items() if isinstance(tree, dict) else enumerate(tree) if isinstance(tree, list) else ():
        yield from places(value, (*at, key))


def put(tree, at, value):
    """A tree in which ``value`` is at one place."""
    if not at:
        return value
    key, *rest = at
    if isinstance(tree, dict):
        return {**tree, key: put(tree[key], rest, value)}
    return [*tree[:key], put(tree[key], rest, value), *tree[key + 1 :]]


@given(name=names, where=shares, value=JSON, taught=st.booleans())
@many
def test_a_state_in_which_something_is_replaced(name, where, value, taught):
    def change(tree):
        found = [*places(tree)]
        return put(tree, found[int(where * len(found))], value)

    with forged(sound(name), sealed=True) as checkpoint:
        change_state(checkpoint, change)
        attempt(checkpoint, name, taught=taught)


@given(name=names, where=shares, value=JSON)
@few
def test_a_manifest_in_which_something_is_replaced(name, where, value):
    with forged(sound(name), sealed=True) as checkpoint:
        manifest = json.loads((checkpoint / MANIFEST).read_text())
        found = [*places(manifest)]
        (checkpoint / MANIFEST).write_text(json.dumps(put(manifest, found[int(where * len(found))], value)))
        attempt(checkpoint, name)


OTHER = [torch.float64, torch.float16, torch.int64, torch.int8, torch.bool]


@st.composite
def retouches(draw):
    """What is made of a tensor."""
    how = draw(st.sampled_from(["type", "one", "wrap", "empty", "double", "fill"]))
    kind, fill = draw(st.sampled_from(OTHER)), draw(st.sampled_from([0.0, -1.0, -1e9, 1e9, 1e30, math.nan, math.inf]))

    def retouch(x: torch.Tensor) -> torch.Tensor:
        flat = x.reshape(-1)
        made = {
            "type": lambda: x.to(kind),
            "one": lambda: flat[:1].clone(),
            "wrap": lambda: x[None],
            "empty": lambda: flat[:0],
            "double": lambda: torch.cat([flat, flat]),
            "fill": lambda: torch.full(x.shape, fill).to(x.dtype),
        }
        return made[how]().contiguous()

    return retouch


@given(name=names, which=shares, where=shares, retouch=retouches() | st.none(), taught=st.booleans())
@many
def test_tensors_that_are_retouched_or_left_out(name, which, where, retouch, taught):
    files = sound(name)
    paths = sorted(path for path in files if path.endswith(".safetensors"))
    path = paths[int(which * len(paths))]
    tensors = from_bytes(files[path])
    chosen = sorted(tensors)[int(where * len(tensors))]
    x = tensors.pop(chosen)
    if retouch is not None:
        tensors[chosen] = retouch(x)
    with forged({**files, path: to_bytes(tensors)}, sealed=True) as checkpoint:
        attempt(checkpoint, name, taught=taught)


HOSTILE_MANIFESTS = {
    "a folder": lambda m: m["rows"].update({"": {"bytes": 1, "sha256": ""}}),
    "a name of 300 digits": lambda m: m["rows"].update({"1" * 300 + ".safetensors": {"bytes": 1, "sha256": ""}}),
    "a null byte": lambda m: m["rows"].update({"1\0.safetensors": {"bytes": 1, "sha256": ""}}),
    "huge sizes": lambda m: [f.update(bytes=1 << 62) for f in m["files"].values()],
    "sizes below zero": lambda m: [f.update(bytes=-1) for f in m["files"].values()],
    "sizes as words": lambda m: [f.update(bytes=str(f["bytes"])) for f in m["files"].values()],
    "a billion ranks": lambda m: m.update(ranks=10**9),
    "no ranks": lambda m: m.update(ranks=0),
    "ranks below zero": lambda m: m.update(ranks=-1),
    "a rank too many": lambda m: m.update(ranks=2),
    "half a rank": lambda m: m.update(ranks=0.5),
    "yes": lambda m: m.update(ranks=True),
    "no files": lambda m: m.update(files={}),
    "a list of files": lambda m: m.update(files=[*m["files"]]),
    "a file's checksum is a list": lambda m: m["files"][STATE].update(sha256=[]),
    "something less": lambda m: m.pop("torch"),
    "a format to come": lambda m: m.update(format=10**30),
    "format 1": lambda m: m.update(format=1),
    "many entries": lambda m: m["rows"].update({f"{i}.safetensors": {"bytes": 1, "sha256": ""} for i in range(10**6)}),
    "rows that are not there": lambda m: m["rows"].update({"9.safetensors": {"bytes": 1, "sha256": ""}}),
}


@pytest.mark.parametrize("change", HOSTILE_MANIFESTS.values(), ids=HOSTILE_MANIFESTS)
def test_hostile_manifests_are_refused(change):
    with forged(sound("er"), sealed=True) as checkpoint:
        manifest = json.loads((checkpoint / MANIFEST).read_text())
        change(manifest)
        (checkpoint / MANIFEST).write_text(json.dumps(manifest))
        assert attempt(checkpoint, "er")


@pytest.mark.parametrize("kind", ["files", "rows"])
@pytest.mark.parametrize("way", ["up", "absolute"])
def test_no_file_elsewhere_is_opened(tmp_path, kind, way):
    """Though it is just what the manifest says."""
    secret = tmp_path / "1.safetensors"
    secret.write_bytes(to_bytes({"x": torch.zeros(1)}))
    with forged(sound("er"), sealed=True) as checkpoint:
        manifest = json.loads((checkpoint / MANIFEST).read_text())
        here = checkpoint if kind == "files" else checkpoint.parent / ROWS
        name = str(secret) if way == "absolute" else os.path.relpath(secret, here)
        manifest[kind][name] = asdict(measure(secret))
        (checkpoint / MANIFEST).write_text(json.dumps(manifest))
        assert attempt(checkpoint, "er")


@pytest.mark.parametrize("name", [MANIFEST, STATE])
@pytest.mark.parametrize(
    "content",
    [b"[" * 100_000, b'{"$tuple":' * 5_000 + b"1" + b"}" * 5_000, b"1" * 5_000, b"\xff", b"\xef\xbb\xbf{}", b"NaN"],
    ids=["lists", "tuples", "digits", "no text", "mark", "nan"],
)
def test_hostile_json_is_refused(name, content):
    with forged(sound("er"), sealed=True) as checkpoint:
        (checkpoint / name).write_bytes(content)
        if name == STATE:
            seal(checkpoint)
        assert attempt(checkpoint, "er")


LINKS = {
    "manifest": (MANIFEST, False),
    "state": (STATE, False),
    "tensors": (TENSORS, False),
    "rows": (f"../{ROWS}/000001.safetensors", False),
    "folder of rows": (f"../{ROWS}", False),
    "manifest, dangling": (MANIFEST, True),
    "rows, dangling": (f"../{ROWS}/000001.safetensors", True),
}


@pytest.mark.parametrize(("name", "dangling"), LINKS.values(), ids=LINKS)
def test_links_are_not_followed(tmp_path, name, dangling):
    """Even where what they lead to is just what should be there."""
    with forged(sound("er"), sealed=True) as checkpoint:
        path = checkpoint / name
        path.rename(tmp_path / "elsewhere")
        path.symlink_to(tmp_path / ("nowhere" if dangling else "elsewhere"))
        assert attempt(checkpoint, "er")


@pytest.mark.parametrize("name", [MANIFEST, STATE, TENSORS])
def test_pipes_are_not_opened(name):
    """That would wait forever."""
    with forged(sound("er"), sealed=True) as checkpoint:
        (checkpoint / name).unlink()
        os.mkfifo(checkpoint / name)
        assert attempt(checkpoint, "er")


def test_a_folder_of_rows_elsewhere_is_not_written_to(tmp_path):
    """Old rows are removed, which would be somebody else's files."""
    (tmp_path / "models").mkdir()
    mine = tmp_path / "models" / "000001.safetensors"
    mine.write_text("mine")
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / ROWS).symlink_to(tmp_path / "models")
    with pytest.raises(ValueError, match="rows is a link"), perdure.Checkpoints(tmp_path / "run"):
        pass
    assert mine.read_text() == "mine"


def test_a_checkpoint_elsewhere_is_passed_over(tmp_path):
    """It may be whole: it is not of this run."""
    with forged(sound("er"), sealed=True) as checkpoint:
        checkpoint.rename(tmp_path / checkpoint.name)
        checkpoint.symlink_to(tmp_path / checkpoint.name)
        with perdure.Checkpoints(checkpoint.parent) as checkpoints:
            assert checkpoints.newest() is None
    assert (tmp_path / checkpoint.name / STATE).exists()


def set_rate(value):
    def change(tree):
        groups = item(tree, "learner", "optimizer", "param_groups")[1]
        item(groups[0], "lr")[1] = value
        return tree

    return change


WRONG_KINDS = {
    "a learning rate in words": set_rate("0.1"),
    "updates in words": set_to("4", "num_updates"),
    "updates as a list": set_to([4], "num_processed"),
    "yes": set_to(True, "num_begun"),
    "a seed in words": set_to("0", "seed"),
    "a factor in words": set_to("1", "rate"),
    "a schedule's counter in words": set_to("4", "scheduler", "last_epoch"),
    "another method": set_to("gdumb", "method"),
    "parts in a list": set_to([], "parts"),
    "no parts": set_to({"$items": []}, "parts"),
    "a model of nothing": set_to({"$items": []}, "model"),
    "a tensor that is not there": set_to({"$tensor": "nowhere"}, "classes", "seen"),
    "classes in a list": set_to([True] * 4, "classes", "seen"),
    "an experience of words": set_to("first", "experience"),
    "an experience with wild classes": set_to(
        {"$items": [["index", 0], ["classes", [10**9]], ["task", None], ["name", ""]]}, "experience"
    ),
}


@pytest.mark.parametrize("taught", [False, True], ids=["new", "taught"])
@pytest.mark.parametrize("change", WRONG_KINDS.values(), ids=WRONG_KINDS)
def test_wrong_kinds_are_refused(change, taught):
    with forged(sound("er"), sealed=True) as checkpoint:
        change_state(checkpoint, change)
        assert attempt(checkpoint, "er", taught=taught)


COUNTS = {"negative": [-1, 24], "too many": [101, 200], "more than came": [25, 24], "wild": [2**62, 2**62], "one": [5]}


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("counts", COUNTS.values(), ids=COUNTS)
def test_counts_of_a_memory_that_make_no_sense_are_refused(name, counts):
    files = sound(name)
    (path,) = (path for path in files if path.endswith(TENSORS))
    tensors = from_bytes(files[path])
    (key,) = (key for key in tensors if key.endswith("_extra_state"))
    tensors[key] = torch.tensor(counts)
    with forged({**files, path: to_bytes(tensors)}, sealed=True) as checkpoint:
        assert "make no sense" in attempt(checkpoint, name) or counts == [5]
