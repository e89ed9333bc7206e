"""Whether a number is reproduced: a rule that was fixed before the runs."""

from __future__ import annotations

import math
from dataclasses import dataclass
from statistics import stdev

from protocol import Published

from perdure.metrics import Interval, interval

FEWEST_SEEDS = 5
STANDARD_ERRORS = 3
RULE = f"""\
A number is **reproduced** if ours, the mean of at least {FEWEST_SEEDS} seeds, is no further from the published one, up
or down, than {STANDARD_ERRORS} standard errors of their difference, 3 √(s²/n of theirs + s²/n of ours); where they give
no spread, than the tolerance stated beside it. Else it **differs because**, with the reason, if the reason is known,
and **not yet** if it is not or if seeds are missing. The rule and the tolerances were fixed before the runs, and
failures stay in the table."""


@dataclass(frozen=True)
class Verdict:
    """Ours beside theirs."""

    ours: Interval
    seeds: int
    allowed: float
    text: str


def judge(published: Published, values: list[float], reason: str = "") -> Verdict:
    """The verdict on ``values``, one for each seed; ``reason`` says why ours differs, where that is known."""
    allowed = _allowed(published, values)
    seeds = len(values)
    ours = interval(values)
    if seeds < FEWEST_SEEDS:
        return Verdict(ours, seeds, allowed, f"not yet: {seeds} of {FEWEST_SEEDS} seeds")
    if abs(ours.mean - published.mean) <= allowed:
        return Verdict(ours, seeds, allowed, "reproduced")
    return Verdict(ours, seeds, allowed, f"differs because {reason}" if reason else "not yet")


def _allowed(published: Published, values: list[float]) -> float:
    if published.tolerance is not None:
        return published.tolerance
    if len(values) < 2 or published.std is None or published.n is None:
        return math.nan
    return STANDARD_ERRORS * math.sqrt(published.std**2 / published.n + stdev(values) ** 2 / len(values))
