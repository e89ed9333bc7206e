"""Cells of text as numbers, as Arrow's reader of CSV takes them; what is no number has no value."""

from __future__ import annotations

from typing import Any

NUMBER = r"\A[ \t]*[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?[ \t]*\z"
TRUE, FALSE = (b"1", b"True", b"TRUE", b"true"), (b"0", b"False", b"FALSE", b"false")


def numbers(cells: Any) -> Any:
    """An Arrow array of bytes as one of float64."""
    import pyarrow
    from pyarrow import compute

    known = compute.match_substring_regex(cells, NUMBER)
    text = compute.if_else(known, cells, pyarrow.scalar(None, cells.type)).cast(pyarrow.string())
    return compute.ascii_trim(text, " \t").cast(pyarrow.float64())


def truths(cells: Any) -> Any:
    """An Arrow array of bytes as one of booleans."""
    import pyarrow
    from pyarrow import compute

    true, false = (compute.is_in(cells, pyarrow.array(words, cells.type)) for words in (TRUE, FALSE))
    return compute.if_else(compute.or_(true, false), true, pyarrow.scalar(None, pyarrow.bool_()))


def share_of_numbers(cells: Any) -> float:
    """How many of the cells that have a value are numbers: from 0 to 1."""
    given = len(cells) - cells.null_count
    return (len(cells) - numbers(cells).null_count) / given if given else 0.0
