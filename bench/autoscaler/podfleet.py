"""Pods on nodes: placed while there is room, else pending; starts that burn CPU; drains."""

import statistics
from dataclasses import dataclass

from bench.autoscaler.podplane import PodPlane
from bench.autoscaler.podservices import PodService
from bench.autoscaler.podstate import PODS, READY, SHARE, STARTING_WANT
from bench.autoscaler.run import ACTUATION_SECONDS, DRAIN_SECONDS, GRACE_SECONDS


@dataclass
class _Starting:
    """A pod on its node that does not serve yet."""

    pod: int
    home: int
    created: float
    waits_until: float
    cpu_seconds: float
    """Left to be used."""


class PodFleet:
    """Pods of one run. `room`: pods that each node takes."""

    def __init__(self, plane: PodPlane, service: PodService, *, nodes: int, room: int) -> None:
        self.plane, self.service, self.room = plane, service, room
        self.desired = 0
        self.on_node = [0] * nodes
        self.pending: list[float] = []
        """When each was ordered."""
        self.starting: list[_Starting] = []
        self.draining: list[tuple[float, int]] = []
        self.took: dict[int, float] = {}
        """Seconds from a pod's creation until it served, of ready pods."""
        self._free = list(range(PODS - 1, -1, -1))
        self.removed = self.cut = 0

    def begin(self, pods: int) -> None:
        """So many pods serve from the start."""
        self.desired = pods
        for _ in range(pods):
            home, pod = self._emptiest(), self._free.pop()
            self.on_node[home] += 1
            self.plane.serve(pod, home)
            self.took[pod] = self.service.start_seconds + self.service.start_cpu_seconds + ACTUATION_SECONDS

    def scale(self, wanted: int, now: float) -> None:
        """Orders or removes pods; those without a node go first, then the newest orders, then the least busy."""
        have, self.desired = self.desired, wanted
        self.pending += [now] * (wanted - have)
        excess = have - wanted
        while excess > 0 and self.pending:
            self.pending.pop()
            excess -= 1
        while excess > 0 and self.starting:
            start = self.starting.pop()
            self._gone(start.pod, start.home)
            excess -= 1
        for pod in self.plane.least_busy(max(0, excess)):
            self.plane.drain(pod)
            self.took.pop(pod, None)
            self.draining.append((now, pod))

    def tick(self, now: float, seconds: float) -> None:
        """What happened in the last `seconds`: pods start, drain and go, and find places."""
        node = self.plane.arrays.node
        still = []
        speed = min(1.0, self.service.cores)
        for start in self.starting:
            if start.waits_until < now:
                passed = min(seconds, now - start.waits_until)
                start.cpu_seconds -= passed * speed * float(node[start.home, SHARE])
            if start.waits_until <= now and start.cpu_seconds <= 1e-9:
                self.plane.serve(start.pod, start.home)
                self.took[start.pod] = now - start.created
            else:
                still.append(start)
        self.starting = still
        self._drain(now)
        while self.pending and self._free and min(self.on_node) < self.room:
            home, pod = self._emptiest(), self._free.pop()
            self.on_node[home] += 1
            created = self.pending.pop(0)
            waits = max(now, created + ACTUATION_SECONDS) + self.service.start_seconds
            self.starting.append(_Starting(pod, home, created, waits, self.service.start_cpu_seconds))
        for home in range(len(self.on_node)):
            burning = [start for start in self.starting if start.home == home and start.waits_until <= now]
            node[home, STARTING_WANT] = speed * len(burning)

    def _drain(self, now: float) -> None:
        still = []
        for told_at, pod in self.draining:
            idle = self.plane.arrays.inside[pod] == 0
            if now >= told_at + GRACE_SECONDS and not idle:
                self.cut += self.plane.kill(pod)
                idle = True
            if idle and now >= told_at + DRAIN_SECONDS:
                self.plane.arrays.state[pod] = 0
                self._gone(pod, int(self.plane.arrays.home[pod]))
            else:
                still.append((told_at, pod))
        self.draining = still

    def _emptiest(self) -> int:
        return self.on_node.index(min(self.on_node))

    def _gone(self, pod: int, home: int) -> None:
        self.on_node[home] -= 1
        self.removed += 1
        self._free.append(pod)

    @property
    def ready(self) -> int:
        """Pods that take requests."""
        return self.plane.scalar(READY)

    @property
    def placed(self) -> int:
        """Pods that have a node and do not leave."""
        return len(self.starting) + self.ready

    @property
    def alive(self) -> int:
        """All there are: pending, starting, ready, draining."""
        return len(self.pending) + self.placed + len(self.draining)

    @property
    def cold_start_seconds(self) -> float | None:
        """Median of the ready pods' starts, as the controller takes it; None while none is ready."""
        return statistics.median(self.took.values()) if self.took else None
