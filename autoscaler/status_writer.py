"""StatusWriter: a few threads that write what no decision waits for."""

import logging
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor

log = logging.getLogger(__name__)

THREADS = 4


class StatusWriter:
    """Runs jobs in the order in which they come, some at once. A job that fails is logged, and stops no other."""

    def __init__(self) -> None:
        self._threads = ThreadPoolExecutor(THREADS, thread_name_prefix="status")

    def submit(self, job: Callable[[], None]) -> None:
        """Runs the job soon, in another thread."""
        self._threads.submit(job).add_done_callback(_surprised)

    def close(self) -> None:
        """Waits for what is being written, and forgets the rest."""
        self._threads.shutdown(cancel_futures=True)


def _surprised(done: "Future[None]") -> None:
    if not done.cancelled() and (error := done.exception()) is not None:
        log.error("a status or event was not written", exc_info=error)
