"""SIGTERM ends a command as Ctrl-C does: what is held is let go of, and a script sees which it was."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from perdure._interrupts import Interrupted
from perdure.cli._codes import SIGNALLED


@contextmanager
def terminable() -> Iterator[None]:
    """Raise ``Interrupted`` where SIGTERM arrives; only the main thread can do so."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def leave(number: int, frame: FrameType | None) -> None:
        raise Interrupted(number)

    before = signal.signal(signal.SIGTERM, leave)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def exit_code(interrupt: KeyboardInterrupt) -> int:
    """130 for Ctrl-C, 143 for SIGTERM."""
    return SIGNALLED + (interrupt.signal if isinstance(interrupt, Interrupted) else signal.SIGINT)
