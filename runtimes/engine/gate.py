"""Admission in front of an engine that does its own scheduling: a hard limit, a bounded queue, in order of arrival."""

import asyncio
import math
from collections import deque
from collections.abc import Callable

from headrace.runtimes.front.answers import Answer, refusal
from headrace.runtimes.front.dispatch import LONGEST_WAIT_SECONDS
from headrace.runtimes.front.load import Load


class Gate:
    """Lets `limit` requests through at once."""

    def __init__(self, load: Load, *, limit: int, timeout_seconds: float, clock: Callable[[], float]) -> None:
        self.load = load
        self.limit = self.default_limit = limit
        self.timeout_seconds = timeout_seconds
        self._clock = clock
        self._waiting: deque[asyncio.Future[None]] = deque()
        self._seconds_per_request = 0.0
        """Mean time in the engine; nothing is known at first, and nobody is refused."""

    @property
    def queue_limit(self) -> int:
        """Requests that may wait, as for our own workers: four rounds of the limit, 64 at least and 1,024 at most."""
        return max(64, min(1024, 4 * self.limit))

    def set_limit(self, limit: int) -> None:
        """Changes how many may run at once; running ones are never cut."""
        self.limit = limit
        self._admit()

    def calls(self) -> None:
        """What model calls cost is not known of an engine that schedules them by itself."""

    async def enter(self) -> Answer | None:
        """Returns None when the request may run, which ends with `leave`; else the refusal or the passed deadline."""
        load = self.load
        if load.executing < self.limit and not self._waiting:
            load.arrived += 1
            load.execute(+1)
            return None
        if load.queued >= self.queue_limit or self.wait_seconds() > min(LONGEST_WAIT_SECONDS, self.timeout_seconds):
            return self.turn_away()
        load.arrived += 1
        ticket = asyncio.get_running_loop().create_future()
        self._waiting.append(ticket)
        load.queue(+1)
        try:
            async with asyncio.timeout(self.timeout_seconds):
                await ticket
        except TimeoutError:
            self._left(ticket)
            return self.late()
        except asyncio.CancelledError:
            self._left(ticket)
            raise
        return None

    def turn_away(self) -> Answer:
        """Counts a request that is refused, and refuses it."""
        self.load.arrived += 1
        self.load.refused += 1
        return self.refused()

    def leave(self, seconds: float) -> None:
        """The request ended, `seconds` after it was let in."""
        self._seconds_per_request += 0.1 * (seconds - self._seconds_per_request)
        self.load.execute(-1)
        self._admit()

    def wait_seconds(self) -> float:
        """How long a request would wait that came now, from how long recent ones took."""
        return self.load.queued * self._seconds_per_request / max(1, self.limit)

    def refused(self) -> Answer:
        """429, with when to come back."""
        return refusal(
            429,
            "RESOURCE_EXHAUSTED",
            f"The model is at its limit: {self.load.executing} requests execute and {self.load.queued} wait."
            " Try again after the time in Retry-After.",
            retry_after_seconds=min(30, max(1, math.ceil(self.wait_seconds()))),
        )

    def late(self) -> Answer:
        """504."""
        message = f"The request took longer than the time limit of {self.timeout_seconds:g} s."
        return refusal(504, "DEADLINE_EXCEEDED", message)

    def _left(self, ticket: "asyncio.Future[None]") -> None:
        if ticket in self._waiting:
            self._waiting.remove(ticket)
            self.load.queue(-1)
        else:  # let in at the moment in which it gave up
            self.load.execute(-1)
            self._admit()

    def _admit(self) -> None:
        while self._waiting and self.load.executing < self.limit:
            ticket = self._waiting.popleft()
            self.load.queue(-1)
            self.load.execute(+1)
            if not ticket.done():
                ticket.set_result(None)
