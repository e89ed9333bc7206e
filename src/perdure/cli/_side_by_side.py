"""Learn methods and seeds in several processes at a time, which write into one run folder."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from types import FrameType
from typing import TYPE_CHECKING, Any

from perdure import Record
from perdure._interrupts import Interrupted
from perdure._pool import DIED, Pool
from perdure._serve import LAST, Message
from perdure.cli._config import dump
from perdure.cli._early import WORKER
from perdure.cli._relay import Relayed
from perdure.cli._trackers import prepare_trackers
from perdure.cli._unit import Stopped
from perdure.live import LiveFile, live_path

if TYPE_CHECKING:
    from perdure.cli._execution import Execution


def learn_side_by_side(execution: Execution, jobs: int, started: Pool | None = None) -> None:
    """Learn what is missing in ``jobs`` processes: those ``started`` already, if any, which have ended afterwards.

    Ctrl-C and SIGTERM let each of them finish its update and save it; a second Ctrl-C ends them at once. Raises what
    ``Units.learn`` does, when all have ended.
    """
    hello = {
        "options": dump(execution.options),
        "folder": str(execution.folder),
        "debug": execution.debug,
        "tuning": {method: asdict(spent) for method, spent in execution.tuning.items()},
    }
    prepare_trackers(execution.options, execution.folder, execution.progress.warn)
    with started or Pool(WORKER, jobs) as pool, stopping(pool):
        _Work(execution, pool, hello).do()


@contextmanager
def stopping(pool: Pool) -> Iterator[None]:
    """Hand the first SIGINT or SIGTERM on to the processes as SIGTERM, and raise ``Interrupted`` at the end; a second
    SIGINT kills them, and raises ``KeyboardInterrupt``.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    caught: list[int] = []

    def note(number: int, frame: FrameType | None) -> None:
        if caught and number == signal.SIGTERM:
            return
        caught.append(number)
        pool.stop(signal.SIGTERM if len(caught) == 1 else signal.SIGKILL)

    before = {number: signal.signal(number, note) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
    if len(caught) > 1:
        raise KeyboardInterrupt
    if caught:
        raise Interrupted(caught[0])


class _Work:
    """What is being learnt, with a row of progress each."""

    def __init__(self, execution: Execution, pool: Pool, hello: Message) -> None:
        self._execution, self._pool, self._hello = execution, pool, hello
        self._rows: dict[tuple[str, int], Relayed] = {}
        self._end: Exception | None = None

    def do(self) -> None:
        """All of it."""
        for task, said in self._pool.talk(self._hello, self._todo()):
            key = task["method"], task["seed"]
            self._rows[key].tell(said)
            if said.get(LAST):
                self._over(*key, said)
        if self._end is not None:
            raise self._end

    def _todo(self) -> Iterator[Message]:
        for method, seed in self._execution.todo():
            progress = self._execution.progress
            self._rows[method, seed] = Relayed(progress, progress.begin(method, seed))
            yield {"method": method, "seed": seed}

    def _over(self, method: str, seed: int, said: Message) -> None:
        """What came of it."""
        execution = self._execution
        if "record" in said:
            record = Record.from_json(said["record"])
            execution.keep(record, said["problem"])
            row = self._rows[method, seed].row
            assert row is not None
            row.end(record)
        elif "failed" in said:
            execution.fail(said["failed"], method=method)
        elif "failed seed" in said:
            if execution.missing(seed):  # or it was told of already
                execution.fail(said["failed seed"], seed=seed)
        elif "stopped" in said or "refused" in said:
            kinds: dict[str, Any] = {"stopped": Stopped, "refused": ValueError}
            self._end = next(kinds[kind](said[kind]) for kind in kinds if kind in said)
            self._pool.stop(signal.SIGTERM)
        elif not self._pool.stopping:
            LiveFile(live_path(execution.folder, method, seed), []).remove()
            how = said.get(DIED, "its process was told to end")
            execution.fail(f"{method}, seed {seed} failed: {how}: perdure resume goes on from its last checkpoint")
