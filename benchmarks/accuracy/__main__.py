"""Reproduce published numbers.

    python benchmarks/accuracy                             everything that is missing, then the pages
    python benchmarks/accuracy --list                      what there is to do, and what is done
    python benchmarks/accuracy --only split-mnist          one protocol
    python benchmarks/accuracy --only '*/ewc/*' --seeds 3  one row by name, seeds 0 to 2
    python benchmarks/accuracy --only split-mnist/si/class-incremental --seeds 7,8
    python benchmarks/accuracy --pages                     write the pages from what is done
    make reproduce-split-mnist JOBS=2

Protocols are data: protocols/*.yaml. Each run is a process with one thread, and leaves one file under results/. What
is there is not run again, unless its entry in the protocol has changed in what decides the numbers; to repeat a row
after a change of code, delete its folder under results/. Ctrl-C loses the runs in progress and nothing else. Data is
looked for as everywhere in Perdure (PERDURE_DATA, else downloaded). The pages are docs/reproduction.md and
docs/split-mnist.md. PERDURE_ACCURACY names another folder than this one that holds protocols/ and results/.
"""

from __future__ import annotations

import argparse
import os
import signal
import sys
from fnmatch import fnmatch

from protocol import Job, jobs, read_protocols


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", metavar="PATTERN", nargs="+", help="PROTOCOL, PROTOCOL/ROW/SETTING, with * and ?")
    parser.add_argument("--seeds", metavar="N|A,B,...", help="how many, or which; default: those of the protocol")
    parser.add_argument("--jobs", metavar="N", type=int, default=os.cpu_count(), help="runs at a time; default: cores")
    parser.add_argument("--list", action="store_true", help="show what there is, run nothing")
    parser.add_argument("--pages", action="store_true", help="write the pages, run nothing")
    parser.add_argument("--work", metavar="JOB", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.work:
        from working import work

        work(_named(options.work))
        return 0
    try:
        protocols = read_protocols()
        wanted = [j for j in jobs(protocols, _seeds(options.seeds)) if _matches(j, options.only)]
        if options.only and not wanted:
            known = ", ".join(protocols)
            raise ValueError(
                f"--only {' '.join(options.only)}: nothing is called so; protocols are {known}; see --list"
            )
        if options.jobs < 1:
            raise ValueError(f"--jobs {options.jobs}: give at least 1")
    except ValueError as error:
        print(error, file=sys.stderr)
        return 2
    return _do(options, wanted)


def _do(options: argparse.Namespace, wanted: list[Job]) -> int:
    from pages import write_pages
    from running import run, show

    if options.list:
        show(wanted)
        return 0
    for number in (signal.SIGINT, signal.SIGTERM):  # also where a shell has started this in the background
        signal.signal(number, _interrupt)
    code = 0 if options.pages else run(wanted, options.jobs)
    write_pages()
    return code


def _interrupt(number: int, frame: object) -> None:
    raise KeyboardInterrupt


def _seeds(text: str | None) -> int | list[int] | None:
    if text is None:
        return None
    try:
        found = [int(part) for part in text.split(",") if part.strip()]
    except ValueError:
        found = []
    if not found or min(found) < 0 or (found == [0] and "," not in text):
        raise ValueError(f"--seeds {text}: give how many, such as 5, or which, such as 7,8 or 7,")
    return found if "," in text else found[0]


def _matches(job: Job, patterns: list[str] | None) -> bool:
    return not patterns or any(fnmatch(job.name, p) or fnmatch(job.name, f"{p}/*") for p in patterns)


def _named(text: str) -> Job:
    name, _, seed = text.rpartition("#")
    return next(job for job in jobs(read_protocols(), [int(seed)]) if job.name == name)


if __name__ == "__main__":
    sys.exit(main())
