"""Queues calls and hands them to workers: work-conserving, bounded, in order of arrival."""

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from headrace.contract import log_line
from headrace.runtimes.calls import Batch, Call, CallTimes, Outcome, Stream, Waiting, Work, Worker
from headrace.runtimes.protocols.errors import Failure
from headrace.runtimes.queue.admission import Admission
from headrace.runtimes.queue.batching import BatchSize, CallCurve
from headrace.runtimes.queue.request_metrics import RequestMetrics


class Calls(NamedTuple):
    """What the workers of a pod can do."""

    at_once: float
    """Model calls that they could run side by side."""
    curve: CallCurve | None
    """What a call costs; None before the first."""


class Dispatcher:
    """The queue in front of the workers."""

    def __init__(
        self, metrics: RequestMetrics, *, limit: int, timeout_seconds: float, clock: Callable[[], float]
    ) -> None:
        self.metrics = metrics
        self.admission = Admission(metrics, limit=limit, timeout_seconds=timeout_seconds, at_once=self._at_once)
        self._clock = clock
        self._queue: deque[Call] = deque()
        self._pump_due = False
        self._running: set[Batch] = set()
        self.workers: Sequence[Worker] = ()
        self.batch_size = BatchSize()
        self._read = 0
        """Calls that waited when the event loop last came round."""

    def _at_once(self) -> int:
        return sum(worker.width() for worker in self.workers)

    def set_limit(self, limit: int) -> None:
        """Changes how many calls may execute at once; running ones are never cut."""
        self.admission.set_limit(limit)
        self.pump()

    async def infer(self, work: Work, *, timeout_seconds: float | None = None) -> Outcome:
        """The outcome of one call, or a refusal at once when there is no room.

        `timeout_seconds` is the caller's own limit, where its protocol has one.
        """
        outcome: asyncio.Future[Outcome] = asyncio.get_running_loop().create_future()
        call = self.admit(work, outcome, timeout_seconds=timeout_seconds)
        if isinstance(call, Failure):
            return call
        call.about = log_line.ABOUT.get()
        try:
            return await outcome
        except asyncio.CancelledError:
            self.abandon(call)
            raise

    async def stream(self, work: Work) -> Failure | Stream:
        """Starts a streamed answer; a Failure when it is refused or fails before its first piece."""
        ending: asyncio.Future[Outcome] = asyncio.get_running_loop().create_future()
        pieces: asyncio.Queue[bytes | None] = asyncio.Queue()
        call = self.admit(work, ending, pieces)
        if isinstance(call, Failure):
            return call
        call.about = log_line.ABOUT.get()
        try:
            first = await pieces.get()
            if first is None:
                ended = await ending
                if isinstance(ended, Failure):
                    return ended
            return Stream(call, first, ending, self.abandon)
        except asyncio.CancelledError:
            self.abandon(call)
            raise

    def admit(
        self,
        work: Work,
        waiting: Waiting,
        pieces: "asyncio.Queue[bytes | None] | None" = None,
        *,
        timeout_seconds: float | None = None,
    ) -> Call | Failure:
        """Queues a call whose outcome `waiting` gets, or refuses it at once."""
        admission, metrics = self.admission, self.metrics
        if admission.full(timeout_seconds):
            return admission.refuse()
        limit = admission.timeout_seconds
        if timeout_seconds is not None:
            limit = min(timeout_seconds, limit)
        metrics.arrived += 1
        now, size = self._clock(), len(work.body)
        call = Call(work, size, now, now + limit, waiting, pieces=pieces)
        self._queue.append(call)
        metrics.queue(+1)
        if self.batch_size.divides(size):
            self.pump()  # worth a call of its own: reading what else came takes longer than merging it would save
        else:
            self._pump_soon()
        return call

    def calls(self) -> Calls:
        """What the workers can do, as far as it was measured."""
        curve = self.batch_size.curve(merges=any(worker.merges for worker in self.workers))
        return Calls(sum(worker.room() for worker in self.workers), curve)

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
        queued, size = self.metrics.queued, self.batch_size
        more = self._read < queued < size.most_requests
        if more and not self._worth_a_call():
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
            room = self.admission.limit - self.metrics.executing
            if room <= 0:
                room += sum(worker.given_up() for worker in self.workers)
                if room <= 0:
                    return
            free = [worker for worker in self.workers if worker.free() > 0]
            if not free:
                return
            worker = free[0] if len(free) == 1 else max(free, key=lambda worker: worker.free())
            lone = not worker.merges or queue[0].pieces is not None
            self._start(worker, [queue.popleft()] if lone else self._merged(room, len(free)))

    def _start(self, worker: Worker, calls: list[Call]) -> None:
        self.metrics.start(len(calls))
        batch = Batch(calls, worker, self._clock())
        for call in calls:
            call.batch = batch
        self._running.add(batch)
        worker.take(batch)

    def _merged(self, room: int, free: int) -> list[Call]:
        """Takes from the queue what one model call should answer: all that waits, within what was learned."""
        queue, size = self._queue, self.batch_size
        most_requests, most_bytes = min(room, size.most_requests), size.most_bytes
        if free > 1 and size.divides(len(queue) * queue[0].size):
            most_requests = min(most_requests, -(-len(queue) // free))
        calls = [queue.popleft()]
        total = calls[0].size
        while queue and len(calls) < most_requests:
            call = queue[0]
            total += call.size
            if (total > most_bytes or call.pieces is not None) and not call.gone:
                break
            queue.popleft()
            if not call.gone:
                calls.append(call)
        return calls

    def watch(self) -> None:
        """Lets workers that cannot take what waits learn whether they could; to be called every few milliseconds."""
        now = self._clock()
        if not self._queue or self.metrics.executing >= self.admission.limit:
            for worker in self.workers:
                worker.relaxed()
            return
        self.admission.judge()
        if any([worker.crowded(now) for worker in self.workers]):
            self.pump()

    def finished(self, batch: Batch, outcomes: Sequence[Any], seconds: float | None) -> None:
        """A batch has its outcomes, after a model call of so many seconds; None: not a call of a worker's own."""
        now = self._clock()
        metrics, count = self.metrics, len(batch.calls)
        if seconds is not None:
            self.batch_size.observe(count, sum(call.size for call in batch.calls), seconds)
            metrics.call_seconds += seconds
        self.admission.observe(now - batch.started, count)
        metrics.batches += 1
        metrics.batched += count
        self._let_go(batch)
        self.admission.judge()
        if self._queue and self._worth_a_call():
            self.pump()  # the worker has its next call before the answers of the last are written
        times = CallTimes(batch.started, now, seconds, count)
        for call, outcome in zip(batch.calls, outcomes, strict=True):
            call.times = times
            call.settle(outcome)
        if self._queue:
            self._pump_soon()

    def _worth_a_call(self) -> bool:
        """Whether what waits is worth a call, whatever else is still to be read."""
        queued, size = self.metrics.queued, self.batch_size
        if queued >= size.most_requests or not self.workers[0].merges:
            return True
        return size.divides(queued * self._queue[0].size)

    def lost(self, batch: Batch, failure: Failure) -> None:
        """A worker ended with the batch unanswered."""
        self._let_go(batch)
        for call in batch.calls:
            call.settle(failure)
        self.pump()

    def returned(self, batch: Batch, failure: Failure) -> None:
        """A worker ended before it began with the batch: its calls are first in the queue again."""
        if not any(worker.width() > 0 for worker in self.workers):
            self.lost(batch, failure)
            return
        waiting = [call for call in batch.calls if not call.waiting.done()]
        self._running.discard(batch)
        self.metrics.execute(len(waiting) - len(batch.calls))  # whose callers have left
        self.metrics.give_back(len(waiting))
        for call in waiting:
            call.batch = None
        self._queue.extendleft(reversed(waiting))
        self.pump()

    def expire(self) -> None:
        """Ends every call whose deadline passed; to be called a few times a second.

        The queue is in the order of the endpoint's own limit. A call with a shorter one may wait behind others here:
        its protocol cancels it.
        """
        now = self._clock()
        overdue = []
        for batch in self._running:
            late = [call for call in batch.calls if call.deadline <= now and not call.waiting.done()]
            overdue += late
            if late and len(batch.calls) == 1:
                batch.worker.cancel(batch)
        while self._queue and (self._queue[0].gone or self._queue[0].deadline <= now):
            call = self._queue.popleft()
            if not call.gone:
                self.metrics.queue(-1)
                call.gone = True
                overdue.append(call)
        for call in overdue:
            call.settle(self.admission.late())

    def abandon(self, call: Call) -> None:
        """The client went away: a waiting call is dropped; a running one is left to end, unless it is alone."""
        batch = call.batch
        if batch is not None:
            if len(batch.calls) == 1:
                batch.worker.cancel(batch)
        elif not call.gone:
            call.gone = True  # pump() drops it
            self.metrics.queue(-1)

    def _let_go(self, batch: Batch) -> None:
        """A batch does not run any more; whoever leaves from now on gives up no place."""
        self._running.discard(batch)
        self.metrics.execute(-len(batch.calls))
        for call in batch.calls:
            call.gone = True
            call.batch = None
