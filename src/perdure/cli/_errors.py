"""Errors as one line."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence

ARGUMENTS = ("experiences", "order", "holdout", "test", "target", "features", "by", "draw", "memory", "seed")


def debugging(arguments: Sequence[str]) -> bool:
    """Whether tracebacks are wanted."""
    return "--debug" in arguments or os.environ.get("PERDURE_DEBUG", "") not in ("", "0")


def one_line(error: BaseException) -> str:
    """The message of an error without line breaks; the library's arguments are written as the options that set them.

    >>> one_line(ValueError("draw 32 > capacity 8: lower draw= or raise the memory"))
    'draw 32 > capacity 8: lower --draw or raise the memory'
    """
    if isinstance(error, OSError) and error.filename is not None and error.strerror:
        return f"{error.filename}: {error.strerror}"
    text = " ".join(str(error).split()) or type(error).__name__
    text = re.sub(rf"\b({'|'.join(ARGUMENTS)})=(?=[\w\"'])", r"--\1 ", text)
    text = re.sub(rf"\b({'|'.join(ARGUMENTS)})=", r"--\1", text)
    return re.sub(r"\bsize=", "--image-size ", text)
