"""Where data sets lie."""

from __future__ import annotations

import importlib.util
import os
from dataclasses import dataclass
from pathlib import Path

from perdure.datasets._catalogue import describe
from perdure.datasets._files import cache_dir
from perdure.datasets._info import DatasetInfo, Layout


@dataclass(frozen=True)
class Found:
    """A data set on disk, in one of its layouts."""

    folder: Path
    layout: Layout
    files: tuple[Path, ...]


def roots(root: Path | str | None) -> list[Path]:
    """The folders to search, in order: ``root``, ``PERDURE_DATA``, the user's cache."""
    kept = []
    for origin, place in (("root=", root), ("PERDURE_DATA=", os.environ.get("PERDURE_DATA"))):
        if place:
            path = Path(place).expanduser()
            if not path.is_dir():
                raise NotADirectoryError(f"{origin}{place} is not a folder: name the one that holds the data sets")
            kept.append(path)
    return [*kept, cache_dir()]


def find(info: DatasetInfo, places: list[Path]) -> Found | None:
    """The first layout of which every file is there, place by place."""
    if info.package:
        spec = importlib.util.find_spec(info.package)
        return Found(Path(spec.origin).parent, info.layouts[0], ()) if spec and spec.origin else None
    for place in places:
        for layout in info.layouts:
            folder = place / layout.folder
            files = [_present(folder / name) for name in layout.files]
            if all(files):
                return Found(folder, layout, tuple(path for path in files if path))
    return None


def _present(path: Path) -> Path | None:
    return next((p for p in (path, path.with_name(path.name + ".gz")) if p.is_file()), None)


def locate(name: str, *, root: Path | str | None = None) -> Path | None:
    """The folder that ``load(name, root=root)`` would read, or None where it would have to download.

    >>> locate("digits").name
    'sklearn'
    """
    found = find(describe(name), roots(root))
    return found.folder if found else None
