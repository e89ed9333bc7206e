"""Keep two processes out of one folder."""

from __future__ import annotations

import json
import os
import socket
import time
from collections.abc import Callable
from pathlib import Path
from typing import Self

from filelock import FileLock, Timeout


class Locked(RuntimeError):
    """Another living process works in the folder."""


class FolderLock:
    """Holds ``folder`` while the ``with`` block runs; the system lets go of it if the process dies."""

    def __init__(self, folder: Path, say: Callable[[str], object]) -> None:
        self._folder, self._say = folder, say
        self._lock = FileLock(folder / "lock")
        self._owner = folder / "owner.json"

    def __enter__(self) -> Self:
        try:
            self._lock.acquire(timeout=0)
        except Timeout:
            raise Locked(
                f"{self._folder} is in use by {self._found()}: wait for it, or choose another folder"
            ) from None
        if self._owner.exists():
            self._say(f"{self._folder} was left by {self._found()}, which has died: taken over")
        started = time.strftime("%Y-%m-%d %H:%M:%S")
        self._owner.write_text(json.dumps({"pid": os.getpid(), "host": socket.gethostname(), "started": started}))
        return self

    def __exit__(self, *_: object) -> None:
        self._owner.unlink(missing_ok=True)
        self._lock.release()

    def _found(self) -> str:
        try:
            owner = json.loads(self._owner.read_text())
            return f"process {owner['pid']} on {owner['host']} (since {owner['started']})"
        except (OSError, ValueError, KeyError, TypeError):
            return "another process"
