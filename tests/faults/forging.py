"""Checkpoints as an attacker would make them, and what loading one may do."""

import json
import os
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any

import torch
from torch.optim import lr_scheduler

import perdure
from perdure import Batch, Experience
from perdure.checkpoint._manifest import MANIFEST, ROWS, STATE, measure
from perdure.checks._state import difference, snapshot
from perdure.nn import mlp
from perdure.streams import class_incremental

FEATURES, CLASSES = 5, 4
NEVER = {"import", "os.system", "os.exec", "os.posix_spawn", "subprocess.Popen", "pickle.find_class", "marshal.loads"}
ANNOTATIONS = (b"int", b"str", b"dict[str, File]")  # of the manifest: pydantic reads them at each load
MOST_CHARACTERS = 2000
NAMES = ("er", "der_pp", "gdumb")


def sgd(params):
    return torch.optim.SGD(params, lr=0.1, momentum=0.9)


def build(name: str, seed: int = 0) -> perdure.ContinualLearner:
    """A small learner with a memory; momentum and a schedule, or Adam."""
    torch.manual_seed(seed)
    model = mlp((FEATURES,), CLASSES, hidden=(8,), dropout=0.2)
    if name == "er":
        schedule = {"scheduler": lambda optimizer: lr_scheduler.OneCycleLR(optimizer, 0.2, 1000)}
        return perdure.build(name, model, sgd, memory=100, draw=4, seed=seed, **schedule)
    if name == "der_pp":
        return perdure.build(name, model, torch.optim.Adam, memory=100, draw=4, seed=seed)
    return perdure.build(name, model, sgd, memory=100, fit_epochs=1, seed=seed)


def batch(number: int, size: int = 6) -> Batch:
    random = torch.Generator().manual_seed(number)
    return Batch(torch.randn(size, FEATURES, generator=random), torch.randint(CLASSES, (size,), generator=random))


def experience() -> Experience:
    first = batch(0, 40)
    return class_incremental((first.x, first.y), experiences=1, holdout=0.2).experiences[0]


@cache
def sound(name: str) -> dict[str, bytes]:
    """The files of a run's checkpoints, of which the newest lays rows over rows; by path."""
    with tempfile.TemporaryDirectory() as folder, perdure.Checkpoints(folder, minutes=None) as checkpoints:
        learner = build(name)
        learner.begin(experience())
        for number in range(4):
            learner.observe(batch(number))
            checkpoints.save(learner, {"updates": number}, number)
            checkpoints.wait()
        checkpoints.finish()
        paths = [p for p in Path(folder).rglob("*") if p.is_file() and p.name not in ("lock", "owner.json")]
        return {str(p.relative_to(folder)): p.read_bytes() for p in paths}


@contextmanager
def forged(files: dict[str, bytes], *, sealed: bool) -> Iterator[Path]:
    """A checkpoint made of ``files``; ``sealed``: its manifest is made to fit them."""
    with tempfile.TemporaryDirectory() as folder:
        for name, content in files.items():
            path = Path(folder, name)
            path.parent.mkdir(exist_ok=True)
            path.write_bytes(content)
        (checkpoint,) = (p for p in Path(folder).iterdir() if p.name != ROWS)
        if sealed:
            seal(checkpoint)
        yield checkpoint


def seal(checkpoint: Path) -> None:
    """Write sizes and checksums of the files that the manifest names into it."""
    manifest = json.loads((checkpoint / MANIFEST).read_text())
    for folder, kind in ((checkpoint, "files"), (checkpoint.parent / ROWS, "rows")):
        for name in manifest[kind]:
            found = measure(folder / name)
            manifest[kind][name] = {"bytes": found.bytes, "sha256": found.sha256}
    (checkpoint / MANIFEST).write_text(json.dumps(manifest))


def change_state(checkpoint: Path, change: Callable[[Any], Any]) -> None:
    """Rewrite state.json, and the manifest to fit."""
    path = checkpoint / STATE
    path.write_text(json.dumps(change(json.loads(path.read_text()))))
    seal(checkpoint)


def item(tree, *keys):
    """The pair of key and value that the keys lead to."""
    for key in keys:
        tree = tree["$items"] if isinstance(tree, dict) else tree[1]["$items"]
        (tree,) = (pair for pair in tree if pair[0] == key)
    return tree


def set_to(value, *keys):
    def change(tree):
        item(tree, "learner", *keys)[1] = value
        return tree

    return change


def attempt(checkpoint: Path, name: str, *, taught: bool = False) -> str:
    """Load; "" if that works, the error's text if it is refused as it should be.

    Raises ``AssertionError`` if anything else happens: another error, one of several lines, a learner changed all the
    same, a file opened elsewhere, code imported, compiled or run.
    """
    learner = build(name, 1)
    if taught:
        learner.observe(batch(7))
    before = snapshot(learner)
    try:
        with watched(checkpoint.parent) as seen:
            perdure.load(checkpoint, learner)
        text = ""
    except (ValueError, OSError) as error:
        text = str(error)
        assert text
        assert "\n" not in text
        assert len(text) < MOST_CHARACTERS
        assert difference(before, snapshot(learner)) is None
    assert seen == [], seen
    return text


_watching: list[tuple[str, list[str]]] = []


@cache
def load_once() -> None:
    """What is imported when a checkpoint is first read comes from no checkpoint."""
    with tempfile.TemporaryDirectory() as folder:
        perdure.load(perdure.save(Path(folder) / "sound", build("er")), build("er", 1))


@contextmanager
def watched(folder: Path) -> Iterator[list[str]]:
    """What happens in the block that never should."""
    load_once()
    if not hasattr(sys, "perdure_audits"):  # hooks cannot be removed: one is enough
        sys.addaudithook(_audit)
        sys.perdure_audits = True  # type: ignore[attr-defined]
    seen: list[str] = []
    _watching.append((os.fspath(folder.resolve()), seen))
    try:
        yield seen
    finally:
        _watching.pop()


def _audit(event: str, arguments: tuple[object, ...]) -> None:
    if not _watching:
        return
    folder, seen = _watching[-1]
    compiled = event == "compile" and arguments[0] not in ANNOTATIONS
    executed = event == "exec" and getattr(arguments[0], "co_filename", "") != "<string>"
    if event in NEVER or compiled or executed:
        seen.append(f"{event} {str(arguments)[:200]}")
    elif event == "open" and isinstance(arguments[0], (str, bytes, os.PathLike)):
        path = Path(os.fsdecode(arguments[0])).resolve()
        if not path.is_relative_to(folder):
            seen.append(f"open {path}")
