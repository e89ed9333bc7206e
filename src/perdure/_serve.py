"""A process of a ``Pool``: it reads what to do on stdin, a line each, and writes what it has to say on stdout.

It ends when stdin does, in the midst of work too, so that it never outlives what started it.
"""

from __future__ import annotations

import json
import os
import queue
import sys
import threading
from collections.abc import Callable, Mapping
from typing import Any, NoReturn

Message = Mapping[str, Any]
Say = Callable[[Message], None]
LAST = "last"


def serve(
    prepare: Callable[[Message, Say], Callable[[Message], Message]], load: Callable[[], object] = lambda: None
) -> NoReturn:
    """Answer tasks until told no more.

    ``prepare(hello, say)`` gets what is sent first, and returns what does one task; ``say`` tells of it meanwhile.
    ``load`` is called before anything is sent.
    """
    replies = os.dup(1)
    os.dup2(2, 1)  # what prints does not disturb
    lock = threading.Lock()

    def say(message: Message) -> None:
        line = f"{json.dumps(message)}\n".encode()
        with lock:
            while line:  # a line is written in one go, or nothing is left of it to disturb the next
                line = line[os.write(replies, line) :]

    asked: queue.SimpleQueue[Message] = queue.SimpleQueue()
    threading.Thread(target=_listen, args=(asked,), daemon=True).start()
    load()
    do = prepare(asked.get(), say)
    while True:
        say({**do(asked.get()), LAST: True})


def _listen(asked: queue.SimpleQueue[Message]) -> None:
    for line in sys.stdin:
        asked.put(json.loads(line))
    os._exit(0)
