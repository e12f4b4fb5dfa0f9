"""Who may wait: the concurrency limit, the length of the queue, and the refusal of those for whom there is no room."""

import math
from collections.abc import Callable
from typing import Final

from headrace.runtimes.protocols.errors import Failure, Reason
from headrace.runtimes.queue.request_metrics import RequestMetrics

LONGEST_WAIT_SECONDS: Final = 10.0
"""A request that would wait longer than this is refused at once: its caller does better elsewhere, or later."""


class Admission:
    """The limit in force, and what it means for a request that comes now."""

    def __init__(
        self, metrics: RequestMetrics, *, limit: int, timeout_seconds: float, at_once: Callable[[], int]
    ) -> None:
        """`at_once`: calls that all workers run side by side now."""
        self._metrics = metrics
        self._at_once = at_once
        self.limit = self.default_limit = limit
        """Calls that may execute at once."""
        self.timeout_seconds = timeout_seconds
        """Longest time from arrival to outcome."""
        self._seconds_per_call = 0.0
        """Mean time of a model call for each request it answered; nothing is known at first, and nobody is refused."""
        self._most_queued = self.queue_limit
        """Requests that may wait now, judged by how fast the last ones were answered."""
        self._refusal: Failure | None = None
        """What is said to whom there is no room for, until a batch ends: under overload thousands a second hear it."""

    @property
    def queue_limit(self) -> int:
        """Requests that may wait: four full rounds of the concurrency limit, at most 1,024 and never fewer than 64."""
        return max(64, min(1024, 4 * self.limit))

    def set_limit(self, limit: int) -> None:
        """Changes how many calls may execute at once; running ones are never cut."""
        self.limit = limit
        self.judge()

    def full(self, timeout_seconds: float | None = None) -> bool:
        """Whether a request that came now, with that limit of its own, would be refused."""
        queued = self._metrics.queued
        if queued == 0:
            return False
        if queued >= self._most_queued:
            return True
        return timeout_seconds is not None and self.wait_seconds() > timeout_seconds

    def refuse(self) -> Failure:
        """Counts a request for which there is no room; says when to come back."""
        self._metrics.arrived += 1
        self._metrics.refused += 1
        if self._refusal is None:
            self._refusal = Failure(
                Reason.OVERLOADED,
                f"The model is at its limit: {self._metrics.executing} requests execute and {self._metrics.queued}"
                " wait. Try again after the time in Retry-After.",
                retry_after_seconds=min(30, max(1, math.ceil(self.wait_seconds()))),
            )
        return self._refusal

    def turn_away(self, failure: Failure) -> Failure:
        """Counts a request that cannot be served yet, or not any more, and passes on why."""
        self._metrics.arrived += 1
        self._metrics.refused += 1
        return failure

    def late(self) -> Failure:
        """The failure of a request whose time is over."""
        message = f"The request took longer than the time limit of {self.timeout_seconds:g} s."
        return Failure(Reason.TIMED_OUT, message)

    def observe(self, seconds: float, requests: int) -> None:
        """A model call took so long and answered so many requests."""
        self._seconds_per_call += 0.1 * (seconds / requests - self._seconds_per_call)

    def wait_seconds(self) -> float:
        """How long a request would wait that came now, from how long recent ones took."""
        return self._metrics.queued * self._seconds_per_place()

    def _seconds_per_place(self) -> float:
        """How much longer one waits for each request that waits before it."""
        return self._seconds_per_call / max(1, min(self.limit, self._at_once()))

    def judge(self) -> None:
        """Settles how many may wait, and forgets what was said to those who may not."""
        self._refusal = None
        self._most_queued = self.queue_limit
        longest = min(LONGEST_WAIT_SECONDS, self.timeout_seconds)
        each = self._seconds_per_place()
        if each * self._most_queued > longest:
            self._most_queued = int(longest / each) + 1
