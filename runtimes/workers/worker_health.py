"""Finds workers that serve nobody any more: that hang, that are stuck in a call past its deadline, or in which no call
ends although calls used to end soon.

The last is a worker whose threads wait for each other, or for a server that never answers: it beats, uses no CPU, and
is told from a slow one by what its model's calls took so far. It is relieved, not killed: another worker takes its
place, and its calls have until their deadlines.
"""

import logging
from collections.abc import Iterable
from typing import Final

from headrace.runtimes.pod import processes
from headrace.runtimes.workers.worker_handle import WorkerHandle

log = logging.getLogger("headrace.front")

PATIENCE_SECONDS: Final = 20.0
"""How long no call has ended when a worker is relieved, at least: a pod that took requests and answered none answers
again within 30 s, its new worker's start included."""
FACTOR: Final = 10.0
"""A worker whose calls take longer is given this many times the longest call of its model."""
_ROOM: Final = 0.95
"""Share of the memory limit up to which a worker is started beside the one that it relieves."""


class WorkerHealth:
    """What a pod's workers are judged by."""

    def __init__(self, patience_seconds: float = PATIENCE_SECONDS) -> None:
        self._patience_seconds = patience_seconds
        self._longest = 0.0
        self.relieved = 0
        """Workers that others have relieved."""

    def called(self, seconds: float) -> None:
        """A model call has ended after so many seconds, in any worker."""
        self._longest = max(self._longest, seconds)

    def relieve(self, workers: Iterable[WorkerHandle], now: float, *, used: float | None, memory: int | None) -> None:
        """Has a worker leave in which no call ends, where there is room for another: `used` is the share of the pod's
        `memory`, bytes, that is in use; None where there is no limit."""
        patience = max(self._patience_seconds, FACTOR * self._longest)
        handles = list(workers)
        if not any(handle.process is None for handle in handles):
            return  # one at a time
        for handle in handles:
            if not handle.batches or handle.leaving or now - handle.progress < patience:
                continue
            if used is None or memory is None or used + handle.warm_bytes / memory < _ROOM:
                log.error(
                    "worker %d (pid %d) has ended no call for %.0f s, and no call took longer than %.1f s before: "
                    "another worker takes its place",
                    handle.number, handle.pid, now - handle.progress, self._longest,
                )  # fmt: skip
                handle.relieved = True
                self.relieved += 1
                handle.leave()
                return


def check_pulse(handle: WorkerHandle, now: float) -> None:
    """Kills a worker that does not beat and does not compute."""
    seen = processes.sample(handle.pid)
    beats = now - handle.beat < processes.SILENT_SECONDS / 2
    if seen is None or handle.seen is None or (beats and not seen.stopped):
        handle.seen = seen
    elif processes.hung(handle.beat, handle.seen, seen, ready=handle.ready):
        log.error("worker %d (pid %d) hangs: no beat for %.0f s", handle.number, handle.pid, now - handle.beat)
        handle.kill()
    elif seen.stopped:
        handle.seen = seen


def free_the_stuck(workers: Iterable[WorkerHandle], now: float) -> None:
    """A call past its deadline keeps a thread: its worker gets no more work, and ends when no other call runs."""
    for handle in workers:
        overdue = [batch for batch in handle.batches.values() if all(call.waiting.done() for call in batch.calls)]
        late = [batch for batch in overdue if batch.calls[0].deadline + 1.0 < now]
        if late:
            handle.leaving = True
            if len(overdue) == len(handle.batches):
                log.error("worker %d (pid %d) is stuck in a call past its deadline", handle.number, handle.pid)
                handle.kill()
