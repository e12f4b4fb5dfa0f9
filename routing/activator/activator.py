"""Activator: holds the requests of all versions, and lets them go as pods become ready. Runs on one event loop."""

import asyncio
import time
from collections.abc import Callable, Mapping
from typing import Final, Protocol

from headrace.routing.activator import admission, hold_metrics
from headrace.routing.activator.admission import Bounds, Held, Refusal, VersionView
from headrace.routing.activator.version_queue import VersionQueue, Waiting
from headrace.routing.snapshot import PodAddress

SWEEP_SECONDS: Final = 0.25
"""How often deadlines and places that nobody gave back are looked at."""
ANSWER_SECONDS: Final = 0.25
"""Before its caller's time is over a request is refused, so that the refusal arrives before the proxy's own 504."""
LEARNED_VERSIONS: Final = 10_000
"""Versions whose measured start is remembered; the oldest is forgotten."""

Answer = PodAddress | Refusal


class Cluster(Protocol):
    """What is known of versions; `cluster_view.ClusterView` is the real one."""

    def pods(self, name: str) -> Mapping[PodAddress, int]:
        """Ready pods of `<endpoint>/<version>`, each with the requests that it admits at once."""

    def view(self, name: str) -> VersionView:
        """What is known of its starts."""


class Activator:
    """Queues by version. `news` is called, on the loop, when a version begins to have requests that wait."""

    def __init__(
        self,
        cluster: Cluster,
        *,
        bounds: Bounds | None = None,
        news: Callable[[], None] = lambda: None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._cluster, self._news, self._clock = cluster, news, clock
        self._bounds = Bounds() if bounds is None else bounds
        self._queues: dict[str, VersionQueue] = {}
        self._gates: dict[Waiting, asyncio.Future[Answer]] = {}
        self._measured: dict[str, float] = {}
        """By version, seconds from its first held request to its first ready pod, as last seen."""
        self._held = Held()
        self._leaving = False

    def counts(self) -> dict[str, tuple[int, float]]:
        """By version that has some, how many requests wait, and for how many seconds the first of them."""
        now = self._clock()
        return {name: (len(queue), queue.waited(now)) for name, queue in self._queues.items() if len(queue) > 0}

    async def pod(self, name: str, *, timeout_seconds: float, size: int) -> Answer:
        """The pod that a request of `<endpoint>/<version>` may go to, once there is one with room; or why none is.

        Raises ConnectionAbortedError when this activator ends: another must be asked.
        """
        if self._leaving:
            raise ConnectionAbortedError
        now = self._clock()
        queue = self._queue(name)
        request = Waiting(arrived_at=now, deadline=now + timeout_seconds - ANSWER_SECONDS, size=size)
        view = self._view(name)
        refused = admission.refusal(
            view, queue, self._held, self._bounds, now=now, deadline=request.deadline, size=size
        )
        if refused is not None:
            hold_metrics.ended.labels(refused.reason).inc()
            return refused
        gate: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
        self._gates[request] = gate
        first = len(queue) == 0
        queue.join(request)
        self._held.requests += 1
        self._held.bytes += size
        self._let_go(queue, now)
        if first and not gate.done():
            self._news()
        try:
            return await gate
        except asyncio.CancelledError:
            hold_metrics.ended.labels("left").inc()
            raise
        finally:
            queue.leave(request)
            del self._gates[request]
            self._held.requests -= 1
            self._held.bytes -= size

    def pods_changed(self) -> None:
        """Reads the pods of versions with requests that wait, and lets go what they have room for."""
        now = self._clock()
        for name, queue in self._queues.items():
            if len(queue) > 0:
                self._read_pods(name, queue, now)
                self._let_go(queue, now)

    def ended(self, name: str, pod: PodAddress, *, reached: bool) -> None:
        """A request that was given to this pod has ended, or has not reached it."""
        queue, now = self._queues.get(name), self._clock()
        if queue is not None:
            queue.ended(pod, now, reached=reached)
            self._let_go(queue, now)

    def leave(self) -> None:
        """Sends all that waits to another activator, and whoever still comes."""
        self._leaving = True
        for gate in self._gates.values():
            if not gate.done():
                gate.set_exception(ConnectionAbortedError())

    async def sweep(self) -> None:
        """Looks at deadlines and pods until it is cancelled."""
        while True:
            await asyncio.sleep(SWEEP_SECONDS)
            now = self._clock()
            for name, queue in list(self._queues.items()):
                if queue.idle(now):
                    del self._queues[name]
                    continue
                self._read_pods(name, queue, now)
                self._let_go(queue, now)
                for request in queue.late(now):
                    waited = now - request.arrived_at
                    self._open(request, admission.too_late(self._view(name), queue, now=now, waited=waited))
                    hold_metrics.ended.labels("late").inc()

    def _queue(self, name: str) -> VersionQueue:
        queue = self._queues.get(name)
        if queue is None:
            queue = self._queues[name] = VersionQueue()
        if len(queue) == 0:
            self._read_pods(name, queue, self._clock())
        return queue

    def _read_pods(self, name: str, queue: VersionQueue, now: float) -> None:
        pods = self._cluster.pods(name)
        if pods and not queue.has_pods and queue.first_at is not None:
            self._measured.pop(name, None)
            self._measured[name] = seconds = now - queue.first_at
            hold_metrics.start_seconds.observe(seconds)
            while len(self._measured) > LEARNED_VERSIONS:
                del self._measured[next(iter(self._measured))]
        queue.set_pods(pods)

    def _view(self, name: str) -> VersionView:
        view = self._cluster.view(name)
        seconds = self._measured.get(name)
        return view if seconds is None else VersionView(name=name, start_seconds=seconds, failure=view.failure)

    def _let_go(self, queue: VersionQueue, now: float) -> None:
        for request, pod in queue.let_go(now):
            self._open(request, pod)
            hold_metrics.ended.labels("given").inc()
            hold_metrics.held_seconds.observe(now - request.arrived_at)

    def _open(self, request: Waiting, answer: Answer) -> None:
        gate = self._gates.get(request)
        if gate is not None and not gate.done():
            gate.set_result(answer)
