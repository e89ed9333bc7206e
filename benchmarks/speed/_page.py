"""docs/performance.md, from page.md and the last results."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from _table import OTHERS, head, line, summary
from anatomy import table

HERE = Path(__file__).parent
PAGE = HERE.parents[1] / "docs" / "performance.md"


def write_page() -> None:
    PAGE.write_text(page())
    print(f"wrote {PAGE}")


def page() -> str:
    text = (HERE / "page.md").read_text().replace("OTHERS", _others())
    results = [_results(json.loads(path.read_text())) for path in sorted((HERE / "results").glob("*.json"))]
    for path in (HERE / "results" / "anatomy").glob("*.json"):
        text = text.replace(f"ANATOMY {path.stem}\n", table(json.loads(path.read_text())) + "\n")
    return text.replace("RESULTS", "\n".join(results) or "(No results yet: run `make bench-speed`.)")


def _results(found: dict[str, Any]) -> str:
    lines = [line(cell) for cell in found["cells"]]
    about = f"{found['machine']}, PyTorch {found['torch']}, {found['date']}, medians of {found['runs']} paired runs:"
    return "\n".join(
        [about, "", head(), *lines, "", *(f"    {text}" for text in summary(found["cells"]).strip().splitlines()), ""]
    )


def _others() -> str:
    versions = OTHERS["versions"]
    return f"{versions['Avalanche']} and {versions['Mammoth']}, both with PyTorch {versions['torch']}"
