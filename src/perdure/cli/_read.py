"""Records of earlier runs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from perdure import Record


def read_runs(runs: Sequence[str]) -> tuple[list[Record], dict[str, str]]:
    """The records of all ``runs``, and the method behind each name.

    A method that is in more than one run is called ``method (run)``. Raises ``ValueError`` where a folder is no run or
    a record is damaged.
    """
    found = {Path(run): read_run(Path(run)) for run in runs}
    names = [record_name for records in found.values() for record_name in {r.method for r in records}]
    methods: dict[str, str] = {}
    together = []
    for run, records in found.items():
        for record in records:
            name = record.method if names.count(record.method) == 1 else f"{record.method} ({run.resolve().name})"
            methods[name] = record.method
            together.append(replace(record, method=name))
    return together, methods


def read_run(run: Path) -> list[Record]:
    """The records of one run, in the order of their names."""
    if not run.is_dir():
        raise ValueError(f"{run}: no such folder: name the folder of a run")
    paths = sorted((run / "records").glob("*.json"))
    if not paths:
        raise ValueError(f"{run} is not the folder of a run: there is no record in {run / 'records'}")
    records = []
    for path in paths:
        try:
            records.append(Record.read(path))
        except (ValueError, AttributeError, TypeError) as error:
            raise ValueError(f"{path} is damaged: {str(error).splitlines()[0]}: remove it, or run again") from error
    return records
