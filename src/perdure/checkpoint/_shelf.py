"""The folder of a run's checkpoints: their names, the rows they share, which of them stay."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from perdure._files import PART, flush
from perdure.checkpoint._lock import FolderLock
from perdure.checkpoint._manifest import ROWS, File, read_manifest
from perdure.checkpoint._pack import Path as Key
from perdure.checkpoint._read import Saved, read_checkpoint
from perdure.checkpoint._stage import Staged
from perdure.checkpoint._write import write_tensors

NAME = re.compile(r"(\d{6,})-update-(\d+)")
MOST_ROW_FILES = 16  # laid over each other; then memories are saved whole again


class Shelf:
    """Checkpoints ``000012-update-600`` in the order of their numbers; ``rows/`` holds what they share."""

    def __init__(self, folder: Path, keep: int, say: Callable[[str], object]) -> None:
        self.folder = folder
        self._keep, self._say = keep, say
        self._lock: FolderLock | None = None
        self._damaged: set[str] = set()
        self._forget()

    def _forget(self) -> None:
        self._rows: dict[str, dict[str, File]] = {}  # of each checkpoint
        self._chain: dict[str, File] = {}  # what the next one is laid over
        self._number = 0

    def open(self) -> None:
        """Take the folder, make it if needed, clear away what a killed process left half written."""
        self.folder.mkdir(parents=True, exist_ok=True)
        if (rows := self.folder / ROWS).is_symlink():
            raise ValueError(f"{rows} is a link, and files are removed there: put a folder in its place")
        lock = FolderLock(self.folder, self._say)
        lock.__enter__()
        self._lock = lock
        self._forget()
        for left in (*self.folder.glob(f".*{PART}"), *(self.folder / ROWS).glob(f".*{PART}")):
            self.drop(left)
        for path in self._paths():
            self._find_rows(path)
        numbers = [int(path.stem) for path in (self.folder / ROWS).glob("*.safetensors") if path.stem.isdecimal()]
        self._number = max([0, *numbers, *(_number(path) for path in self._paths())])

    def close(self) -> None:
        """Leave the folder to others."""
        if self._lock is not None:
            self._lock.__exit__(None, None, None)
            self._lock = None

    def newest(self) -> Saved | None:
        """The newest checkpoint that is whole."""
        paths = self._paths()
        for path in reversed(paths):
            try:
                return read_checkpoint(path)
            except (ValueError, OSError) as error:
                self._damaged.add(path.name)
                self._say(f"{error}{'' if path == paths[0] else ' (the one before it is tried)'}")
        if paths:
            self._say(f"no checkpoint in {self.folder} is whole: there is nothing to go on from")
        return None

    def last_name(self) -> str:
        """The name of the newest, "" if there is none."""
        return next((path.name for path in reversed(self._paths()) if path.name not in self._damaged), "")

    def next(self, updates: int) -> Path:
        """Where the next checkpoint goes."""
        self._number += 1
        return self.folder / f"{self._number:06d}-update-{updates}"

    def base(self, since: dict[Key, int] | None) -> dict[Key, int] | None:
        """``since`` if rows written since then can be laid over those that are here, None to save them all."""
        files = list(self._chain.values())
        if not files or len(files) >= MOST_ROW_FILES or sum(f.bytes for f in files[1:]) > files[0].bytes:
            return None
        return since

    def add_rows(self, staged: Staged) -> dict[str, File]:
        """Write the rows of memories; the files that make up all of them."""
        if not staged.rows:
            self._chain = {}
            return {}
        folder = self.folder / ROWS
        folder.mkdir(exist_ok=True)
        path = folder / f"{self._number:06d}.safetensors"
        part = folder / f".{path.name}{PART}"
        before = {} if staged.whole else self._chain
        self._chain = {}  # until this one is written
        try:
            written = write_tensors(part, staged.rows)
            part.rename(path)
        except BaseException:
            self.drop(part)
            raise
        flush(folder)
        self._chain = before | {path.name: written}
        return dict(self._chain)

    def put(self, path: Path, rows: dict[str, File]) -> None:
        """The checkpoint ``path`` is complete."""
        self._rows[path.name] = rows

    def tidy(self, keep: int | None = None) -> None:
        """Remove all but the last ones, and the rows that only they needed."""
        paths = self._paths()
        for path in paths:
            self._find_rows(path)
        whole = [path for path in paths if path.name not in self._damaged]
        stay = whole[-(keep or self._keep) :]
        if keep is None and stay:
            newest = self._rows[stay[-1].name]
            apart = (path for path in reversed(whole) if not newest.keys() & self._rows[path.name].keys())
            stay = [*stay, *([found] if (found := next(apart, None)) else [])]
        for path in paths:
            if path not in stay:
                self.drop(path)
                del self._rows[path.name]
        needed = {name for rows in self._rows.values() for name in rows} | self._chain.keys()
        for path in (self.folder / ROWS).glob("*.safetensors"):
            if path.name not in needed:
                path.unlink(missing_ok=True)
        if not needed:
            with suppress(OSError):
                (self.folder / ROWS).rmdir()

    def drop(self, path: Path) -> None:
        """Remove a file or a folder, which disappears whole."""
        if path.is_dir() and not path.is_symlink():
            gone = path if path.name.endswith(PART) else path.rename(path.with_name(f".{path.name}{PART}"))
            shutil.rmtree(gone, ignore_errors=True)
        else:
            path.unlink(missing_ok=True)

    def _find_rows(self, path: Path) -> None:
        """Read which rows the checkpoint ``path`` shares, if that is not known; none if it is damaged."""
        if path.name not in self._rows:
            try:
                self._rows[path.name] = read_manifest(path).rows
            except (ValueError, OSError):
                self._rows[path.name] = {}

    def _paths(self) -> list[Path]:
        if not self.folder.is_dir():
            return []
        found = (path for path in self.folder.iterdir() if NAME.fullmatch(path.name) and not path.is_symlink())
        return sorted(found, key=_number)


def _number(path: Path) -> int:
    found = NAME.fullmatch(path.name)
    return int(found[1]) if found else 0
