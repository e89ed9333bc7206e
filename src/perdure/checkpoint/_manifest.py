"""The manifest: what belongs to a checkpoint, with sizes and checksums."""

from __future__ import annotations

import hashlib
import json
import stat
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

FORMAT = 2
MANIFEST, STATE, TENSORS = "manifest.json", "state.json", "tensors.safetensors"
ROWS = "rows"  # folder beside checkpoints of one run: rows of memories that several of them share
MAX_MANIFEST_BYTES = 1 << 20
MAX_STATE_BYTES = 64 << 20


@dataclass(frozen=True)
class File:
    """Size and checksum of a file."""

    bytes: int
    sha256: str


@dataclass(frozen=True)
class Manifest:
    """``files``: those in the checkpoint's own folder; ``rows``: those in ``ROWS`` beside it, in the order in which
    they are laid over each other. ``ranks``: how many processes saved it.
    """

    format: int
    perdure: str
    torch: str
    ranks: int
    files: dict[str, File]
    rows: dict[str, File]

    def to_json(self) -> str:
        """As written to ``MANIFEST``."""
        return json.dumps(asdict(self), indent=1)


def rank_file(name: str, rank: int) -> str:
    """``name`` as the process ``rank`` calls it.

    >>> rank_file("state.json", 0), rank_file("state.json", 1)
    ('state.json', 'state.1.json')
    """
    stem, _, suffix = name.partition(".")
    return f"{stem}.{rank}.{suffix}" if rank else name


def measure(path: Path) -> File:
    """Size and checksum of the file at ``path``."""
    with path.open("rb") as file:
        return File(path.stat().st_size, hashlib.file_digest(file, "sha256").hexdigest())


def read_manifest(checkpoint: Path) -> Manifest:
    """The manifest of a checkpoint.

    Raises ``FileNotFoundError`` if there is none, ``ValueError`` if it is damaged or of another format.
    """
    from pydantic import TypeAdapter

    path = checkpoint / MANIFEST
    if not path.exists():
        raise FileNotFoundError(f"{checkpoint} is not a checkpoint: it has no {MANIFEST}")
    found = read_json(path, MAX_MANIFEST_BYTES)
    version = found.get("format") if isinstance(found, dict) else None
    if version != FORMAT:
        raise ValueError(
            f"{checkpoint} has checkpoint format {version!r}, this version reads {FORMAT}: load it with the version "
            "of perdure that saved it, or learn anew"
        )
    try:
        manifest = TypeAdapter(Manifest).validate_json(json.dumps(found), strict=True)
    except ValueError as error:
        raise damaged(path, "it is no manifest") from error
    expected = {rank_file(name, rank) for name in (STATE, TENSORS) for rank in range(min(manifest.ranks, 1 << 16))}
    if manifest.ranks < 1 or manifest.files.keys() != expected:
        raise damaged(path, f"it should name {sorted(expected)[:4]}")
    for name in manifest.rows:
        if not (name.endswith(".safetensors") and name.removesuffix(".safetensors").isdecimal()):
            raise damaged(path, f"it names {name!r}, which is no file of rows")
    return manifest


def verify(path: Path, file: File) -> None:
    """Raise ``ValueError`` unless the file at ``path`` is a plain file of that size and checksum."""
    if not is_plain(path):
        raise damaged(path, "it is missing, or a link")
    if path.stat().st_size != file.bytes or measure(path) != file:
        raise damaged(path, f"size or checksum are not those in {MANIFEST}")


def read_json(path: Path, limit: int) -> Any:
    """What the JSON file at ``path`` holds, if it is a plain file of at most ``limit`` bytes."""
    if not is_plain(path):
        raise damaged(path, "it is missing, or a link")
    if (size := path.stat().st_size) > limit:
        raise ValueError(f"{path} has {size:,} bytes, at most {limit:,} are read: it is not one that perdure wrote")
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, RecursionError) as error:
        raise damaged(path, f"it is not JSON ({str(error)[:80]})") from error


def is_plain(path: Path) -> bool:
    """Whether there is a file at ``path`` that is neither a link nor a device."""
    try:
        return stat.S_ISREG(path.lstat().st_mode)
    except OSError:
        return False


def damaged(path: Path, why: str) -> ValueError:
    """The error for a file that cannot be used."""
    return ValueError(f"{path} is damaged: {why}; use another checkpoint")
