"""Commits: collects what pods send and has it committed, one commit a table every few seconds."""

import logging
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any, Final, Protocol

from headrace.contract.errors import HeadraceError, TemporaryError

log = logging.getLogger(__name__)

INTERVAL_SECONDS: Final = 3.0
"""Between two commits of a table: a version of it each time, which readers must read. A hundred pods make one."""
_LOOK_SECONDS: Final = 0.05
_AT_ONCE: Final = 8
"""Tables that are committed side by side; a commit mostly waits for its store."""
MOST_ROWS: Final = 200_000
"""Rows of all tables that may wait; a pod is told to come again beyond that."""


class Rows(Protocol):
    """What came in one request: `batch.Batch` or `otlp.OtlpBatch`."""

    @property
    def sequences(self) -> Sequence[int]:
        """A number for each row, ascending."""

    @property
    def last(self) -> int:
        """The highest of them."""


class Appendable(Protocol):
    """A table."""

    def append(self, batches: Sequence[Any]) -> int:
        """Makes one commit; returns how many rows were new."""


Outcome = Callable[[str, HeadraceError | None, int, float], None]
"""Told of each commit: the endpoint, what failed, how many rows were new, and how many seconds it took."""


@dataclass
class _Queue:
    """What waits for one table."""

    waiting: list[tuple[Rows, "Future[int]"]] = field(default_factory=list)
    due: float = 0.0
    is_running: bool = False


class Commits:
    """The queues of all tables."""

    def __init__(
        self,
        table_of: Callable[[str], Appendable],
        *,
        told: Outcome,
        interval_seconds: float = INTERVAL_SECONDS,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """`table_of` gives the table of an endpoint, or raises a HeadraceError."""
        self._table_of, self._told, self._interval, self._clock = table_of, told, interval_seconds, clock
        self._queues: dict[str, _Queue] = {}
        self._lock = threading.Lock()
        self._pool = ThreadPoolExecutor(_AT_ONCE, thread_name_prefix="commit")
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="commits", daemon=True)
        self.rows_waiting = 0

    def start(self) -> None:
        """Begins to commit."""
        self._thread.start()

    def stop(self) -> None:
        """Commits nothing more; what waits is not acknowledged, and comes again."""
        self._stop.set()
        self._thread.join(timeout=2.0)
        self._pool.shutdown(wait=True, cancel_futures=True)

    def add(self, endpoint: str, batch: Rows) -> "Future[int]":
        """Has a batch committed; the result is its last sequence, once it is in the table, or a HeadraceError.

        Raises TemporaryError where too many rows wait already.
        """
        future: Future[int] = Future()
        with self._lock:
            if self.rows_waiting + len(batch.sequences) > MOST_ROWS and self.rows_waiting:
                raise TemporaryError(f"{self.rows_waiting} rows wait to be written; send yours again later")
            self.rows_waiting += len(batch.sequences)
            self._queues.setdefault(endpoint, _Queue()).waiting.append((batch, future))
        return future

    def _run(self) -> None:
        while not self._stop.wait(_LOOK_SECONDS):
            self.look()

    def look(self) -> None:
        """Begins the commits that are due."""
        now = self._clock()
        with self._lock:
            for endpoint, queue in list(self._queues.items()):
                if queue.is_running or now < queue.due:
                    continue
                if queue.waiting:
                    queue.is_running, queue.due = True, now + self._interval
                    taken, queue.waiting = queue.waiting, []
                    self._pool.submit(self._commit, endpoint, queue, taken)
                else:
                    del self._queues[endpoint]

    def _commit(self, endpoint: str, queue: _Queue, taken: "Sequence[tuple[Rows, Future[int]]]") -> None:
        failure: HeadraceError | None = None
        new, began = 0, self._clock()
        try:
            new = self._table_of(endpoint).append([batch for batch, _ in taken])
        except HeadraceError as error:
            failure = error
        except BaseException as error:  # deltalake may panic
            log.exception("a commit failed")
            failure = TemporaryError(f"a commit failed: {type(error).__name__}")
        with self._lock:
            self.rows_waiting -= sum(len(batch.sequences) for batch, _ in taken)
            queue.is_running = False
        for batch, future in taken:
            if failure is None:
                future.set_result(batch.last)
            else:
                future.set_exception(failure)
        self._told(endpoint, failure, new, self._clock() - began)
