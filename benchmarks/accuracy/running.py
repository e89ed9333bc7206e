"""Many jobs at a time, each in a process of its own."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from protocol import Job
from results import result

PROGRAM = Path(__file__).parent
POLL_SECONDS = 0.2
LINES_OF_AN_ERROR = 12


@dataclass
class Started:
    """A job in progress."""

    job: Job
    process: subprocess.Popen[bytes]
    errors: IO[bytes]
    since: float


def show(wanted: list[Job]) -> None:
    """Print how many seeds of each row are done."""
    asked, done = Counter(j.name for j in wanted), Counter(j.name for j in wanted if result(j))
    waiting = {j.name: why for j in wanted if (why := _waits(j))}
    for name, count in asked.items():
        print(f"{done[name]:>3} of {count}  {name}{'  waits: ' + waiting[name] if name in waiting else ''}")
    print(f"{done.total()} of {asked.total()} runs are done", file=sys.stderr)


def run(wanted: list[Job], at_a_time: int) -> int:
    """Run what is missing; the exit code."""
    left = [job for job in wanted if result(job) is None]
    waiting = {job.name: why for job in left if (why := _waits(job))}
    for name, why in waiting.items():
        _say(f"{name} waits: {why}")
    left = [job for job in left if job.name not in waiting]
    _say(f"{len(wanted) - len(left)} of {len(wanted)} runs are done or wait, {len(left)} to go, {at_a_time} at a time")
    started: list[Started] = []
    failed, done, total = 0, 0, len(left)
    try:
        while left or started:
            while left and len(started) < at_a_time:
                started.append(_start(left.pop(0)))
            time.sleep(POLL_SECONDS)
            for one in [s for s in started if s.process.poll() is not None]:
                started.remove(one)
                done += 1
                failed += _tell(one, done, total)
    except KeyboardInterrupt:
        lost = sum(result(one.job) is None for one in started)
        _say(f"interrupted: {lost} runs in progress are lost, what is done is kept; the same command goes on")
        return 130
    finally:
        for one in started:
            one.process.terminate()
            one.process.wait()
            one.errors.close()
    return 1 if failed else 0


def _start(job: Job) -> Started:
    errors = tempfile.TemporaryFile()  # noqa: SIM115 closed when the job has ended
    process = subprocess.Popen(
        [sys.executable, str(PROGRAM), "--work", f"{job.name}#{job.seed}"],
        env=os.environ | {"OMP_NUM_THREADS": "1"},
        stdin=subprocess.DEVNULL,
        stderr=errors,
        start_new_session=True,  # Ctrl-C is for this process; it ends the others
    )
    return Started(job, process, errors, time.monotonic())


def _tell(one: Started, done: int, total: int) -> bool:
    """Say how a job ended; whether it failed."""
    one.errors.seek(0)
    text = one.errors.read().decode(errors="replace")
    one.errors.close()
    head = f"[{done}/{total}] {one.job.name} seed {one.job.seed}"
    found = result(one.job)
    if one.process.returncode or found is None:
        tail = "\n".join(text.splitlines()[-LINES_OF_AN_ERROR:])
        _say(f"{head}: failed with exit code {one.process.returncode}\n{tail}")
        return True
    numbers = ", ".join(f"{name} {value:.2f}" for name, value in found["numbers"].items())
    _say(f"{head}: {numbers} ({time.monotonic() - one.since:.0f} s)")
    return False


def _waits(job: Job) -> str:
    """Why a job cannot be run yet, if it cannot."""
    from perdure import list_methods

    method = job.spec.get("method", "er")  # parts need none
    return "" if method in {info.name for info in list_methods()} else f"there is no method {method!r} yet"


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)
