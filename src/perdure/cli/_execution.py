"""Run every method on every seed, keeping each record as soon as it is there."""

from __future__ import annotations

import traceback
from dataclasses import replace
from pathlib import Path

import torch
from torch import nn

import perdure
from perdure import MethodInfo, Record
from perdure.cli._errors import one_line
from perdure.cli._learners import Learners
from perdure.cli._options import Options
from perdure.cli._progress import Progress
from perdure.cli._stream import Streams
from perdure.streams import Stream


class Execution:
    """What came of a run: ``records``, ``failures`` in words, and whether it was ``interrupted``."""

    def __init__(
        self, options: Options, streams: Streams, learners: Learners, folder: Path, progress: Progress, *, debug: bool
    ) -> None:
        self._options, self._streams, self._learners = options, streams, learners
        self._folder, self._progress, self._debug = folder, progress, debug
        self._methods = list(learners.methods)
        self._notes = describe(options)
        self.records: list[Record] = []
        self.failures: list[str] = []
        self.interrupted = False

    def run(self, first: Stream) -> None:
        """Go seed by seed, so that what an interrupt leaves is paired. ``first`` is the stream of the first seed."""
        try:
            for seed in self._options.seeds:
                try:
                    stream = first if seed == self._options.seeds[0] else self._streams.make(seed)
                    inputs = self._learners.inputs(stream)
                except Exception as error:  # noqa: BLE001 the other seeds go on
                    self._fail(f"seed {seed}", error)
                    continue
                self._run_methods(stream, inputs, seed)
        except KeyboardInterrupt:
            self.interrupted = True

    def _run_methods(self, stream: Stream, inputs: nn.Module, seed: int) -> None:
        for info in list(self._methods):
            try:
                record = self._run_method(info, stream, inputs, seed)
                record.write(self._folder / "records" / f"{info.name}-seed{seed}.json")
            except Exception as error:  # noqa: BLE001 the other methods go on
                self._fail(f"{info.name}, seed {seed}", error)
                self._methods.remove(info)
                continue
            self.records.append(record)
            self._progress.end(record)

    def _run_method(self, info: MethodInfo, stream: Stream, inputs: nn.Module, seed: int) -> Record:
        options = self._options
        self._progress.begin(info.name, seed)
        return perdure.run(
            self._learners.make(info, stream, inputs, seed),
            replace(stream, notes=(*stream.notes, *self._notes)),
            epochs=options.epochs,
            batch_size=options.batch_size,
            seed=seed,
            evaluate_every=options.eval_every,
            evaluation_samples=options.eval_samples,
            progress=self._progress.update,
        )

    def _fail(self, what: str, error: Exception) -> None:
        if self._debug:
            traceback.print_exception(error)
        self.failures.append(f"{what} failed: {type(error).__name__}: {one_line(error)}")
        self._progress.warn(self.failures[-1])


def describe(options: Options) -> tuple[str, ...]:
    """How the learners were made, in words, for the page."""

    def with_arguments(name: str, arguments: dict[str, object]) -> str:
        return name + (f" ({', '.join(f'{k} {v}' for k, v in arguments.items())})" if arguments else "")

    rate = {} if options.lr is None else {"lr": options.lr}
    made = [
        f"model {with_arguments(options.model, options.model_option)}",
        f"optimizer {with_arguments(options.optimizer, rate | options.optimizer_option)}",
    ]
    if options.scheduler is not None:
        made.append(f"scheduler {with_arguments(options.scheduler, options.scheduler_option)}")
    made.append(f"batches of {options.batch_size}, {options.epochs} epoch{'s' * (options.epochs > 1)}")
    if options.augment:
        made.append(f"images changed by {' and '.join(options.augment)}")
    kind = f" ({options.memory_kind})" if options.memory_kind else ""
    made.append(f"memory of {options.memory} exemplars{kind}, for methods that have one")
    sentence = ", ".join(made) + "."
    given = dict(options.option) | ({} if options.draw is None else {"draw": options.draw})
    chosen = (f"Method options: {', '.join(f'{k} {v}' for k, v in given.items())}.",) if given else ()
    versions = f"perdure {perdure.__version__}, PyTorch {torch.__version__}, {options.device}."
    return (sentence[0].upper() + sentence[1:], *chosen, versions)
