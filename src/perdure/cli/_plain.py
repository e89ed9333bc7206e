"""Files from anywhere, read with limits: plain YAML, and run folders without links."""

from __future__ import annotations

import os
import stat
from pathlib import Path
from typing import Any

import yaml

MAX_CONFIG_BYTES = 1_000_000
MAX_SHOWN = 200


class _Loader(yaml.SafeLoader):
    """YAML without aliases: a few lines of them stand for gigabytes."""

    def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
        """A node, unless it is an alias."""
        if self.check_event(yaml.AliasEvent):
            raise yaml.YAMLError("it has an alias (*name): write the value again")
        return super().compose_node(parent, index)


def read_yaml(path: Path) -> Any:
    """What a small YAML file holds; ``ValueError`` in one line where it is none."""
    try:
        return yaml.load(read_bytes(path, MAX_CONFIG_BYTES).decode(), _Loader)  # noqa: S506 a SafeLoader
    except (yaml.YAMLError, ValueError, LookupError, TypeError, AttributeError, OverflowError) as error:
        why = " ".join(str(error).split())[:MAX_SHOWN]
    except RecursionError:
        why = "it is nested too deeply"
    raise ValueError(f"{path} is not YAML: {why}")


def read_bytes(path: Path, limit: int) -> bytes:
    """A file of at most ``limit`` bytes; ``ValueError`` if there are more."""
    with path.open("rb") as file:
        content = file.read(limit + 1)
    if len(content) > limit:
        raise ValueError(f"it has more than {limit:,} bytes")
    return content


def refuse_odd_files(run: Path) -> None:
    """Raise ``ValueError`` naming the first thing in a run folder that is neither a plain file nor a folder.

    Perdure makes no links, and one in the folder of a stranger may lead anywhere.
    """
    for folder, folders, files in os.walk(run):
        for path in (Path(folder, name) for name in (*folders, *files)):
            try:
                mode = path.lstat().st_mode
            except FileNotFoundError:  # a process that works in it has renamed or removed it
                continue
            if not (stat.S_ISREG(mode) or stat.S_ISDIR(mode)):
                what = "a link" if stat.S_ISLNK(mode) else "neither a file nor a folder"
                raise ValueError(f"{path} is {what}, and the folder of a run has none: remove it")
