"""Keep two processes out of one folder."""

from __future__ import annotations

import json
import os
import re
import socket
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Self

from perdure._files import write_file
from perdure.checkpoint._manifest import is_plain, read_json

MAX_OWNER_BYTES = 4096
_held: set[Path] = set()  # by this process


class Locked(RuntimeError):
    """Another living process works in the folder."""


class FolderLock:
    """Holds ``folder`` while the ``with`` block runs; the system lets go of it if the process dies.

    The file ``lock`` stays in the folder: what keeps others out is the system's lock on it, not its being there.
    ``owner.json`` says who holds it, and is gone when nobody does. ``say`` is told if the last one died.
    """

    def __init__(self, folder: Path, say: Callable[[str], object]) -> None:
        from filelock import FileLock

        self._folder, self._say = folder, say
        self._lock = FileLock(folder / "lock")
        self._owner = folder / "owner.json"

    def __enter__(self) -> Self:
        """Raises ``Locked`` at once if another process holds the folder, ``OSError`` if it cannot be written to."""
        from filelock import Timeout

        if not self._folder.is_dir():
            raise FileNotFoundError(f"{self._folder} is not there: it was moved or removed")
        if os.path.lexists(lock := self._folder / "lock") and not is_plain(lock):
            raise ValueError(f"{lock} is no plain file: remove it")
        try:
            self._lock.acquire(timeout=0)
        except Timeout:
            pid, who = self._found()
            stop = f", stop it (kill {pid})" if pid else ""
            raise Locked(
                f"{self._folder} is in use by {who}: wait until it ends{stop}, or choose another folder"
            ) from None
        try:
            self._take()
        except BaseException:
            self._lock.release()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        _held.discard(self._folder.resolve())
        try:
            with suppress(OSError):  # read-only by now: that must not hide why
                self._owner.unlink(missing_ok=True)
        finally:
            self._lock.release()

    def _take(self) -> None:
        here = self._folder.resolve()
        if os.path.lexists(self._owner) and not _held.intersection(here.parents):  # else this was told of those above
            self._say(f"{self._folder} was left by {self._found()[1]}, which has died: taken over")
        started = time.strftime("%Y-%m-%d %H:%M:%S %z")
        owner = {"pid": os.getpid(), "host": socket.gethostname(), "started": started}
        write_file(self._owner, json.dumps(owner) + "\n")
        _held.add(here)

    def _found(self) -> tuple[int | None, str]:
        """The process that the owner's file names, and all it says; anybody may have written it."""
        try:
            owner = read_json(self._owner, MAX_OWNER_BYTES)
            pid = int(owner["pid"])
            host, started = (re.sub(r"[^\w.:+ -]", "?", str(owner[name]))[:64] for name in ("host", "started"))
        except (OSError, ValueError, LookupError, TypeError, OverflowError):
            return None, "another process"
        return pid, f"process {pid} on {host}, since {started}"
