"""One job at a time beside training."""

from __future__ import annotations

import threading
from collections.abc import Callable


class Background:
    """Runs jobs in a thread, one after the other; what one raises is raised by the next ``wait``.

    The interpreter waits for a job that is running before it exits.
    """

    def __init__(self) -> None:
        self._thread: threading.Thread | None = None
        self._failure: BaseException | None = None

    @property
    def busy(self) -> bool:
        """Whether a job is running."""
        return self._thread is not None and self._thread.is_alive()

    @property
    def failed(self) -> bool:
        """Whether the last job has raised what nobody has seen yet."""
        return self._failure is not None

    def start(self, job: Callable[[], None]) -> None:
        """Run ``job`` when the one before it is done."""
        self.wait()
        self._thread = threading.Thread(target=self._run, args=(job,), name="perdure checkpoint")
        self._thread.start()

    def wait(self) -> None:
        """Return when nothing is running; raise what the last job raised."""
        if self._thread is not None:
            self._thread.join()
            self._thread = None
        failure, self._failure = self._failure, None
        if failure is not None:
            raise failure

    def _run(self, job: Callable[[], None]) -> None:
        try:
            job()
        except BaseException as error:  # noqa: BLE001 for the thread that waits
            self._failure = error
