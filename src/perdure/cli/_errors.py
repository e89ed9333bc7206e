"""Errors as one line."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence

from perdure.cli._words import printable

FLAGS = {
    "seed": "seeds",
    "size": "image-size",
    "on_error": "on-checkpoint-error",
    "on_bad_batch": "on-bad-batch",
    "on_divergence": "on-divergence",
} | {name: name for name in ("experiences", "order", "holdout", "test", "target", "features", "by", "draw", "memory")}
MOST_CHARACTERS = 2000


def debugging(arguments: Sequence[str]) -> bool:
    """Whether tracebacks are wanted."""
    return "--debug" in arguments or os.environ.get("PERDURE_DEBUG", "") not in ("", "0")


def one_line(error: BaseException) -> str:
    """The message of an error without line breaks; the library's arguments are written as the options that set them.

    >>> one_line(ValueError("draw 32 > capacity 8: lower draw= or raise the memory"))
    'draw 32 > capacity 8: lower --draw or raise the memory'
    >>> one_line(ValueError('leave it out (on_bad_batch="skip")'))
    'leave it out (--on-bad-batch skip)'
    """
    if isinstance(error, OSError) and error.filename is not None and error.strerror:
        return printable(f"{error.filename}: {error.strerror}")
    text = printable(" ".join(str(error).split())) or type(error).__name__

    def rewrite(found: re.Match[str]) -> str:
        value = found[2] or found[3]
        return f"--{FLAGS[found[1]]}{' ' * bool(value)}{value}"

    text = re.sub(rf'\b({"|".join(FLAGS)})=(?:"(\w+)"|([^\s,;:)]?))', rewrite, text)
    return text if len(text) <= MOST_CHARACTERS else f"{text[:MOST_CHARACTERS]}…"
