"""Processes that stay and take one task after the other; one that dies leaves the others alone."""

from __future__ import annotations

import json
import os
import queue
import subprocess
import sys
import threading
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Self

from perdure._serve import LAST, Message

DIED = "died"


class Pool:
    """At most ``size`` processes of ``python -m module``, which ``perdure._serve.serve`` turns into servants.

    Each is sent the ``hello`` of ``talk`` first, then tasks, and says things about the one it works at, the last with
    ``LAST``. They have ``env`` beside the environment of this process, find modules where it does, and never outlive
    it. Ctrl-C in the terminal does not reach them: that is for ``stop``, and ``stopping`` is the signal it was given
    (0: none). What is raised within the ``with`` block ends them at once.
    ``quiet``: what they print is lost; otherwise it goes to stderr.
    """

    def __init__(self, module: str, size: int, env: Mapping[str, str] | None = None, *, quiet: bool = False) -> None:
        self._events: queue.SimpleQueue[tuple[_Servant | None, Message]] = queue.SimpleQueue()
        self._module, self._env, self._quiet = module, dict(env or {}), quiet
        self._size = size
        self._servants: list[_Servant] = []
        self.stopping = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.shrink(0)

    def begin(self) -> None:
        """Start them now: they load what they need while this process finds out what they are to do."""
        with suppress(OSError):  # as is said when there is something to do
            while len(self._servants) < self._size:
                self._start()

    def shrink(self, size: int) -> None:
        """No more than ``size`` from now on; those that are too many end at once."""
        self._size, gone = size, self._servants[size:]
        del self._servants[size:]
        for servant in gone:
            servant.process.kill()
        for servant in gone:
            servant.end()

    def held_bytes(self) -> int:
        """Of main memory, by each of them alone, as far as the system tells."""
        return sum(_private_bytes(servant.process.pid) for servant in self._servants)

    def talk(self, hello: Message, tasks: Iterable[Message]) -> Iterator[tuple[Message, Message]]:
        """Hand out ``tasks``, asking for the next one when somebody is free, and yield each with what is said of it.

        Of a task whose process dies the last is ``{DIED: how}``; another process takes its place.
        """
        todo = iter(tasks)
        while True:
            yield from self._hand_out(hello, todo)
            if not any(servant.task for servant in self._servants):
                return
            servant, said = self._events.get()
            if servant is None:
                self._obey()
                continue
            task = servant.task
            if said.get(LAST):
                servant.task = None
            if DIED in said and servant in self._servants:
                self._servants.remove(servant)
                servant.end()
            if task is not None:
                yield task, said

    def stop(self, number: int) -> None:
        """No more tasks; those that have begun get the signal ``number``. May be called by a signal handler."""
        self.stopping = number
        self._events.put((None, {}))

    def _hand_out(self, hello: Message, todo: Iterator[Message]) -> Iterator[tuple[Message, Message]]:
        while not self.stopping:
            self._forget_the_dead()
            free = next((servant for servant in self._servants if servant.task is None), None)
            if free is None and len(self._servants) == self._size:
                return
            task = next(todo, None)
            if task is None:
                return
            if free is None:
                try:
                    free = self._start()
                except OSError as error:
                    yield task, {DIED: f"no process could be started: {error.strerror or error}", LAST: True}
                    continue
            free.give(hello, task)

    def _start(self) -> _Servant:
        servant = _Servant(self._module, self._env, self._events, quiet=self._quiet)
        self._servants.append(servant)
        return servant

    def _forget_the_dead(self) -> None:
        """Those that died before they had anything to do: no task is lost with them."""
        for servant in [one for one in self._servants if one.task is None and one.process.poll() is not None]:
            self._servants.remove(servant)
            servant.end()

    def _obey(self) -> None:
        for servant in self._servants:
            if servant.task is not None:
                servant.process.send_signal(self.stopping)


class _Servant:
    """A process, its ``task`` if it has one, and a thread that hears what it says."""

    def __init__(
        self,
        module: str,
        env: dict[str, str],
        events: queue.SimpleQueue[tuple[_Servant | None, Message]],
        *,
        quiet: bool,
    ) -> None:
        path = os.pathsep.join(p for p in sys.path if p)
        self.process = subprocess.Popen(
            [sys.executable, "-P", "-m", module],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL if quiet else None,
            env=os.environ | {"PYTHONPATH": path} | env,
            encoding="utf-8",
            start_new_session=True,
        )
        self.task: Message | None = None
        self._greeted = False
        self._events = events
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def give(self, hello: Message, task: Message) -> None:
        """Let it work; ``hello`` comes before its first task."""
        self.task = task
        if not self._greeted:
            self._greeted = True
            self._write(hello)
        self._write(task)

    def end(self) -> None:
        """Wait until it has ended; idle ones do so when nothing more can be asked."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        with suppress(OSError):
            self.process.stdin.close()
        self.process.wait()
        self._reader.join()
        self.process.stdout.close()

    def _write(self, message: Message) -> None:
        assert self.process.stdin is not None
        with suppress(OSError):  # it has died, as the reader will say
            self.process.stdin.write(json.dumps(message) + "\n")
            self.process.stdin.flush()

    def _read(self) -> None:
        assert self.process.stdout is not None
        with suppress(ValueError):  # the last line of one that was killed may be cut off
            for line in self.process.stdout:
                self._events.put((self, json.loads(line)))
        self._events.put((self, {DIED: how_it_ended(self.process.wait()), LAST: True}))


def _private_bytes(pid: int) -> int:
    try:
        _, resident, shared, *_ = map(int, Path(f"/proc/{pid}/statm").read_text(encoding="ascii").split())
    except (OSError, ValueError):
        return 0
    return (resident - shared) * os.sysconf("SC_PAGE_SIZE")


def how_it_ended(code: int) -> str:
    """In words.

    >>> how_it_ended(-9), how_it_ended(3)
    ('its process ended with signal 9', 'its process ended with code 3')
    """
    return f"its process ended with {f'signal {-code}' if code < 0 else f'code {code}'}"
