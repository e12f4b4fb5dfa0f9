"""`python -m bench.autoscaler.calibration`: simulated pods beside measured ones, at the same number of connections.

Measured: bench/results/runtime.json (two cores with two workers and the generator on them, no proxies), and what a
logistic model answered on the embedded cluster when this was written (a pod of one core; 64 connections).
"""

import json
import math
import sys
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from bench.autoscaler import podservices
from bench.autoscaler.podrun import Place, PodCase, run
from bench.autoscaler.podservices import PodService
from bench.autoscaler.policies import Policy, Static, Stats, Wanted

RUNTIME: Final = Path("bench/results/runtime.json")
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


def points() -> Iterator[Point]:
    """All of them."""
    cells = json.loads(RUNTIME.read_text(encoding="utf-8"))["cells"]
    rates = {
        cell["case"]: cell["value"]
        for cell in cells
        if cell["system"] == "headrace" and cell["metric"] == "requests_per_second"
    }
    for service in (podservices.LOGISTIC, podservices.FOREST, podservices.XGBOOST, podservices.CNN):
        both = replace(service, workers=2, cores=2.0)
        for connections in (1, 64):
            name = f"{service.name}, {connections} connections"
            yield Point(name=name, measured=rates[name], simulated=_answers(both, connections, BARE))
    alone = Place(cores=math.inf, others=0.0, path_seconds=0.0, path_wait=0.0)
    for name, place, measured in (
        ("logistic, a pod of one core alone, 64 connections", alone, 10_479.0),
        ("logistic, through both proxies, 64 connections", Place(), 2_730.0),
    ):
        yield Point(name=name, measured=measured, simulated=_answers(podservices.LOGISTIC, 64, place))


def misses() -> Iterator[Point]:
    """What the simulator is known to get wrong: it knows nothing of switching between processes."""
    found = _answers(podservices.LOGISTIC, 64, Place(), _Limited(1))
    yield Point(name="logistic, both proxies, one request at a time, 64 connections", measured=256.0, simulated=found)


def main() -> int:
    """Prints the table."""
    print("| load | measured, answers a second | simulated | apart |\n| --- | ---: | ---: | ---: |")
    for point in (*points(), *misses()):
        print(f"| {point.name} | {point.measured:,.0f} | {point.simulated:,.0f} | {point.apart:+.0%} |")
    return 0


if __name__ == "__main__":
    sys.exit(main())
