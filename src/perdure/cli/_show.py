"""Results on stdout."""

from __future__ import annotations

import json
import sys
from collections.abc import Collection, Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rich.table import Table

WIDE = 200


def show_table(table: Table) -> None:
    """Print a table, fitted to a terminal; in full elsewhere."""
    from rich.console import Console

    console = Console(highlight=False, markup=False)
    if console.is_terminal:
        console.print(table)
        return
    console = Console(highlight=False, markup=False, width=WIDE)
    with console.capture() as captured:
        console.print(table)
    print("\n".join(line.rstrip() for line in captured.get().strip("\n").splitlines()))


def plain_table(*columns: str, right: Collection[str] = ()) -> Table:
    """An empty table; the columns ``right`` are set flush right."""
    from rich.box import SIMPLE_HEAD
    from rich.table import Table

    table = Table(box=SIMPLE_HEAD, pad_edge=False)
    for column in columns:
        table.add_column(column, overflow="fold", justify="right" if column in right else "left")
    return table


def show_json(value: Mapping[str, Any] | list[Any]) -> None:
    """Print one JSON value."""
    json.dump(value, sys.stdout, indent=1, allow_nan=False, ensure_ascii=False)
    print()
