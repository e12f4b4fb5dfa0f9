"""VersionQueue: requests of one version that wait for a pod with room, in order of arrival. Pure: time is an argument.

A pod that becomes ready is not given all that waits. It gets one request, then as many at once as have ended and one
more (TCP's slow start), up to the requests that it admits; the rest waits for the next end. So the model's first calls,
which are its slowest, are not behind a hundred others, and no front refuses what was held for it.
"""

import heapq
import math
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from headrace.routing.snapshot import PodAddress

LEASE_SECONDS: Final = 10.0
"""Seconds after which a place in a pod counts as free although no end was told: of a long stream, or of a request whose
proxy was lost. What comes too much then waits in the pod's own queue, which takes 64 or more."""
BARRED_SECONDS: Final = 5.0
"""For how long a pod is given nothing that refused a connection: as the proxies do (`clusters.ejection`)."""
FIRST_WINDOW: Final = 1
"""Requests that a pod is given before the first of them has ended."""


@dataclass(eq=False, kw_only=True, slots=True)
class Waiting:
    """One request that waits. Compared by identity."""

    arrived_at: float
    deadline: float
    """When it must have been answered."""
    size: int
    """Bytes of its body that proxies keep meanwhile."""


@dataclass(kw_only=True, slots=True)
class _Room:
    """What one pod was given."""

    limit: int
    window: int = FIRST_WINDOW
    leases: deque[float] = field(default_factory=deque)
    """When each request that it has went to it."""

    def taken(self, now: float) -> int:
        while self.leases and now - self.leases[0] >= LEASE_SECONDS:
            self.leases.popleft()
        return len(self.leases)

    barred_until: float = -math.inf

    def free(self, now: float) -> int:
        return 0 if now < self.barred_until else min(self.limit, self.window) - self.taken(now)


@dataclass(kw_only=True)
class VersionQueue:
    """Queue and pods of one version."""

    size: int = 0
    """Bytes of all that waits."""
    first_at: float | None = None
    """When the first request came since the queue was empty and there was no pod; None once one went to a pod."""
    _waiting: dict[Waiting, None] = field(default_factory=dict)
    _rooms: dict[PodAddress, _Room] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self._waiting)

    @property
    def has_pods(self) -> bool:
        """Whether some pod is ready."""
        return bool(self._rooms)

    def waited(self, now: float) -> float:
        """Seconds for which the first in the queue has waited; 0 for nobody."""
        return max(0.0, now - next(iter(self._waiting)).arrived_at) if self._waiting else 0.0

    def idle(self, now: float) -> bool:
        """Whether nothing waits, and no pod has anything that waited."""
        return not self._waiting and not any(room.taken(now) for room in self._rooms.values())

    def join(self, request: Waiting) -> None:
        """At the end of the queue."""
        if self.first_at is None and not self._rooms:
            self.first_at = request.arrived_at
        self._waiting[request] = None
        self.size += request.size

    def leave(self, request: Waiting) -> bool:
        """Takes a request out whose caller has gone, or that was refused; False when it is no longer there."""
        if self._waiting.pop(request, request) is request:
            return False
        self.size -= request.size
        if not self._waiting:
            self.first_at = None
        return True

    def set_pods(self, limits: Mapping[PodAddress, int]) -> None:
        """The version's ready pods, each with the requests that it admits at once. What pods that stay were given is
        remembered."""
        for pod in self._rooms.keys() - limits.keys():
            del self._rooms[pod]
        for pod, limit in limits.items():
            self._rooms.setdefault(pod, _Room(limit=limit)).limit = max(1, limit)

    def ended(self, pod: PodAddress, now: float, *, reached: bool = True) -> None:
        """A request that this pod was given has ended. One that did not reach it sets the pod aside for a while."""
        room = self._rooms.get(pod)
        if room is None:
            return
        if room.leases:
            room.leases.popleft()
        if reached:
            room.window = min(room.limit, room.window + 1)
        else:
            room.window, room.barred_until = FIRST_WINDOW, now + BARRED_SECONDS

    def let_go(self, now: float) -> list[tuple[Waiting, PodAddress]]:
        """Requests that may go now, oldest first, each to the pod that was given the least."""
        order = [(room.taken(now), pod) for pod, room in self._rooms.items() if room.free(now) > 0]
        heapq.heapify(order)
        found = []
        for request in list(self._waiting):
            if not order:
                break
            taken, pod = order[0]
            room = self._rooms[pod]
            room.leases.append(now)
            found.append((request, pod))
            if room.free(now) > 0:
                heapq.heapreplace(order, (taken + 1, pod))
            else:
                heapq.heappop(order)
        for request, _ in found:
            self.leave(request)
        if found:
            self.first_at = None
        return found

    def late(self, now: float) -> list[Waiting]:
        """Takes out the requests whose time is over."""
        found = [request for request in self._waiting if request.deadline <= now]
        for request in found:
            self.leave(request)
        return found
