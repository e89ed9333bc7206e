"""The nearest name to what somebody wrote."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches


def hint(name: str, known: Iterable[str]) -> str:
    """A question to put into an error message; empty where nothing is near.

    >>> hint("--epoch", ["--epochs", "--lr"])
    'did you mean --epochs? '
    """
    near = get_close_matches(name, list(known), n=1, cutoff=0.5)
    return f"did you mean {near[0]}? " if near else ""
