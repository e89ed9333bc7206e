"""The processes of ``--jobs``, started while it is still being checked what they are to do."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from perdure._pool import Pool
from perdure.cli._jobs import Jobs

WORKER = "perdure.cli._run_worker"


@contextmanager
def early(jobs: Jobs | None, units: int) -> Iterator[Pool | None]:
    """Processes that load PyTorch while this one does, for so many ``units`` of work.

    None where one will do, and for ``auto``: how many that is depends on the memory that the checks take.
    """
    size = min(jobs, units) if isinstance(jobs, int) else 0
    if size < 2:
        yield None
        return
    with Pool(WORKER, size) as pool:
        pool.begin()
        yield pool
