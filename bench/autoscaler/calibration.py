"""`python -m bench.autoscaler.calibration`: simulated pods beside measured ones, at the same number of connections.

Measured: what one machine answered on the day on which the services of `bench.autoscaler.podservices` were sized. A
machine of another day is faster or slower by a third, so the newest `make bench-runtime` is a column to look at and
judges nothing.
"""

import json
import math
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from bench.autoscaler import podservices
from bench.autoscaler.podrun import Place, PodCase, run
from bench.autoscaler.podservices import PodService
from bench.autoscaler.policies import Policy, Static, Stats, Wanted

RUNTIME: Final = Path("bench/results/runtime.json")
"""The newest `make bench-runtime`."""
SIZED_BY: Final[Mapping[tuple[PodService, int], float]] = {
    (podservices.LOGISTIC, 1): 848.0,
    (podservices.LOGISTIC, 64): 18_532.0,
    (podservices.FOREST, 1): 217.0,
    (podservices.FOREST, 64): 7_909.0,
    (podservices.XGBOOST, 1): 587.0,
    (podservices.XGBOOST, 64): 15_745.0,
    (podservices.CNN, 1): 1_727.0,
    (podservices.CNN, 64): 11_472.0,
}
"""Answers a second of a service by the number of connections: `make bench-runtime` of commit a0a546a (two cores with
two workers and the generator on them, no proxies)."""
ALONE: Final = 10_479.0
"""Answers a second of the logistic model's pod of one core, by itself, at 64 connections."""
THROUGH_PROXIES: Final = 2_730.0
"""The same through PoP and LoadBalancer on the embedded cluster of two cores."""
BARE: Final = Place(cores=2.0, others=0.0, path_seconds=13e-6, path_wait=0.0)
"""The generator on the cores of the pod; its CPU of an answer."""
NEAR: Final = 0.15
"""Relative error by which a service is still of the right size."""


@dataclass(frozen=True, kw_only=True)
class Point:
    """One measurement and its simulation."""

    name: str
    measured: float
    simulated: float
    newest: float | None = None
    """Measured by the newest run, on whatever machine that had."""

    @property
    def apart(self) -> float:
        """Relative error."""
        return self.simulated / self.measured - 1.0


class _Limited(Static):
    """One pod that admits one request at a time."""

    def observe(self, stats: Stats) -> Wanted:
        return Wanted(replicas=1, concurrency=1)


def _answers(service: PodService, connections: int, place: Place, policy: Policy | None = None) -> float:
    case = PodCase(name="calibration", service=service, seconds=10, connections=connections, place=place)
    return run(case, policy if policy is not None else Static(1)).answers


def _newest() -> Mapping[str, float]:
    """Requests a second of the newest run, by the case."""
    cells = json.loads(RUNTIME.read_text(encoding="utf-8"))["cells"]
    return {
        cell["case"]: cell["value"]
        for cell in cells
        if cell["system"] == "headrace" and cell["metric"] == "requests_per_second"
    }


def points() -> Iterator[Point]:
    """All of them."""
    newest = _newest()
    for (service, connections), measured in SIZED_BY.items():
        name = f"{service.name}, {connections} connections"
        simulated = _answers(replace(service, workers=2, cores=2.0), connections, BARE)
        yield Point(name=name, measured=measured, simulated=simulated, newest=newest.get(name))
    alone = Place(cores=math.inf, others=0.0, path_seconds=0.0, path_wait=0.0)
    for name, place, measured in (
        ("logistic, a pod of one core alone, 64 connections", alone, ALONE),
        ("logistic, through both proxies, 64 connections", Place(), THROUGH_PROXIES),
    ):
        yield Point(name=name, measured=measured, simulated=_answers(podservices.LOGISTIC, 64, place))


def misses() -> Iterator[Point]:
    """What the simulator is known to get wrong: it knows nothing of switching between processes."""
    found = _answers(podservices.LOGISTIC, 64, Place(), _Limited(1))
    yield Point(name="logistic, both proxies, one request at a time, 64 connections", measured=256.0, simulated=found)


def main() -> int:
    """Prints the table."""
    print("| load | measured, answers a second | simulated | apart | measured by the newest run |")
    print("| --- | ---: | ---: | ---: | ---: |")
    for point in (*points(), *misses()):
        newest = "" if point.newest is None else f"{point.newest:,.0f}"
        print(f"| {point.name} | {point.measured:,.0f} | {point.simulated:,.0f} | {point.apart:+.0%} | {newest} |")
    return 0


if __name__ == "__main__":
    sys.exit(main())
