"""The one error for examples that cannot be read."""

from __future__ import annotations

LONGEST = 1000  # characters of a message: names and cells of a hostile file have any length


class FileError(ValueError):
    """A file, or an item of a dataset, that cannot be used: one line on what was found and what to do.

    What the file itself brings into the message can neither break the line nor steer the terminal.
    """

    def __init__(self, message: str) -> None:
        line = "".join(c if c.isprintable() else repr(c)[1:-1] for c in " ".join(message.split()))
        super().__init__(line if len(line) <= LONGEST else f"{line[: LONGEST - 300]} ... {line[-300:]}")


def first_line(error: Exception) -> str:
    """What an error says, shortened."""
    return " ".join((str(error) or type(error).__name__).split())[:200]
