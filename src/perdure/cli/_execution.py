"""Run every method on every seed, keeping each record as soon as it is there."""

from __future__ import annotations

import traceback
from collections.abc import Iterator, Mapping
from pathlib import Path

from perdure import Record
from perdure._interrupts import Interrupted
from perdure._pool import Pool
from perdure.cli._learners import Learners
from perdure.cli._options import Options
from perdure.cli._progress import Progress
from perdure.cli._ranks import announce, wanted
from perdure.cli._signals import Signals
from perdure.cli._stream import Streams
from perdure.cli._unit import Failed, Stopped, Units
from perdure.evaluation import Spent
from perdure.streams import Stream

Records = dict[tuple[str, int], Record]  # by method and seed


class Execution:
    """Learns what is not in ``records`` yet, in the run ``folder``.

    Afterwards they hold what is complete, ``failures`` say in words what is not; ``interrupt`` and ``stopped`` say what
    ended it all before its time, and ``at_once`` that somebody does not want to wait any longer. ``tuning``: what the
    search for the options of each method took, which its records are charged with.
    """

    def __init__(
        self,
        options: Options,
        folder: Path,
        records: Records,
        progress: Progress,
        signals: Signals,
        *,
        debug: bool,
        tuning: Mapping[str, Spent] | None = None,
    ) -> None:
        self.options, self.folder, self.progress, self.debug = options, folder, progress, debug
        self.tuning = tuning or {}
        self._signals = signals
        self._found = records
        self._failed: set[str] = set()
        self._failed_seeds: set[int] = set()
        self.failures: list[str] = []
        self.interrupt: KeyboardInterrupt | None = None
        self.stopped = ""

    @property
    def records(self) -> list[Record]:
        """Seed by seed, in the order of the options."""
        keys = [(name, seed) for seed in self.options.seeds for name in self.options.method]
        return [self._found[key] for key in keys if key in self._found]

    @property
    def at_once(self) -> bool:
        """Whether the interrupt was the second one, which nobody has waited after."""
        return self.interrupt is not None and not isinstance(self.interrupt, Interrupted)

    def missing(self, seed: int) -> list[str]:
        """The methods that have not learnt the stream of this seed, but for those that failed on another."""
        if seed in self._failed_seeds:
            return []
        return [name for name in self.options.method if (name, seed) not in self._found and name not in self._failed]

    def todo(self) -> Iterator[tuple[str, int]]:
        """Methods and seeds that are missing when they are asked for, seed by seed: what an interrupt leaves is
        paired.
        """
        for seed in self.options.seeds:
            for name in self.options.method:
                if name in self.missing(seed):
                    yield name, seed

    def run(
        self,
        streams: Streams,
        learners: Learners,
        made: Mapping[int, Stream],
        jobs: int = 1,
        started: Pool | None = None,
    ) -> None:
        """Learn it all, in ``jobs`` processes; ``made``: streams that are there already, ``started``: processes.

        Raises ``ValueError`` where checkpoints are of another run than this, or of other data.
        """
        from perdure.cli._side_by_side import learn_side_by_side

        try:
            if started is not None:
                started.shrink(jobs if jobs > 1 else 0)
            if jobs > 1:
                learn_side_by_side(self, jobs, started)
            else:
                self._one_by_one(streams, learners, made)
                if wanted() > 1:
                    announce()
        except KeyboardInterrupt as interrupt:
            self.interrupt = interrupt
        except Stopped as stop:
            self.stopped = str(stop)
            if wanted() > 1:
                announce()

    def keep(self, record: Record, problem: Failed | str | None) -> None:
        """A record is there; ``problem``: why it could not be written, if so."""
        self._found[record.method, record.seed] = record
        if problem:
            self.fail(str(problem))

    def fail(self, text: str, *, method: str | None = None, seed: int | None = None) -> None:
        """Tell of a failure, after which this ``method``, or this ``seed``, is tried no more."""
        self._failed |= {method} if method is not None else set()
        self._failed_seeds |= {seed} if seed is not None else set()
        self.failures.append(text)
        self.progress.warn(text)

    def _one_by_one(self, streams: Streams, learners: Learners, made: Mapping[int, Stream]) -> None:
        units = Units(self.options, self.folder, self.progress, debug=self.debug, tuning=self.tuning)
        for seed in self.options.seeds:
            if not self.missing(seed):
                continue
            try:
                stream = made[seed] if seed in made else streams.make(seed)
                inputs = learners.inputs(stream)
            except Exception as error:  # noqa: BLE001 the other seeds go on
                if self.debug:
                    traceback.print_exception(error)
                self.fail(str(Failed(f"seed {seed}", error)), seed=seed)
                continue
            for info in learners.methods:
                if info.name in self.missing(seed):
                    if wanted() > 1:
                        announce(info.name, seed, self.folder)
                    try:
                        self.keep(*units.learn(learners, info, stream, inputs, seed))
                    except Failed as failure:
                        self.fail(str(failure), method=info.name)
                    self._signals.check()
