"""Folders of images by class: which files there are."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from perdure.streams._errors import FileError
from perdure.streams.files._bad_rows import TOLD, left_out_note, refusal
from perdure.streams.files._errors import missing
from perdure.streams.files._images import trouble
from perdure.streams.files._paths import inside, regular

ENDINGS = (".png", ".jpg", ".jpeg", ".webp", ".bmp")


@dataclass(frozen=True)
class Folder:
    """The images ``path/<class>/*`` with their class numbers, and how many other files lie beside them."""

    classes: tuple[str, ...]
    files: tuple[Path, ...]
    labels: tuple[int, ...]
    num_others: int


def list_folder(path: Path, classes: Sequence[str] | None = None) -> Folder:
    """What is in ``path``. Its sub-folders are the classes, sorted as numbers if they are some; or ``classes`` are."""
    if not path.is_dir():
        raise FileNotFoundError(f"{path}: no such folder: check the path")
    found = [entry for entry in _visible(path) if entry.is_dir()]
    by_number = all(entry.name.isdecimal() for entry in found)
    names = (
        tuple(sorted((entry.name for entry in found), key=int if by_number else str))
        if classes is None
        else tuple(classes)
    )
    if len(names) < 2:
        raise FileError(
            f"{path}: {len(found)} sub-folders: put the images of each class into one, at least two classes"
        )
    files: list[Path] = []
    labels: list[int] = []
    num_others = 0
    for entry in found:
        if entry.name not in names:
            raise missing(path, "class learnt from that is called", entry.name, names)
        entries = _visible(inside(path, entry))
        images = [regular(inside(path, file)) for file in entries if file.suffix.lower() in ENDINGS]
        if not images:
            raise FileError(f"{entry}: no image here ({', '.join(ENDINGS)}): add some, or remove the folder")
        files += images
        labels += [names.index(entry.name)] * len(images)
        num_others += len(entries) - len(images)
    return Folder(names, tuple(files), tuple(labels), num_others)


def without_bad(path: Path, folder: Folder) -> tuple[Folder, list[str]]:
    """``folder`` in ``path`` less the images that cannot be decoded, and a note on these. Decodes every image."""
    found = [trouble(file) for file in folder.files]
    good = [i for i, why in enumerate(found) if not why]
    count = len(found) - len(good)
    if not count:
        return folder, []
    bad = [(file, why) for file, why in zip(folder.files, found, strict=True) if why]
    reasons = [f"{file}: {why}" for file, why in bad[:TOLD]]
    if 2 * count > len(found):
        raise FileError(refusal(path, count, len(found), "images", reasons, "what they are"))
    labels = tuple(folder.labels[i] for i in good)
    for label in sorted(set(folder.labels) - set(labels)):
        first = found[folder.labels.index(label)]
        raise FileError(
            f"{path / folder.classes[label]}: no image here can be read ({first}): add some, or remove the folder"
        )
    kept = replace(folder, files=tuple(folder.files[i] for i in good), labels=labels)
    return kept, [left_out_note(count, f"{len(found)} images", "read", reasons)]


def _visible(path: Path) -> list[Path]:
    return sorted(entry for entry in path.iterdir() if not entry.name.startswith("."))
