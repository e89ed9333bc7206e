"""Errors as one line."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence

FLAGS = {"seed": "seeds", "size": "image-size"} | {
    name: name for name in ("experiences", "order", "holdout", "test", "target", "features", "by", "draw", "memory")
}


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

    def rewrite(found: re.Match[str]) -> str:
        return f"--{FLAGS[found[1]]}{' ' * bool(found[2])}{found[2]}"

    return re.sub(rf"\b({'|'.join(FLAGS)})=([^\s,;:)]?)", rewrite, text)
