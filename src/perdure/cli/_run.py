"""``perdure run``."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from perdure.cli._config import Output, dump, parse_run
from perdure.cli._early import early
from perdure.cli._errors import debugging
from perdure.cli._folder import RUNS
from perdure.cli._options import Options
from perdure.cli._ranks import find_folder, follow, in_turn, leave, ranks, restarted
from perdure.cli._resume import go_on, read_options
from perdure.cli._signals import Signals, interruptible
from perdure.cli._trust import named_code

if TYPE_CHECKING:
    from perdure._pool import Pool
    from perdure.cli._progress import Progress


def main(arguments: Sequence[str]) -> int:
    """Learn, write the run folder, print the scores."""
    options, output = parse_run(arguments)
    debug, units = debugging(arguments), len(options.method) * len(options.seeds)
    jobs = None if restarted() else output.jobs  # what goes on begins its own
    with interruptible() as signals, ranks(options, output.jobs) as rank, early(jobs, units, options) as started:
        if rank:
            leave(follow(options, debug=debug))
        from perdure.cli._progress import Progress

        progress = Progress(quiet=output.quiet)
        progress.expect(units, options.method)
        if restarted() and (folder := find_folder(output.out, Path(RUNS))) is not None:
            options = read_options(folder, named_code(asdict(options)))
            return go_on(folder, options, progress, signals, output.jobs, as_json=output.json, debug=debug)
        return _run(options, output, progress, signals, started, debug=debug)


def _run(
    options: Options, output: Output, progress: Progress, signals: Signals, started: Pool | None, *, debug: bool
) -> int:
    """Check everything, then make the folder, then learn."""
    from perdure.checkpoint import FolderLock
    from perdure.cli._execution import Execution
    from perdure.cli._finish import finish
    from perdure.cli._folder import create_folder, environment
    from perdure.cli._jobs import processes
    from perdure.cli._prepare import prepare
    from perdure.cli._trackers import check_trackers

    streams, learners, made = in_turn(lambda: prepare(options, options.seeds[0], progress))
    check_trackers(options.track)
    jobs = processes(output.jobs, len(options.method) * len(options.seeds), options, progress.say, started)
    config, machine = dump(streams.resolved), environment()
    folder = create_folder(output.out, options.data, streams.setting, options.method)
    execution = Execution(options, folder, {}, progress, signals, debug=debug)
    with FolderLock(folder, progress.warn):
        _write_head(folder, config, machine)
        with progress:
            execution.run(streams, learners, made, jobs, started)
        return finish(folder, options, execution, progress, as_json=output.json, new=True)


def _write_head(folder: Path, config: str, machine: dict[str, object]) -> None:
    """What ``perdure resume`` needs, or no folder."""
    from perdure._files import write_file
    from perdure.cli._folder import remove_folder, write_json

    try:
        write_file(folder / "config.yaml", config)
        write_json(folder / "environment.json", machine)
    except BaseException:
        remove_folder(folder)
        raise
