"""Batches that were skipped and times that learning was rolled back, in words."""

from __future__ import annotations

from typing import TYPE_CHECKING

from perdure.report._compare import Comparison, Summary
from perdure.report._words import join

if TYPE_CHECKING:
    from perdure.evaluation._record import Record

MOST_REASONS = 3  # of a kind, for each record


def incidents(comparison: Comparison) -> list[str]:
    """A line for each method in which batches were skipped or learning was rolled back; none where all went well."""
    return [
        f"{method.name}: {'; '.join(f'seed {record.seed} {befell(record)}' for record in troubled(method))}"
        for method in comparison.methods
        if troubled(method)
    ]


def troubled(method: Summary) -> list[Record]:
    """The records of a method that skipped or rolled back."""
    return [record for record in method.records if record.num_skipped or record.num_rollbacks]


def befell(record: Record) -> str:
    """What a record counts, as in ``skipped 3 batches and was rolled back once``; empty where nothing went wrong."""
    said = []
    if record.num_skipped:
        said.append(f"skipped {record.num_skipped:,} batch{'es' * (record.num_skipped != 1)}")
    if record.num_rollbacks:
        said.append(f"was rolled back {_times(record.num_rollbacks)}")
    return " and ".join(said)


def reasons(record: Record) -> list[str]:
    """The first reasons of each kind, and how many more there are."""
    said = []
    for kind, count in (("rollback", record.num_rollbacks), ("skipped", record.num_skipped)):
        texts = [incident.text for incident in record.incidents if incident.kind == kind][:MOST_REASONS]
        said += texts
        if count > len(texts) > 0:
            said.append(f"and {count - len(texts):,} more")
    return said


def rollback_note(comparison: Comparison) -> str:
    """Which methods did not learn at one rate all along; empty where all did."""
    names = [method.name for method in comparison.methods if any(record.num_rollbacks for record in method.records)]
    return f"Rolled back after diverging, then on at a lower learning rate: {join(names)}." if names else ""


def _times(number: int) -> str:
    return {1: "once", 2: "twice"}.get(number, f"{number:,} times")
