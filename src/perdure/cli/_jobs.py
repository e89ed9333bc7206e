"""``--jobs``: how many processes work side by side, and with how many threads each."""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from perdure.cli._options import Options

if TYPE_CHECKING:
    from perdure._pool import Pool

Jobs = int | Literal["auto"]
METAVAR = "N|auto"
THREADS = 1
HELP = (
    "learn N methods and seeds at a time, each in a process of its own with one thread (or --threads); auto: as many "
    "as there are cores, and memory for; the numbers do not depend on N"
)


def add_jobs(group: Any, text: str = HELP) -> None:
    """The flag, the same for all commands that have it."""
    group.add_argument("--jobs", type=str | int | None, metavar=METAVAR, help=text)


def read_jobs(given: str | int | None) -> Jobs | None:
    """A number or ``auto``; ``ValueError`` in one line where it is neither."""
    if given is None or given == "auto":
        return given  # type: ignore[return-value]  # the literal
    if not re.fullmatch(r"\d{1,6}", str(given)) or not int(given):
        raise ValueError(f"--jobs {given}: expected a whole number of at least 1, or auto")
    return int(given)


def with_threads(options: Options, jobs: Jobs | None) -> Options:
    """``options`` with the number of threads settled: with ``--jobs`` one, whatever N, as numbers depend on it."""
    return options if jobs is None or options.threads is not None else replace(options, threads=THREADS)


def processes(
    jobs: Jobs | None, units: int, options: Options, say: Callable[[str], object], started: Pool | None = None
) -> int:
    """How many, for so many ``units`` of work; ``say`` is told. What those hold that have ``started`` is theirs."""
    if jobs is None:
        return 1
    threads = options.threads or THREADS
    on_gpu = options.device != "cpu"
    if jobs == "auto" and on_gpu:
        say(f"--jobs auto on {options.device}: one process, as several would share its memory; --jobs 2 runs two")
    held = started.held_bytes() if started else 0
    asked = (1 if on_gpu else _as_many_as_fit(threads, held)) if jobs == "auto" else jobs
    count = max(1, min(asked, units))
    if count > 1:
        each = "1 thread" if threads == 1 else f"{threads} threads"
        say(f"{count} processes with {each} each")
    return count


def _as_many_as_fit(threads: int, held: int) -> int:
    """So many processes like this one have a core for each thread, and memory; ``held``: by some of them already."""
    from perdure._peak_memory import peak_memory_bytes

    cores = _cores()
    used, free = peak_memory_bytes(), _available_bytes()
    free += held if free else 0
    return max(1, min(cores // threads, free // used if used and free else cores))


def _cores() -> int:
    """Physical ones that this process may use; where nobody says which those are, all."""
    try:
        siblings = "/sys/devices/system/cpu/cpu{}/topology/thread_siblings_list"
        return len({Path(siblings.format(n)).read_text(encoding="ascii") for n in os.sched_getaffinity(0)})
    except (AttributeError, OSError):
        return os.cpu_count() or 1


def _available_bytes() -> int:
    """Of main memory, for new processes; 0 if unknown."""
    try:
        found = re.search(
            r"^MemAvailable:\s+(\d+) kB$", Path("/proc/meminfo").read_text(encoding="ascii"), re.MULTILINE
        )
    except OSError:
        return 0
    return int(found[1]) * 1024 if found else 0
