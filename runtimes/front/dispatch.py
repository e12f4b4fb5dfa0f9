"""Queues requests and hands them to workers: work-conserving, bounded, in order of arrival."""

import asyncio
import math
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple, Protocol

from headrace.runtimes.front.answers import Answer, from_worker, refusal
from headrace.runtimes.front.batching import BatchSize, CallCurve
from headrace.runtimes.front.load import Load
from headrace.runtimes.front.streams import Stream

LONGEST_WAIT_SECONDS = 10.0
"""A request that would wait longer than this is refused at once: its caller does better elsewhere, or later."""


class Waiting(Protocol):
    """Who waits for an answer: a future, or a connection itself."""

    def done(self) -> bool:
        """Whether the answer has come."""

    def set_result(self, answer: Answer) -> None:
        """Takes the answer, once."""


class Sized(Waiting, Protocol):
    """Who waits for an answer, and remembers what its request takes of the pod's memory."""

    size: int


@dataclass(slots=True, eq=False)
class Call:
    """One request on its way through the front."""

    content_type: str
    body: bytes
    arrived: float
    deadline: float
    answer: Waiting
    gone: bool = False
    """The client went away, the deadline passed or the answer has come: it is not in the queue any more."""
    pieces: "asyncio.Queue[bytes | None] | None" = None
    """Where the pieces of a streamed answer arrive, None after the last; None for an answer in one piece."""


@dataclass(slots=True, eq=False)
class Batch:
    """Calls that a worker answers with one frame."""

    calls: Sequence[Call]
    started: float = field(default=0.0)


class Seat(Protocol):
    """What the dispatcher needs of a worker."""

    merges: bool
    """Whether it may answer several requests with one model call."""

    def width(self) -> int:
        """Batches it can run at once."""

    def free(self) -> int:
        """Batches it can take now without any waiting for another."""

    def room(self) -> float:
        """Batches it could run at once, by what its calls use of a core; 0 while it takes none."""

    def crowded(self, now: float) -> bool:
        """Told while requests wait that it could not take; whether it now takes more at once than before."""

    def relaxed(self) -> None:
        """Told when nothing waits."""

    def cancel(self, batch: Batch) -> None:
        """Told that nobody listens to a streamed batch any more."""

    def take(self, batch: Batch) -> None:
        """Starts a batch; it comes back through `Dispatcher.finished` or `Dispatcher.lost`."""


class Calls(NamedTuple):
    """What the workers of a pod can do."""

    at_once: float
    """Model calls that they could run side by side."""
    curve: CallCurve | None
    """What a call costs; None before the first."""


class Dispatcher:
    """The queue in front of the workers."""

    def __init__(
        self,
        load: Load,
        *,
        limit: int,
        timeout_seconds: float,
        clock: Callable[[], float],
    ) -> None:
        self.load = load
        self.limit = self.default_limit = limit
        self.timeout_seconds = timeout_seconds
        self._clock = clock
        self._queue: deque[Call] = deque()
        self._pump_due = False
        self._running: set[Call] = set()
        self._streams: dict[Call, Batch] = {}
        """Running streams."""
        self.seats: list[Seat] = []
        self.batch_size = BatchSize()
        self._read = 0
        """Requests that waited when the event loop last came round."""
        self._seconds_per_call = 0.0
        """Mean time of a model call for each request it answered; nothing is known at first, and nobody is refused."""
        self._most_queued = self.queue_limit
        """Requests that may wait now, judged by how fast the last ones were answered."""
        self._refusal: Answer | None = None
        """What is said to whom there is no room for, until a batch ends: under overload thousands a second hear it."""

    @property
    def queue_limit(self) -> int:
        """Requests that may wait: four full rounds of the concurrency limit, at most 1,024 and never fewer than 64."""
        return max(64, min(1024, 4 * self.limit))

    def set_limit(self, limit: int) -> None:
        """Changes how many requests may execute at once; running ones are never cut."""
        self.limit = limit
        self._judge()
        self.pump()

    async def score(self, content_type: str, body: bytes, *, timeout_seconds: float | None = None) -> Answer:
        """Answers one request, or refuses it at once when there is no room.

        `timeout_seconds` is the caller's own limit, where its protocol has one.
        """
        answer: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
        call = self.admit(content_type, body, answer, timeout_seconds=timeout_seconds)
        if isinstance(call, Answer):
            return call
        try:
            return await answer
        except asyncio.CancelledError:
            self.abandon(call)
            raise

    async def stream(self, content_type: str, body: bytes) -> Answer | Stream:
        """Starts a streamed answer; an Answer when it is refused or fails before its first piece."""
        answer: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
        pieces: asyncio.Queue[bytes | None] = asyncio.Queue()
        call = self.admit(content_type, body, answer, pieces)
        if isinstance(call, Answer):
            return call
        try:
            first = await pieces.get()
            if first is not None:
                return Stream(self, call, first, answer)
            ending = await answer
            return Stream(self, call, None, answer) if ending.status == 200 else ending
        except asyncio.CancelledError:
            self.abandon(call)
            raise

    def admit(
        self,
        content_type: str,
        body: bytes,
        waiting: Waiting,
        pieces: "asyncio.Queue[bytes | None] | None" = None,
        *,
        timeout_seconds: float | None = None,
    ) -> Call | Answer:
        """Queues a request whose answer `waiting` gets, or refuses it at once."""
        load = self.load
        limit = self.timeout_seconds if timeout_seconds is None else min(timeout_seconds, self.timeout_seconds)
        if self.full(timeout_seconds):
            return self.turn_away()
        load.arrived += 1
        now = self._clock()
        call = Call(content_type, body, now, now + limit, waiting, pieces=pieces)
        self._queue.append(call)
        load.queue(+1)
        if self.batch_size.divides(len(body)):
            self.pump()  # worth a call of its own: reading what else came takes longer than merging it would save
        else:
            self._pump_soon()
        return call

    def full(self, timeout_seconds: float | None = None) -> bool:
        """Whether a request that came now, with that limit, would be refused."""
        queued = self.load.queued
        if queued == 0:
            return False
        if queued >= self._most_queued:
            return True
        return timeout_seconds is not None and self.wait_seconds() > timeout_seconds

    def turn_away(self) -> Answer:
        """Counts a request that is refused, and refuses it."""
        self.load.arrived += 1
        self.load.refused += 1
        return self.refused()

    def calls(self) -> Calls:
        """What the workers can do, as far as it was measured."""
        curve = self.batch_size.curve(merges=any(seat.merges for seat in self.seats))
        return Calls(sum(seat.room() for seat in self.seats), curve)

    def _pump_soon(self) -> None:
        """Has calls start once nothing more is there to be read, or what waits is worth a call.

        Requests that came together are merged together. The core that reads them is busy meanwhile; when nothing is
        left to read, what waits is started, be it one request.
        """
        if not self._pump_due:
            self._pump_due = True
            self._read = 0
            asyncio.get_running_loop().call_soon(self._pump_when_read)

    def _pump_when_read(self) -> None:
        queued, size = self.load.queued, self.batch_size
        more = self._read < queued < size.most_requests
        if more and not size.divides(queued * len(self._queue[0].body)):
            self._read = queued
            asyncio.get_running_loop().call_soon(self._pump_when_read)
        else:
            self._pump_due = False
            self.pump()

    def pump(self) -> None:
        """Hands waiting calls to free workers, as many as the limit allows."""
        queue = self._queue
        while queue:
            if queue[0].gone:
                queue.popleft()
                continue
            room = self.limit - self.load.executing
            if room <= 0:
                return
            free = [seat for seat in self.seats if seat.free() > 0]
            if not free:
                return
            seat = free[0] if len(free) == 1 else max(free, key=lambda seat: seat.free())
            lone = not seat.merges or queue[0].pieces is not None
            calls = [queue.popleft()] if lone else self._merged(room, len(free))
            self.load.queue(-len(calls))
            self.load.execute(len(calls))
            self._running.update(calls)
            batch = Batch(calls, self._clock())
            if calls[0].pieces is not None:
                self._streams[calls[0]] = batch
            seat.take(batch)

    def _merged(self, room: int, free: int) -> list[Call]:
        """Takes from the queue what one model call should answer: all that waits, within what was learned."""
        queue, size = self._queue, self.batch_size
        most_requests, most_bytes = min(room, size.most_requests), size.most_bytes
        if free > 1 and size.divides(len(queue) * len(queue[0].body)):
            most_requests = min(most_requests, -(-len(queue) // free))
        calls = [queue.popleft()]
        total = len(calls[0].body)
        while queue and len(calls) < most_requests:
            call = queue[0]
            total += len(call.body)
            if (total > most_bytes or call.pieces is not None) and not call.gone:
                break
            queue.popleft()
            if not call.gone:
                calls.append(call)
        return calls

    def watch(self) -> None:
        """Lets workers that cannot take what waits learn whether they could; to be called every few milliseconds."""
        if not self._queue or self.load.executing >= self.limit:
            for seat in self.seats:
                seat.relaxed()
            return
        now = self._clock()
        self._judge()
        if any([seat.crowded(now) for seat in self.seats]):
            self.pump()

    def finished(self, batch: Batch, results: Sequence[tuple[int, bytes]], seconds: float | None) -> None:
        """A worker answered a batch in so many seconds of its own; None for a stream."""
        now = self._clock()
        if seconds is not None:
            self.batch_size.observe(len(batch.calls), sum(len(call.body) for call in batch.calls), seconds)
            self.load.call_seconds += seconds
        self._seconds_per_call += 0.1 * ((now - batch.started) / len(batch.calls) - self._seconds_per_call)
        self.load.batches += 1
        self.load.batched += len(batch.calls)
        self._let_go(batch)
        self._judge()
        if self._queue and self._worth_a_call():
            self.pump()  # the worker has its next call before the answers of the last are written
        _settle_all(batch, [from_worker(status, body) for status, body in results])
        if self._queue:
            self._pump_soon()

    def _worth_a_call(self) -> bool:
        """Whether what waits is worth a call, whatever else is still to be read."""
        queued, size = self.load.queued, self.batch_size
        if queued >= size.most_requests or not self.seats[0].merges:
            return True
        return size.divides(queued * len(self._queue[0].body))

    def lost(self, batch: Batch, answer: Answer) -> None:
        """A worker ended with the batch unanswered."""
        self._let_go(batch)
        _settle_all(batch, [answer] * len(batch.calls))
        self.pump()

    def expire(self) -> None:
        """Answers 504 to every call whose deadline passed; to be called a few times a second.

        The queue is in the order of the endpoint's own limit. A call with a shorter one may wait behind others here:
        its protocol cancels it.
        """
        now = self._clock()
        overdue = [call for call in self._running if call.deadline <= now]
        while self._queue and (self._queue[0].gone or self._queue[0].deadline <= now):
            call = self._queue.popleft()
            if not call.gone:
                self.load.queue(-1)
                call.gone = True
                overdue.append(call)
        for call in overdue:
            message = f"The request took longer than the time limit of {self.timeout_seconds:g} s."
            _settle(call, refusal(504, "DEADLINE_EXCEEDED", message))

    def retry_after_seconds(self) -> int:
        """When a refused caller may come back: the time in which the queue empties, 1 to 30 whole seconds."""
        return min(30, max(1, math.ceil(self.wait_seconds())))

    def wait_seconds(self) -> float:
        """How long a request would wait that came now, from how long recent ones took."""
        return self.load.queued * self._seconds_per_place()

    def _seconds_per_place(self) -> float:
        """How much longer one waits for each request that waits before it."""
        at_once = min(self.limit, sum(seat.width() for seat in self.seats))
        return self._seconds_per_call / max(1, at_once)

    def _judge(self) -> None:
        """Settles how many may wait, and forgets what was said to those who may not."""
        self._refusal = None
        self._most_queued = self.queue_limit
        longest = min(LONGEST_WAIT_SECONDS, self.timeout_seconds)
        each = self._seconds_per_place()
        if each * self._most_queued > longest:
            self._most_queued = int(longest / each) + 1

    def refused(self) -> Answer:
        """429, with when to come back."""
        if self._refusal is None:
            self._refusal = refusal(
                429,
                "RESOURCE_EXHAUSTED",
                f"The model is at its limit: {self.load.executing} requests execute and {self.load.queued} wait."
                " Try again after the time in Retry-After.",
                retry_after_seconds=self.retry_after_seconds(),
            )
        return self._refusal

    def abandon(self, call: Call) -> None:
        """The client went away: a waiting call is dropped, a running one is left to end, a stream is told to."""
        if call in self._running:
            if call.pieces is not None:
                for seat in self.seats:
                    seat.cancel(self._streams[call])
        elif not call.gone:
            call.gone = True  # pump() drops it
            self.load.queue(-1)

    def _let_go(self, batch: Batch) -> None:
        """A batch does not run any more; whoever leaves from now on gives up no place."""
        self._running.difference_update(batch.calls)
        self._streams.pop(batch.calls[0], None)
        self.load.execute(-len(batch.calls))
        for call in batch.calls:
            call.gone = True


def _settle_all(batch: Batch, answers: Sequence[Answer]) -> None:
    for call, answer in zip(batch.calls, answers, strict=True):
        _settle(call, answer)


def _settle(call: Call, answer: Answer) -> None:
    if not call.answer.done():
        call.answer.set_result(answer)
        if call.pieces is not None:
            call.pieces.put_nowait(None)
