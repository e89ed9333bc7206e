"""What is done: results read back, those of another protocol than today's left aside."""

from __future__ import annotations

import json
from typing import Any

from protocol import HOME, Job, Protocol, jobs


def result(job: Job) -> dict[str, Any] | None:
    """The result of a job, None if it is missing, damaged or of what the row said before."""
    try:
        found = json.loads(job.path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return found if isinstance(found, dict) and found.get("fingerprint") == job.fingerprint else None


def results(name: str, protocol: Protocol) -> dict[tuple[str, str], list[dict[str, Any]]]:
    """All results of a protocol by row and setting, whatever their seeds."""
    found: dict[tuple[str, str], list[dict[str, Any]]] = {}
    for job in jobs({name: protocol}, seeds_with_results(name)):
        one = result(job)
        if one is not None:
            found.setdefault((job.row, job.setting), []).append(one)
    return found


def seeds_with_results(name: str) -> list[int]:
    """Every seed that has left a file under the protocol's folder."""
    return sorted({int(path.stem.removeprefix("seed-")) for path in (HOME / "results" / name).glob("*/*/seed-*.json")})
