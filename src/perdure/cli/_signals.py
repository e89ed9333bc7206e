"""SIGTERM ends a command as Ctrl-C does: what is held is let go of, and a script sees which it was."""

from __future__ import annotations

import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import TYPE_CHECKING

from perdure._interrupts import Interrupted
from perdure.cli._codes import SIGNALLED

if TYPE_CHECKING:
    from sys import UnraisableHookArgs


class Signals:
    """``caught``: the first signal that has arrived, 0 if none has."""

    caught = 0

    def check(self) -> None:
        """Raise ``Interrupted`` if a signal has arrived and what it raised was lost."""
        if self.caught:
            raise Interrupted(self.caught)


@contextmanager
def interruptible() -> Iterator[Signals]:
    """Raise ``Interrupted`` where SIGINT or SIGTERM arrives; only the main thread can do so.

    Python drops what is raised while it clears an object away: such a signal is ``caught``, to be checked now and then.
    """
    signals = Signals()
    if threading.current_thread() is not threading.main_thread():
        yield signals
        return

    def leave(number: int, frame: FrameType | None) -> None:
        signals.caught = signals.caught or number
        raise Interrupted(number)

    def tell(lost: UnraisableHookArgs) -> None:
        if not issubclass(lost.exc_type, Interrupted):
            told_by(lost)

    before = {number: signal.signal(number, leave) for number in (signal.SIGINT, signal.SIGTERM)}
    told_by, sys.unraisablehook = sys.unraisablehook, tell
    try:
        yield signals
    finally:
        sys.unraisablehook = told_by
        for number, handler in before.items():
            signal.signal(number, handler)


def exit_code(interrupt: KeyboardInterrupt) -> int:
    """130 for Ctrl-C, 143 for SIGTERM."""
    return SIGNALLED + (interrupt.signal if isinstance(interrupt, Interrupted) else signal.SIGINT)
