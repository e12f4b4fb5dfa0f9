"""Counts what the front does, as monotone counters that grow while requests wait and run (contract/metrics.py)."""

from collections import Counter
from collections.abc import Callable


class RequestMetrics:
    """The front's counters. Every change of a level first adds the time spent at the old level."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._moved = clock()
        self.arrived = 0
        self.completed = 0
        self.refused = 0
        self.queued = 0
        self.executing = 0
        self.queued_seconds = 0.0
        self.executing_seconds = 0.0
        self.answers: Counter[int] = Counter()
        """Answers by HTTP status."""
        self.batches = 0
        self.batched = 0
        """Model calls, and requests answered by them."""
        self.call_seconds = 0.0
        """Seconds of model calls in their workers, of those that ended."""
        self.worker_exits = 0

    def settle(self) -> None:
        """Brings the two integrals up to now."""
        now = self._clock()
        passed = now - self._moved
        self._moved = now
        self.queued_seconds += passed * self.queued
        self.executing_seconds += passed * self.executing

    def queue(self, change: int) -> None:
        """`change` requests joined (or, negative, left) the queue."""
        self.settle()
        self.queued += change

    def execute(self, change: int) -> None:
        """`change` requests began (or, negative, ended) executing."""
        self.settle()
        self.executing += change
        if change < 0:
            self.completed -= change

    def give_back(self, count: int) -> None:
        """So many requests that were taken to execute wait again."""
        self.settle()
        self.queued += count
        self.executing -= count

    def start(self, count: int) -> None:
        """So many requests left the queue and began executing."""
        self.settle()
        self.queued -= count
        self.executing += count
