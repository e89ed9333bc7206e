"""``perdure resume``."""

from __future__ import annotations

import os
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from perdure._files import PART
from perdure.cli._config import read_config, resolve_config
from perdure.cli._early import early
from perdure.cli._errors import debugging
from perdure.cli._jobs import Jobs, add_jobs, read_jobs, with_threads
from perdure.cli._options import Options
from perdure.cli._parser import make_parser, parse
from perdure.cli._plain import refuse_odd_files
from perdure.cli._ranks import announce, follow, in_turn, leave, ranks, wanted
from perdure.cli._signals import Signals, interruptible
from perdure.cli._trust import refuse_named_code

if TYPE_CHECKING:
    from perdure.cli._execution import Execution
    from perdure.cli._progress import Progress

CONFIG = "config.yaml"
EPILOG = """\
What is complete is kept. The method and seed that was interrupted goes on from its newest undamaged checkpoint, then
the rest is learnt; every number but the seconds is that of a run left alone. A configuration that names code to be
imported is refused unless you name the same: a run folder may come from anybody.

examples:
  perdure run --data mnist --method er,der_pp --checkpoint-every 500 --out runs/mnist     (is killed)
  perdure resume runs/mnist
  perdure resume runs/mnist --jobs 2
  perdure resume runs/own --allow-import nets:Small

exit codes: as those of perdure run"""


def main(arguments: Sequence[str]) -> int:
    """Go on with a run."""
    about = "Go on with a run that was interrupted or killed; print the scores of one that is complete."
    parser = make_parser("resume", "RUN [--jobs N|auto] [--json] [--quiet] [--allow-import NAME...]", about, EPILOG)
    parser.add_argument("run", metavar="RUN", help="folder of a run")
    add_jobs(parser)
    parser.add_argument("--json", action="store_true", help="print the scores as one JSON object")
    parser.add_argument("--quiet", action="store_true", help="no progress, only results and errors")
    parser.add_argument(
        "--allow-import", metavar="NAME", action="append", default=[], help="code that the run may use; may be repeated"
    )
    given = parse(parser, arguments)
    jobs = read_jobs(given.jobs)
    folder = Path(given.run)
    if not folder.is_dir():
        raise ValueError(f"{folder}: no such folder: name the folder of a run")
    if not os.path.lexists(folder / CONFIG):
        raise ValueError(f"{folder} is not the folder of a run: there is no {CONFIG}")
    from perdure.cli._progress import Progress

    progress, debug = Progress(quiet=given.quiet), debugging(arguments)
    options = with_threads(read_options(folder, given.allow_import), jobs)
    with interruptible() as signals, ranks(options, jobs) as rank:
        if rank:
            leave(follow(options, debug=debug))
        return go_on(folder, options, progress, signals, jobs, as_json=given.json, debug=debug)


def go_on(
    folder: Path,
    options: Options,
    progress: Progress,
    signals: Signals,
    jobs: Jobs | None,
    *,
    as_json: bool,
    debug: bool,
) -> int:
    """Go on with the run in ``folder``; the exit code."""
    from perdure.checkpoint import FolderLock, Locked

    try:
        with FolderLock(folder, progress.warn):
            return _resume(folder, options, progress, signals, jobs, as_json=as_json, debug=debug)
    except Locked as error:
        raise ValueError(error) from error


def _resume(
    folder: Path,
    options: Options,
    progress: Progress,
    signals: Signals,
    jobs: Jobs | None,
    *,
    as_json: bool,
    debug: bool,
) -> int:
    """Learn what is missing, then finish as every run does."""
    from perdure.cli._execution import Execution
    from perdure.cli._finish import finish
    from perdure.cli._kept import kept_records

    for left in (*folder.glob(f".*{PART}"), *folder.glob(f"records/.*{PART}")):  # by a process that was killed
        left.unlink(missing_ok=True)
    records = kept_records(folder, options, progress.warn)
    missing = len(options.method) * len(options.seeds) - len(records)
    progress.expect(missing, options.method)
    execution = Execution(options, folder, records, progress, signals, debug=debug)
    if missing:
        _go_on(folder, options, execution, progress, jobs, missing)
    else:
        progress.say(f"{folder} is complete")
        if wanted() > 1:
            announce()
    return finish(folder, options, execution, progress, as_json=as_json, new=False)


def read_options(folder: Path, allowed: Collection[str]) -> Options:
    """The configuration of a run folder, if that has no odd files and names nothing that is not allowed."""
    import perdure

    refuse_odd_files(folder)
    path = folder / CONFIG
    found = read_config(path)
    refuse_named_code(found, allowed, str(path))
    options = resolve_config(found, path)
    for name in options.method:
        perdure.get_method(name)  # known ones only: they become names of files
    return options


def _go_on(
    folder: Path, options: Options, execution: Execution, progress: Progress, jobs: Jobs | None, missing: int
) -> None:
    from perdure.cli._jobs import processes
    from perdure.cli._kept import tell_of_changes
    from perdure.cli._prepare import prepare
    from perdure.cli._trackers import check_trackers

    seed = next(seed for seed in options.seeds if execution.missing(seed))
    with early(jobs, missing, options) as started:
        streams, learners, made = in_turn(lambda: prepare(options, seed, progress))
        tell_of_changes(folder, progress.warn)  # now that there are as many threads as there will be
        check_trackers(options.track)
        for name in ("records", "checkpoints"):
            (folder / name).mkdir(exist_ok=True)
        count = processes(jobs, missing, options, progress.say, started)
        with progress:
            execution.run(streams, learners, made, count, started)
