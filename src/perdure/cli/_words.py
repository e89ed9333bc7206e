"""What people wrote: the nearest known name, and no control over the terminal."""

from __future__ import annotations

import re
from collections.abc import Iterable
from difflib import get_close_matches


def hint(name: str, known: Iterable[str]) -> str:
    """A question to put into an error message; empty where nothing is near.

    >>> hint("--epoch", ["--epochs", "--lr"])
    'did you mean --epochs? '
    """
    near = get_close_matches(name, list(known), n=1, cutoff=0.5)
    return f"did you mean {near[0]}? " if near else ""


def printable(text: str) -> str:
    """Without characters that steer a terminal or cannot be written.

    >>> printable("a\x1b[2Jb")
    'a�[2Jb'
    """
    return re.sub(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff]", "\ufffd", text)
