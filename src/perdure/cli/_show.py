"""Results on stdout."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rich.table import Table

WIDE = 200


def show_table(table: Table) -> None:
    """Print a table, fitted to a terminal; in full elsewhere."""
    from rich.console import Console

    console = Console(highlight=False, markup=False)
    if not console.is_terminal:
        console = Console(highlight=False, markup=False, width=WIDE)
    console.print(table)


def show_json(value: Mapping[str, Any] | list[Any]) -> None:
    """Print one JSON value."""
    json.dump(value, sys.stdout, indent=1, allow_nan=False, ensure_ascii=False)
    print()
