"""The processes of ``--jobs``, started while it is still being checked what they are to do."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from perdure._pool import Pool
from perdure.cli._jobs import Jobs, processes
from perdure.cli._options import Options

WORKER = "perdure.cli._run_worker"


@contextmanager
def early(jobs: Jobs | None, units: int, options: Options) -> Iterator[Pool | None]:
    """Processes that load PyTorch while this one checks so many ``units`` of work; None where one will do.

    As the data are not there yet, ``auto`` may be more than there is memory for: ``Execution.run`` ends those.
    """
    size = processes(jobs, units, options, lambda text: None)
    if size < 2:
        yield None
        return
    with Pool(WORKER, size) as pool:
        pool.begin()
        yield pool
