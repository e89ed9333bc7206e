"""Where the time of an update goes, in microseconds, beside the bare loop's: why a share is what it is.

    python benchmarks/speed/anatomy.py                  the methods of the table, batch 10, one thread
    python benchmarks/speed/anatomy.py --only er        one of them
    python benchmarks/speed/anatomy.py --batch 64 --optimizer Adam --threads 2

Pieces are timed within whole updates, in turn with the bare loop's, and medians over updates are taken. A piece that
another is part of counts for itself alone; each costs the clock's reading besides, about half a microsecond.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from collections import defaultdict
from collections.abc import Callable
from functools import wraps
from pathlib import Path
from typing import Any

import torch
from _setting import Setting
from _updates import MADE, learner, lived, observing, stepping, update

from perdure import _learner
from perdure._engine import Engine
from perdure._health import Health

PIECES: dict[str, tuple[tuple[Any, str], ...]] = {
    "checks": ((_learner.Learner, "_examine_batch"), (Health, "check_terms"), (Health, "check")),
    "draws": ((_learner, "draw_all"),),
    "forward and losses": ((_learner.Learner, "_learn"),),
    "backward": ((Engine, "backward"), (torch.Tensor, "backward")),
    "update": ((Engine, "step"), (torch.optim.SGD, "step"), (torch.optim.Adam, "step")),
    "after": ((_learner.Learner, "after_step"),),
}
COLUMNS = (*PIECES, "rest")


class Watch:
    """Times calls while a way of learning is open; what is called within counts for itself."""

    def __init__(self) -> None:
        self.updates: list[dict[str, float]] = []
        self._inner = [0]

    def timed(self, piece: str, call: Callable[..., Any]) -> Callable[..., Any]:
        @wraps(call)
        def within(*args: Any, **kwargs: Any) -> Any:
            self._inner.append(0)
            began = time.perf_counter_ns()
            try:
                return call(*args, **kwargs)
            finally:
                took = time.perf_counter_ns() - began
                self._now[piece] += (took - self._inner.pop()) / 1000
                self._inner[-1] += took

        return within

    def update(self, way: Callable[[], object]) -> None:
        self._now: dict[str, float] = defaultdict(float)
        self.timed("rest", way)()
        self._inner = [0]
        self.updates.append(self._now)

    def medians(self) -> dict[str, float]:
        return {piece: statistics.median(found[piece] for found in self.updates) for piece in COLUMNS}


def anatomy(method: str, setting: Setting, updates: int = 400) -> dict[str, dict[str, float]]:
    """Of an update of the third experience: ours and the bare loop's."""
    made = learner(method, setting)
    lived(made, setting)
    ours, bare = Watch(), Watch()
    ways = [(ours, observing(made, setting)), (bare, stepping(update(method, made, setting), setting))]
    for _, way in ways * 10:
        way()
    kept = [(where, name, getattr(where, name)) for calls in PIECES.values() for where, name in calls]
    try:
        for number in range(updates // 10):
            for watch, way in ways if number % 2 else ways[::-1]:
                for piece, calls in PIECES.items():
                    for where, name in calls:
                        original = next(call for place, known, call in kept if place is where and known == name)
                        setattr(where, name, watch.timed(piece, original))
                for _ in range(10):
                    watch.update(way)
    finally:
        for where, name, original in kept:
            setattr(where, name, original)
    return {"ours": ours.medians(), "bare": bare.medians()}


def table(found: dict[str, dict[str, dict[str, float]]]) -> str:
    """One line for each way, and what the share would be if nothing were checked."""
    lines = [f"| | {' | '.join(COLUMNS)} | all | share | without checks |", "| --- |" + " ---: |" * (len(COLUMNS) + 3)]
    for method, ways in found.items():
        for way, pieces in ways.items():
            total = sum(pieces.values())
            cells = [f"{pieces[piece]:.0f}" if pieces[piece] else "" for piece in COLUMNS] + [f"{total:.0f}"]
            if way == "ours":
                bare = sum(ways["bare"].values())
                cells += [f"{bare / total:.2f}", f"{bare / (total - pieces['checks']):.2f}"]
            else:
                cells += ["", ""]
            lines.append(f"| {method if way == 'ours' else 'bare loop'} | {' | '.join(cells)} |")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", nargs="+", default=[*MADE], choices=MADE, metavar="METHOD")
    parser.add_argument("--batch", type=int, default=10)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--optimizer", default="SGD", choices=("SGD", "Adam"))
    parser.add_argument("--json", type=Path, help="write the numbers to this file")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    setting = Setting(batch=options.batch, threads=options.threads, optimizer=options.optimizer)
    found = {method: anatomy(method, setting) for method in options.only}
    print(table(found))
    if options.json:
        options.json.write_text(json.dumps(found, indent=1) + "\n")


if __name__ == "__main__":
    main()
