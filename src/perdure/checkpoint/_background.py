"""One job at a time beside training."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor


class Background:
    """Runs jobs in a thread, one after the other; what one raises is raised by the next ``wait``.

    The thread stays, as a new one would hold up whoever starts it. The interpreter waits for a running job before it
    exits.
    """

    def __init__(self) -> None:
        self._pool = ThreadPoolExecutor(1, "perdure-checkpoint")
        self._job: Future[None] | None = None

    @property
    def busy(self) -> bool:
        """Whether a job is running."""
        return self._job is not None and not self._job.done()

    @property
    def failed(self) -> bool:
        """Whether the last job has raised what nobody has seen yet."""
        return self._job is not None and self._job.done() and self._job.exception() is not None

    def start(self, job: Callable[[], None]) -> None:
        """Run ``job`` when the one before it is done."""
        self.wait()
        self._job = self._pool.submit(job)

    def wait(self) -> None:
        """Return when nothing is running; raise what the last job raised."""
        job, self._job = self._job, None
        if job is not None:
            job.result()
