"""`python -m bench.autoscaler.fleet`: 200 functions of Azure's 2019 trace, each an endpoint that sleeps unless called.

What is saved is against each function's fixed fleet: the pods that its busiest minute of the day needs at the soft
target, at least one, all the time. What it costs users are the requests that came while no pod was ready.
Writes bench/results/autoscaler-fleet.json.
"""

import argparse
import math
import multiprocessing
import os
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np

from bench.autoscaler import build, loads, report, services
from bench.autoscaler.dataplane import Floats
from bench.autoscaler.policies import NOTHING, Apa, Kpa, Literal, Policy, Setting, Stats, Wanted
from bench.autoscaler.run import Case, run

RESULTS: Final = Path("bench/results")
SERVICE: Final = services.WORKERS
SHARE: Final = 0.7
COLD_START_SECONDS: Final = 3.0
"""Of a scikit-learn model whose image is on the node."""
LOOKS_SECONDS: Final = 5.0
MINUTE: Final = 60


class Drowsy:
    """A policy that is asked about a sleeping version each 5 s only, and at once when a request came."""

    def __init__(self, inner: Policy) -> None:
        self.inner = inner
        self._arrived, self._at = 0.0, -math.inf

    def observe(self, stats: Stats) -> Wanted:
        if stats.desired == 0 and stats.arrived == self._arrived and stats.now - self._at < LOOKS_SECONDS:
            return NOTHING
        self._arrived, self._at = stats.arrived, stats.now
        return self.inner.observe(stats)

    def close(self) -> None:
        self.inner.close()


@dataclass(frozen=True, kw_only=True)
class Function:
    """One function in a part of the day."""

    number: int
    rates: Floats
    """Requests a second."""
    peak: float
    """Requests a second in its busiest minute of the day."""

    @property
    def fixed_pods(self) -> int:
        """Pods of its fixed fleet."""
        return max(1, math.ceil(self.peak / SERVICE.pod_rate / SHARE))

    def case(self) -> Case:
        """Its load on sleeping pods."""
        random = np.random.default_rng(1000 + self.number)
        arrivals = loads.poisson(self.rates, random)
        return Case(
            name=f"function {self.number}",
            service=SERVICE,
            arrivals=arrivals,
            work=SERVICE.draw(random, arrivals.size),
            seconds=self.rates.size,
            warm_seconds=0,
            setting=Setting(
                concurrency=SERVICE.best,
                target=SHARE * SERVICE.best,
                initial=0,
                min_replicas=0,
                max_replicas=max(2, 2 * self.fixed_pods),
                cores=SERVICE.cores,
            ),
            cold_start_seconds=COLD_START_SECONDS,
            needed=self.peak / SERVICE.pod_rate,
            seed=self.number,
        )


def functions(*, first_minute: int, minutes: int, factor: float = 1.0) -> list[Function]:
    """All of the trace, in that part of the day."""
    counts = loads.azure_functions_counts() * factor / MINUTE
    part = slice(first_minute, first_minute + minutes)
    return [
        Function(number=number, rates=np.repeat(row[part], MINUTE), peak=float(row.max()))
        for number, row in enumerate(counts)
    ]


_field: dict[str, Callable[[Setting], Policy]] = {
    "Headrace APA": lambda setting: Drowsy(Apa(setting)),
    "published rule, literal": Literal,
}
_fleet: list[Function] = []


def _one(job: tuple[int, str]) -> dict[str, Any]:
    function, name = _fleet[job[0]], job[1]
    case = function.case()
    outcome = run(case, _field[name](case.setting))
    return {
        "function": function.number,
        "system": name,
        "arrived": outcome.arrived,
        "pod_seconds": outcome.pod_seconds,
        "fixed_pod_seconds": function.fixed_pods * case.seconds,
        "waited_for_start": outcome.waited_for_start,
        "late": outcome.violations,
        "wait_p99": outcome.wait_p99,
        "refused": outcome.rejected,
        "starts": outcome.churn,
        "actions": outcome.actions,
    }


def summary(rows: list[dict[str, Any]]) -> dict[str, float]:
    """Of one system over all functions; shares are of all requests."""
    arrived = sum(row["arrived"] for row in rows)
    pods, fixed = (sum(row[name] for row in rows) for name in ("pod_seconds", "fixed_pod_seconds"))
    called = [row for row in rows if row["arrived"]]
    return {
        "saving": 1.0 - pods / fixed,
        "pod_seconds": pods,
        "fixed_pod_seconds": fixed,
        "requests": arrived,
        "requests_waited_for_start": sum(row["waited_for_start"] * row["arrived"] for row in rows) / arrived,
        "function_waited_for_start_median": float(np.median([row["waited_for_start"] for row in called])),
        "requests_late": sum(row["late"] * row["arrived"] for row in rows) / arrived,
        "refused": sum(row["refused"] for row in rows),
        "wait_p99_median": float(np.median([row["wait_p99"] for row in called])),
        "wait_p99_worst": max(row["wait_p99"] for row in called),
        "actions": sum(row["actions"] for row in rows),
    }


def table(found: dict[str, dict[str, float]]) -> str:
    """Systems side by side, as Markdown."""
    lines = [
        "| policy | saved | pod-seconds | requests that met a start | of a function, median | late | refused"
        " | p99 wait of a function, median | worst | changes |",
        "| --- |" + " ---: |" * 9,
    ]
    for name, one in found.items():
        lines.append(
            f"| {name} | {one['saving']:.1%} | {one['pod_seconds']:,.0f} of {one['fixed_pod_seconds']:,.0f}"
            f" | {one['requests_waited_for_start']:.3%} | {one['function_waited_for_start_median']:.2%}"
            f" | {one['requests_late']:.3%} | {one['refused']:,.0f} | {one['wait_p99_median']:.2f} s"
            f" | {one['wait_p99_worst']:.2f} s | {one['actions']:,.0f} |"
        )
    return "\n".join(lines)


def main() -> int:
    """Runs the fleet under each policy."""
    parser = argparse.ArgumentParser(prog="python -m bench.autoscaler.fleet", description=__doc__)
    parser.add_argument("--hours", type=float, default=3.0, help="length of the part of the day (default 3)")
    parser.add_argument("--from-hour", type=float, default=9.0, help="where it begins (default 9)")
    parser.add_argument("--factor", type=float, default=1.0, help="times the trace")
    parser.add_argument("--knative", action="store_true", help="Knative's own code too; built where it is not")
    parser.add_argument("--processes", type=int, default=os.cpu_count(), help="runs at once (default: all cores)")
    parser.add_argument("--write", action="store_true", help="write bench/results/autoscaler-fleet.json")
    arguments = parser.parse_args()
    started = time.monotonic()
    minutes, first = round(arguments.hours * 60), round(arguments.from_hour * 60)
    _fleet[:] = functions(first_minute=first, minutes=minutes, factor=arguments.factor)
    binary = build.peers().kpa if arguments.knative else None
    if binary is not None:
        _field["Knative KPA"] = lambda setting: Kpa(setting, binary)
    jobs = [(index, name) for name in _field for index in range(len(_fleet))]
    with multiprocessing.get_context("fork").Pool(arguments.processes) as pool:
        rows = list(pool.imap(_one, jobs, chunksize=4))
    found = {name: summary([row for row in rows if row["system"] == name]) for name in _field}
    print(table(found))
    print(f"{time.monotonic() - started:.0f} s", file=sys.stderr)
    if arguments.write:
        report.write(
            RESULTS / "autoscaler-fleet.json",
            {
                "settings": {"first_minute": first, "minutes": minutes, "factor": arguments.factor,
                             "cold_start_seconds": COLD_START_SECONDS, "service": SERVICE.name},
                "systems": found,
                "functions": rows,
            },
        )  # fmt: skip
    return 0


if __name__ == "__main__":
    sys.exit(main())
