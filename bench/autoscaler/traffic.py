"""What balancers and fronts would count of many endpoints, of which one grows, by the simulator's data plane."""

from collections.abc import Mapping
from typing import Final

import numpy as np

from bench.autoscaler import dataplane, loads, services
from bench.autoscaler.dataplane import Plane
from bench.autoscaler.stand_in_prometheus import PodCounters, VersionCounters

SERVICE: Final = services.WORKERS
LIMIT: Final = SERVICE.best
LOW, HIGH = 10.0, 10_000.0
"""Requests a second of the endpoint that grows."""
BEFORE, DURING = 60, 90
"""Seconds of each."""
POD_RATE: Final = 30.0
"""Requests a second and pod of every other endpoint."""
GROWS: Final = "grows"


def needed() -> float:
    """Pods that serve the load with none to spare."""
    return HIGH / SERVICE.pod_rate


class Traffic:
    """What the balancer and the fronts would count."""

    def __init__(self, fleets: Mapping[str, set[str]]) -> None:
        """`fleets`: addresses of each endpoint's pods; those of all but one stay as they are."""
        rates = loads.step(LOW, HIGH, before=BEFORE, during=DURING, after=0)
        random = np.random.default_rng(1)
        arrivals = loads.poisson(rates, random)
        self._plane = Plane(
            arrivals=arrivals, work=SERVICE.draw(random, arrivals.size), pods_max=512, slots_max=LIMIT + 1,
            queue_max=1_000_000, seed=1,
        )  # fmt: skip
        self._free = list(range(511, -1, -1))
        self._places: dict[str, int] = {}
        self._last = np.zeros(4)
        self.versions = {
            name: VersionCounters(
                endpoint=name, version="v1", limit=LIMIT, sent=0.0, pods={address: PodCounters() for address in fleet}
            )
            for name, fleet in fleets.items()
        }

    @property
    def queued(self) -> int:
        """Requests that wait, of the endpoint that grows."""
        return self._plane.scalar(dataplane.QUEUED)

    def advance(self, step: float, until: float, grown: set[str]) -> None:
        """By so many seconds, to that second of the run, with these ready pods of the endpoint that grows."""
        for name, version in self.versions.items():
            if name == GROWS:
                continue
            for pod in version.pods.values():
                pod.arrived += POD_RATE * step
                pod.executing_seconds += POD_RATE * step * SERVICE.mean_seconds
                pod.executing = POD_RATE * SERVICE.mean_seconds
                pod.completed = pod.arrived
            version.sent += POD_RATE * step * len(version.pods)
        self._grow(until, grown)

    def _grow(self, until: float, ready: set[str]) -> None:
        plane, version = self._plane, self.versions[GROWS]
        plane.advance(
            until, speed=SERVICE.speed, cpu=SERVICE.cpu, tensor=SERVICE.tensor, limit=LIMIT, slo=SERVICE.slo_seconds()
        )
        for address in set(self._places) - ready:
            plane.drain(self._places.pop(address))  # its place is never used again: what it has is finished
        for address in ready - set(self._places):
            self._places[address] = self._free.pop()
            plane.serve(self._places[address])
        version.pods = {address: version.pods.get(address, PodCounters()) for address in ready}
        counts = (
            plane.scalar(dataplane.ARRIVED),
            plane.scalar(dataplane.COMPLETED),
            plane.total[dataplane.EXECUTING_SECONDS],
            plane.total[dataplane.QUEUED_SECONDS],
        )
        steps, self._last = np.array(counts) - self._last, np.array(counts)
        version.sent = float(counts[0])
        for pod in version.pods.values():  # the plane counts for all together: each has its equal part
            arrived, completed, executing, queued = steps / len(ready)
            pod.arrived += arrived
            pod.completed += completed
            pod.executing_seconds += executing
            pod.queued_seconds += queued
            pod.executing = plane.scalar(dataplane.EXECUTING) / len(ready)
            pod.queued = self.queued / len(ready)
