"""The scores of a run as one JSON object."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from perdure import Record, list_methods
from perdure.metrics import Interval
from perdure.report import Comparison


def scores(comparison: Comparison, failures: Sequence[str] = (), *, interrupted: bool = False) -> dict[str, Any]:
    """Means, half-widths of 95 % intervals over seeds and the values of each seed; what is undefined is null.

    ``accuracy`` and its like are fractions; ``difference`` is the accuracy of the first method minus the second's.
    """
    return {
        "data": comparison.data,
        "setting": comparison.setting,
        "experiences": list(comparison.experiences),
        "methods": {
            method.name: {
                "upper_bound": method.upper_bound,
                "seeds": [record.seed for record in method.records],
                "weights_sha256": [record.weights_sha256 for record in method.records],
                "skipped": [record.num_skipped for record in method.records],
                "rollbacks": [record.num_rollbacks for record in method.records],
                **{
                    name: {**_interval(number), "values": [_number(v) for v in method.values(name).values()]}
                    for name, number in method.numbers.items()
                },
            }
            for method in comparison.methods
        },
        "differences": [
            {
                "first": d.first,
                "second": d.second,
                "seeds": list(d.seeds),
                "difference": _interval(d.size),
                "p": _number(d.p),
                "differs": d.real,
            }
            for d in comparison.differences
        ],
        "failures": list(failures),
        "interrupted": interrupted,
    }


def named_upper_bounds(methods: Mapping[str, str]) -> frozenset[str]:
    """Those names whose method keeps or revisits all data."""
    bounds = {info.name for info in list_methods() if info.upper_bound}
    return frozenset(name for name, method in methods.items() if method in bounds)


def common_notes(records: Sequence[Record]) -> list[str]:
    """What all records say of how they were made; what only some say stands beside them on the page."""
    return [note for note in records[0].notes if all(note in record.notes for record in records)]


def _interval(number: Interval) -> dict[str, float | None]:
    return {"mean": _number(number.mean), "half_width": _number(number.half_width)}


def _number(value: float) -> float | None:
    return None if math.isnan(value) else value
