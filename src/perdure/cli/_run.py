"""``perdure run``."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from perdure.cli._codes import DONE, FAILED, INTERRUPTED
from perdure.cli._config import Output, dump, parse_run
from perdure.cli._errors import debugging
from perdure.cli._options import Options

if TYPE_CHECKING:
    from perdure.cli._execution import Execution
    from perdure.cli._progress import Progress


def main(arguments: Sequence[str]) -> int:
    """Learn, write the run folder, print the scores."""
    options, output = parse_run(arguments)
    from perdure.cli._progress import Progress

    with Progress(
        len(options.method) * len(options.seeds), max(map(len, options.method)), quiet=output.quiet
    ) as progress:
        folder, execution = _execute(options, output, progress, debug=debugging(arguments))
    return _finish(folder, execution, output, progress)


def _execute(options: Options, output: Output, progress: Progress, *, debug: bool) -> tuple[Path, Execution]:
    """Check everything, then make the folder, then learn."""
    import torch

    from perdure.cli._execution import Execution
    from perdure.cli._folder import create_folder, environment, remove_folder, write_json, write_text
    from perdure.cli._learners import Learners
    from perdure.cli._stream import Streams

    if options.threads is not None:
        torch.set_num_threads(options.threads)
    streams = Streams(options, progress.say)
    learners = Learners(options, streams.setting)
    first = streams.make(options.seeds[0])
    learners.check(first, options.seeds[0])
    config, machine = dump(replace(options, setting=streams.setting)), environment()
    folder = create_folder(output.out, options.data, streams.setting, options.method)
    try:
        write_text(folder / "config.yaml", config)
        write_json(folder / "environment.json", machine)
    except BaseException:
        remove_folder(folder)
        raise
    execution = Execution(options, streams, learners, folder, progress, debug=debug)
    execution.run(first)
    return folder, execution


def _finish(folder: Path, execution: Execution, output: Output, progress: Progress) -> int:
    """Scores and page of what is complete, and the exit code."""
    from perdure import report
    from perdure.cli._folder import remove_folder, write_json
    from perdure.cli._scores import common_notes, named_upper_bounds, scores
    from perdure.cli._show import show_json, show_table

    records, failures = execution.records, execution.failures
    if records:
        bounds = named_upper_bounds({record.method: record.method for record in records})
        comparison = report.compare(records, bounds)
        result = {"run": str(folder), **scores(comparison, failures, interrupted=execution.interrupted)}
        write_json(folder / "scores.json", result)
        page = report.write(records, folder / "report.html", upper_bounds=bounds, notes=common_notes(records))
        show_json(result) if output.json else show_table(report.table(comparison))
        progress.say(f"page: {page}")
    else:
        remove_folder(folder)
        progress.warn("nothing was completed, nothing is kept")
    if failures:
        progress.warn(f"{len(failures)} failed: see above (--debug shows where)")
    if execution.interrupted:
        progress.warn("interrupted: what was complete is kept" if records else "interrupted")
        return INTERRUPTED
    return FAILED if failures else DONE
