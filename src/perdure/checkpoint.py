"""Save and load a learner as a new directory of safetensors and JSON, complete or absent, checked when read.

Nothing is ever unpickled.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import tempfile
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from perdure._contract import ContinualLearner

FORMAT = 1
TENSORS, STATE, MANIFEST = "tensors.safetensors", "state.json", "manifest.json"


def save(path: str | Path, learner: ContinualLearner) -> Path:
    """Write ``learner`` to the new directory ``path``; returns it.

    The files are written beside, flushed to disk and renamed together, so that ``path`` is complete or does not exist.
    Raises ``FileExistsError`` if there is something at ``path`` already.
    """
    from safetensors.torch import save_file

    path = Path(path)
    if path.exists():
        raise FileExistsError(f"{path} exists and is not overwritten: choose another name, or remove it first")
    tensors: dict[str, Tensor] = {}
    state = _pack(learner.state_dict(), "", tensors)
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = Path(tempfile.mkdtemp(prefix=f".{path.name}.", dir=path.parent))
    try:
        save_file(tensors, beside / TENSORS)
        (beside / STATE).write_text(json.dumps(state), encoding="utf-8")
        files = {
            name: {"bytes": (beside / name).stat().st_size, "sha256": _sha256(beside / name)}
            for name in (TENSORS, STATE)
        }
        (beside / MANIFEST).write_text(
            json.dumps({"format": FORMAT, "torch": torch.__version__, "files": files}), encoding="utf-8"
        )
        for file in (beside / TENSORS, beside / STATE, beside / MANIFEST, beside):
            _flush(file)
        beside.rename(path)
        _flush(path.parent)
    except BaseException:
        shutil.rmtree(beside, ignore_errors=True)
        raise
    return path


def load(path: str | Path, learner: ContinualLearner) -> None:
    """Put ``learner`` into the state saved at ``path``.

    It must be of the same method, model and memory sizes; its seed may be another. Raises ``FileNotFoundError`` or
    ``ValueError``, saying what is wrong, before the learner is changed.
    """
    path = Path(path)
    if not (path / MANIFEST).is_file():
        raise FileNotFoundError(f"{path} is not a checkpoint: it has no {MANIFEST}")
    try:
        learner.load_state_dict(_read(path))
    except (KeyError, TypeError, IndexError, AttributeError, RuntimeError) as error:
        raise ValueError(f"{path} does not hold what a learner of this kind saves: {error!r}") from error


def _read(path: Path) -> Any:
    """The state in the checkpoint ``path``, if format and checksums are right."""
    manifest = _read_json(path / MANIFEST)
    if (found := manifest["format"]) != FORMAT:
        raise ValueError(f"{path} has format {found!r}, this version reads {FORMAT}: use the version that wrote it")
    for name in (TENSORS, STATE):
        if not (path / name).is_file() or _sha256(path / name) != manifest["files"][name]["sha256"]:
            raise ValueError(
                f"{path / name} is damaged: its checksum is not the one in {MANIFEST}; use another checkpoint"
            )
    return _unpack(_read_json(path / STATE), _read_tensors(path / TENSORS))


def _pack(value: Any, at: str, tensors: dict[str, Tensor]) -> Any:
    """``value`` as JSON; tensors are taken out into ``tensors`` and referred to by name."""
    if isinstance(value, Tensor):
        tensors[at] = value.detach().cpu().contiguous().clone()
        return {"$tensor": at}
    if isinstance(value, dict):
        return {"$items": [[k, _pack(v, f"{at}/{k}", tensors)] for k, v in value.items()]}
    if isinstance(value, (list, tuple)):
        items = [_pack(v, f"{at}/{i}", tensors) for i, v in enumerate(value)]
        return {"$tuple": items} if isinstance(value, tuple) else items
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    raise TypeError(
        f"{at} is {type(value).__name__}: the state of a learner is made of tensors, numbers and strings only"
    )


def _unpack(value: Any, tensors: dict[str, Tensor]) -> Any:
    if isinstance(value, list):
        return [_unpack(v, tensors) for v in value]
    if not isinstance(value, dict):
        return value
    if "$tensor" in value:
        return tensors[value["$tensor"]]
    if "$tuple" in value:
        return tuple(_unpack(v, tensors) for v in value["$tuple"])
    return {k: _unpack(v, tensors) for k, v in value["$items"]}


def _read_tensors(path: Path) -> dict[str, Tensor]:
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        return load_file(path)
    except SafetensorError as error:
        raise ValueError(f"{path} is damaged: it is not safetensors ({error}); use another checkpoint") from error


def _read_json(path: Path) -> Any:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{path} is damaged: it is not JSON ({error}); use another checkpoint") from error


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _flush(path: Path) -> None:
    """Flush a file or a directory to disk."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
