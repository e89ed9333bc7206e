"""The search of ``perdure tune``: what is tried, how one trial learns, and the processes that help."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, replace
from typing import Any

from torch import nn

import perdure
from perdure import Record, tuning
from perdure._pool import DIED, Pool
from perdure._position import fingerprint
from perdure._registry import base_of
from perdure.cli._learners import Learners, own_options
from perdure.cli._options import FIELDS, Options, default
from perdure.cli._progress import Progress, Row
from perdure.cli._relay import Relay, Relayed
from perdure.cli._side_by_side import stopping
from perdure.cli._stream import Streams
from perdure.cli._tune_options import Tuning
from perdure.streams import Stream
from perdure.tuning import Choice, Range

DECIDES = ("data", "encoder", "files", "method", "model", "training")  # groups of options that accuracies depend on
NOT_THESE = ("method", "device", "threads")


class Trials:
    """Learns the training part of the tuned stream, judged on a share held out of it; never its test part."""

    def __init__(self, asked: Tuning, say: Any) -> None:
        self._options = asked.options
        self.streams = Streams(replace(asked.options, holdout=asked.validation), say, spare_test=True)
        self._say = say
        self._made: dict[int, tuple[Stream, nn.Module]] = {}

    def stream(self, seed: int) -> Stream:
        """The stream of a tuning seed."""
        return self._prepared(seed)[0]

    def check(self, seed: int) -> None:
        """Make each learner once, so that what is wrong is said before anything is learnt."""
        Learners(self._options, self.streams.setting).check(self.stream(seed), seed)

    def learn(self, method: str, settings: dict[str, Any], seed: int, follower: tuning.Follower) -> Record:
        """One seed with one setting."""
        options = with_settings(self._options, {method: settings})
        learners = Learners(options, self.streams.setting)
        stream, inputs = self._prepared(seed)
        learner = learners.make(perdure.get_method(method), stream, inputs, seed)
        try:
            return perdure.run(
                learner,
                stream,
                epochs=options.epochs,
                updates=options.updates,
                batch_size=options.batch_size,
                seed=seed,
                evaluate_every=0,
                label_delay=options.label_delay,
                checkups="none",
                followers=[follower],
                on_bad_batch=options.on_bad_batch,
                say=self._say,
            )
        except BaseException:
            follower.stopped(learner.num_processed)
            raise

    def _prepared(self, seed: int) -> tuple[Stream, nn.Module]:
        if seed not in self._made:
            stream = self.streams.make(seed)
            self._made[seed] = stream, Learners(self._options, self.streams.setting).inputs(stream)
        return self._made[seed]


def make_plan(asked: Tuning, trials: Trials) -> tuning.Plan:
    """What is searched for each method. Raises ``ValueError`` where a range is bad."""
    options = asked.options
    infos = [perdure.get_method(name) for name in options.method]
    tuning.check_changed(asked.ranges, infos)
    spaces = {}
    for info in infos:
        fixed = _fixed(asked, info.name)
        for key, values in asked.ranges.items():
            option = tuning.option_of(key, info)
            if option is not None:
                _check_range(key, values, fixed, options, trials.streams.setting, info.name, option)
        spaces[info.name] = tuning.searched(
            info, optimizer=options.optimizer, rate=options.lr, given=fixed, changed=asked.ranges
        )
    first = trials.stream(asked.tuning_seeds[0])
    given = {name: value for name, value in asdict(options).items() if _decides(name) and value != default(name)}
    about = {**given, "validation": asked.validation, "data fingerprint": fingerprint(first)}
    return tuning.Plan(
        asked.study,
        spaces,
        asked.trials,
        tuple(asked.tuning_seeds),
        len(first),
        asked.pruning,
        asked.search_seed,
        about,
    )


def with_settings(options: Options, settings: dict[str, dict[str, Any]]) -> Options:
    """The options with settings of methods beside those that are given."""
    merged = dict(options.option)
    for method, own in settings.items():
        if own or method in merged:
            merged[method] = {**merged.get(method, {}), **own}
    return replace(options, option=merged)


def search(plan: tuning.Plan, asked: Tuning, trials: Trials, url: str, progress: Progress | Relay) -> tuning.Search:
    """The share of this process, told to ``progress``."""
    width = max(map(len, plan.methods))

    rows: list[Row] = []

    def begun(method: str, slot: int) -> None:
        rows[:] = [progress.start(f"{method:<{width}}  trial {slot + 1}")]

    def ended(method: str, tried: tuning.Tried, found: tuning.Found) -> None:
        rows.pop().close()
        best = f"  best {found.best.accuracy:.1%}".replace("%", " %") if found.best else ""
        outcome = f"{tried.accuracy:.1%}".replace("%", " %") if tried.outcome == "complete" else tried.outcome
        number = f"trial {tried.slot + 1:>{len(str(plan.trials))}} of {plan.wanted(method)}"
        progress.say(f"{method:<{width}}  {number}  {outcome:>8}{best}")
        if tried.why:
            progress.say(f"{method:<{width}}  {settings_text(tried.settings)}: {tried.why}")

    return tuning.Search(
        plan,
        url,
        trials.learn,
        heartbeat=asked.heartbeat,
        begun=begun,
        told=lambda done, total: rows[0].update(min(done, total), total, ""),
        ended=ended,
        say=progress.say,
    )


def search_side_by_side(hello: Mapping[str, Any], jobs: int, progress: Progress) -> None:
    """The whole search in ``jobs`` processes, as ``hello`` says; what goes wrong in one of them is told."""
    with Pool("perdure.cli._tune_worker", jobs) as pool, stopping(pool):
        relayed = [Relayed(progress) for _ in range(jobs)]
        for task, said in pool.talk(hello, ({"number": number} for number in range(jobs))):
            relayed[task["number"]].tell(said)
            problem = said.get(DIED, said.get("failed"))
            if problem and not pool.stopping:
                progress.warn(f"one of {jobs} processes searches no more: {problem}; its trial is tried again")


def settings_text(settings: dict[str, Any]) -> str:
    """Settings in words."""
    return ", ".join(f"{k} {v:g}" if isinstance(v, float) else f"{k} {v}" for k, v in settings.items()) or "defaults"


def _check_range(
    key: str, values: Range | Choice, fixed: set[str], options: Options, setting: str, method: str, option: str
) -> None:
    """Raise ``ValueError`` if the option is given, or does not take what the range holds."""
    if option in fixed:
        raise ValueError(f"--range {key}: {option} is given as well, and what is given is not searched: choose one")
    for value in values.values if isinstance(values, Choice) else (values.low, values.high):
        try:
            Learners(with_settings(options, {method: {option: value}}), setting)
        except ValueError as error:
            raise ValueError(f"--range {key}: {error}") from error


def _fixed(asked: Tuning, method: str) -> set[str]:
    """The names of what the user has set for a method."""
    options = asked.options
    bases = {base_of(name) for name in options.method}
    common = {name for name in options.option if name not in bases.union(options.method)}
    named = {name for name in ("lr", "draw") if name in asked.given}
    return common.union(named, own_options(options.option, base_of(method)), own_options(options.option, method))


def _decides(name: str) -> bool:
    return FIELDS[name].metadata["group"] in DECIDES and name not in NOT_THESE
