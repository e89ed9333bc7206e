"""The command line of ``perdure tune``: the options of run, what differs on the other stream, and the search."""

from __future__ import annotations

import argparse
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any, get_args

from jsonargparse import ArgumentParser, Namespace
from jsonargparse.typing import NonNegativeInt, OpenUnitInterval, PositiveInt

from perdure.cli._config import check_complete, read_config, resolve, set_defaults
from perdure.cli._flags import add_options, expected, type_of
from perdure.cli._jobs import add_jobs, read_jobs
from perdure.cli._options import FIELDS, flag
from perdure.cli._parser import cut, make_parser, parse
from perdure.cli._tune_options import Pruning, Tuning

USAGE = "--data NAME|PATH --score-on NAME|PATH --method NAME[,NAME...] [options]"
DESCRIPTION = (
    "Search the hyper-parameters of methods on one stream, freeze them, and score them on another: does the order of "
    "the methods hold there?"
)
EPILOG = """\
The search learns the training part of --data and judges on a share held out of it (--validation), never on its test
part, and never looks at --score-on. Each method gets equally many trials; the first has the defaults. What is given, as
in --lr 0.1 or --option er.draw=16, is not searched.

examples:
  perdure tune --data digits --score-on mnist --method er,der_pp,ewc --trials 20 --out tunes/digits
  perdure tune --data mnist --score-on fashion_mnist --method er,ewc --jobs 4 --range lr=1e-3..1e-1:log
  perdure tune --data digits --score-on digits --score-order shuffled --method er --range er.draw=8,64
  perdure tune --data mnist --score-on cifar10 --method er,ewc --storage postgresql://me@db/tuning --study mine \\
      --search-only     (on as many machines as there are; one without --search-only scores)
  perdure run --config tunes/digits/frozen.yaml --seeds 10

The same command goes on with what was interrupted or killed, and joins what is running. The folder holds tune.json,
frozen.yaml (feed it to perdure run --config), tuned-on/ and scored-on/, which are run folders with a page each, and the
trials, unless --storage says where.

exit codes: as those of perdure run"""
OF_STREAM = ("data", "encoder", "files")  # groups of options that may differ on the other stream
MAY_DIFFER = [name for name, f in FIELDS.items() if f.metadata["group"] in OF_STREAM and name != "data"] + [
    "memory",
    "epochs",
    "updates",
    "batch_size",
]


def parse_tune(arguments: Sequence[str]) -> Tuning:
    """What is asked for. Raises ``ValueError`` in one line where something is wrong."""
    parser = tune_parser()
    given = _parse(parser, arguments)
    named: dict[str, Any] = {}
    if given.config is not None:
        path = Path(given.config)
        named = read_config(path)
        set_defaults(parser, named, path)
        given = _parse(parser, arguments)
    jobs = read_jobs(given.jobs)
    options = resolve({name: given[name] for name in FIELDS})
    check_complete(options)
    if given.score_on is None:
        raise ValueError("--score-on is missing: name the data on which what was found is to be scored")
    from perdure.tuning import read_values

    ranges = {}
    for name, text in (given.range or {}).items():
        try:
            ranges[name] = read_values(text)
        except ValueError as error:
            raise ValueError(f"--range {name}={text}: {error}") from error
    changed = [name for name in FIELDS if given[name] != parser.get_default(name)]
    return Tuning(
        options=options,
        score_on=given.score_on,
        score={name: given[f"score_{name}"] for name in MAY_DIFFER if given[f"score_{name}"] is not None},
        given=(*named, *changed),
        trials=int(given.trials),
        tuning_seeds=_tuning_seeds(given.tuning_seeds, options.seeds),
        validation=float(given.validation),
        pruning=given.pruning,
        search_seed=int(given.search_seed),
        ranges=ranges,
        storage=given.storage,
        study=given.study,
        jobs=jobs,
        heartbeat=int(given.heartbeat),
        search_only=given.search_only,
        out=given.out,
        json=given.json,
        quiet=given.quiet,
    )


class _Ranges(argparse.Action):
    """``NAME=VALUES``, repeated."""

    def __call__(self, parser: Any, namespace: Any, values: Any, option_string: str | None = None) -> None:
        """Add one to those given so far."""
        name, equals, text = cut(values, "=")
        if not (name and equals and text):
            raise argparse.ArgumentError(
                self, f"expected NAME=LOW..HIGH, NAME=LOW..HIGH:log or NAME=A,B; found {values!r}"
            )
        setattr(namespace, self.dest, {**(getattr(namespace, self.dest, None) or {}), name: text})


def tune_parser() -> ArgumentParser:
    """The options of run, the same with ``--score-`` in front where they may differ, and those of the search."""
    parser = make_parser("tune", USAGE, DESCRIPTION, EPILOG)
    add_options(parser)
    group = parser.add_argument_group("the other stream", "as the other options say, but for what is given here")
    group.add_argument("--score-on", metavar="NAME|PATH", help="the data to score on, as --data")
    for name in MAY_DIFFER:
        about = FIELDS[name].metadata
        group.add_argument(
            flag(f"score_{name}"), type=type_of(name) | None, metavar=about["metavar"], help=f"as {flag(name)}"
        )
    _add_search(parser)
    group = parser.add_argument_group("output")
    group.add_argument("--config", metavar="FILE", help="YAML file of options of run (with _ for -); flags override it")
    group.add_argument("--out", metavar="FOLDER", help="folder of the search; default: a name of its own under tunes/")
    group.add_argument("--json", action="store_true", help="print what was found as one JSON object")
    group.add_argument("--quiet", action="store_true", help="no progress, only results and errors")
    return parser


def _add_search(parser: ArgumentParser) -> None:
    group = parser.add_argument_group("search")
    add = group.add_argument
    add("--trials", type=PositiveInt, default=20, metavar="N", help="settings tried for each method (default: 20)")
    add(
        "--tuning-seeds",
        type=list[Any] | int | str,
        default=2,
        metavar="N|A,B,...",
        help="how many seeds each setting is judged on, or which; none of --seeds, which score (default: 2)",
    )
    add(
        "--validation",
        type=OpenUnitInterval,
        default=0.2,
        metavar="SHARE",
        help="share of the training part of --data that settings are judged on (default: 0.2)",
    )
    add(
        "--range",
        action=_Ranges,
        default={},
        metavar="NAME=VALUES",
        help="search lr=1e-3..1e-1:log, draw=8..64 or er.draw=8,64 in place of the declared range (see perdure methods "
        "NAME); may be repeated",
    )
    add(
        "--pruning",
        type=Pruning,
        default="median",
        metavar="RULE",
        help="give up settings that are worse after an experience than others were: median, hyperband or none",
    )
    add("--search-seed", type=NonNegativeInt, default=0, metavar="N", help="what the settings tried follow from")
    add_jobs(
        group,
        "search, and score, in N processes with one thread each (or --threads); auto: as many as there are "
        "cores, and memory for",
    )
    add(
        "--storage",
        metavar="URL",
        help="where trials are kept: sqlite:///FILE, postgresql://USER@HOST/NAME; default: in the folder",
    )
    add("--study", default="perdure", metavar="NAME", help="name of the search in the storage (default: perdure)")
    add("--search-only", action="store_true", help="search, and leave it to another process to score")
    add(
        "--heartbeat",
        type=PositiveInt,
        default=15,
        metavar="SECONDS",
        help="how often a process says that it lives; after 4 times as long its trial is tried again (default: 15)",
    )


def _parse(parser: ArgumentParser, arguments: Sequence[str]) -> Namespace:
    try:
        return parse(parser, arguments)
    except ValueError as error:
        found = re.match(r'Parser key "(?:score_)?(\w+)"', str(error))
        if not found:
            raise
        if found[1] in FIELDS:
            name = re.match(r'Parser key "(\w+)"', str(error))
            assert name
            raise ValueError(f"{flag(name[1])}: {expected(found[1])}") from error
        kind = " or ".join(get_args(Pruning)) if found[1] == "pruning" else "see perdure tune --help"
        raise ValueError(f"{flag(found[1])}: not what is expected: {kind}") from error


def _tuning_seeds(value: Any, scoring: Sequence[int]) -> list[int]:
    """Which seeds settings are judged on; those that follow the scoring ones, where only their number is given."""
    if isinstance(value, int) or (isinstance(value, str) and value.isdigit()):
        first = max(scoring) + 1
        found = list(range(first, first + int(value)))
    else:
        parts = value if isinstance(value, list) else str(value).split(",")
        if not all(re.fullmatch(r"\s*\d{1,18}\s*", str(part)) for part in parts):
            raise ValueError(f"--tuning-seeds {value}: expected how many, such as 2, or which, such as 7,8")
        found = [int(part) for part in parts]
    both = sorted(set(found) & set(scoring))
    if both or not found or len(set(found)) < len(found):
        what = f"{both[0]} is one of --seeds, which are to be fresh" if both else "none, or one twice"
        raise ValueError(f"--tuning-seeds {value}: {what}: give others")
    return found
