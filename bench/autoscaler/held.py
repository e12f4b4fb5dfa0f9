"""`python -m bench.autoscaler.held product-tracks.json`: runs of the real cluster, and the simulator with their loads.

The file is what `make bench-product` writes beside product.json: a list of tracks, one a case and system. Of a track
are used: `case` and `system`; `answers` and `failures`, of each second of the load (`arrivals` in their place, where it
is there); `looks`, the seconds at which the cluster was looked at; and `ordered`, `placed`, `ready` and `alive`, pods
at each look. Compared are the time until the pods that the case ends with were ready, and pod-seconds.

The engine is the same. The simulator is told what no one can know beforehand: how long pods took to start, and how many
the node had room for. Writes bench/results/autoscaler-held.json.
"""

import argparse
import itertools
import json
import statistics
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

import numpy as np

from bench.autoscaler import podservices, report
from bench.autoscaler.bars import Bar
from bench.autoscaler.podrun import Place, PodCase, PodOutcome, run
from bench.autoscaler.podservices import PodService
from bench.autoscaler.policies import Apa

RESULTS: Final = Path("bench/results")
OURS: Final = "headrace"
WITHIN: Final = 0.15
LEAST_CASES: Final = 3
LOOK_SECONDS: Final = 1.0
"""Of what can be told apart on a cluster that is looked at once a second."""
LOADS: Final[Mapping[str, tuple[PodService, int]]] = {
    "logistic": (podservices.LOGISTIC, 64),
    "logistic, 16 connections": (podservices.LOGISTIC, 16),
    "callers": (podservices.CALLERS, 50),
    "steps": (podservices.LOGISTIC, 0),
    "compute": (podservices.COMPUTE, 64),
    "wait": (podservices.AGENT, 64),
    "forest": (podservices.FOREST, 64),
    "xgboost": (podservices.XGBOOST, 64),
    "cnn": (podservices.CNN, 64),
}
"""Cases of bench-product: the service, and the connections of its closed loop; 0: an open one."""


@dataclass(frozen=True, kw_only=True)
class Track:
    """One recorded run, second by second of its load."""

    case: str
    arrivals: Sequence[float]
    ordered: Sequence[int]
    ready: Sequence[int]
    placed: Sequence[int]
    alive: Sequence[int]

    @classmethod
    def read(cls, found: Mapping[str, Any]) -> "Track":
        """From the product's JSON; looks are brought to whole seconds, the newest at or before each."""
        answers, failures = found["answers"], found["failures"]
        arrivals = found.get("arrivals", [a + b for a, b in itertools.zip_longest(answers, failures, fillvalue=0)])
        seconds = min(len(arrivals), int(found["looks"][-1]) + 1)
        looks = np.searchsorted(np.array(found["looks"]), np.arange(seconds) + 0.999, side="right") - 1
        at = np.clip(looks, 0, None)
        pods = {name: [int(found[name][index]) for index in at] for name in ("ordered", "ready", "placed", "alive")}
        return cls(case=found["case"], arrivals=[float(value) for value in arrivals[:seconds]], **pods)

    @property
    def seconds(self) -> int:
        """Of the load that were looked at."""
        return len(self.arrivals)

    @property
    def pod_seconds(self) -> float:
        return float(sum(self.alive))

    @property
    def start_seconds(self) -> float | None:
        """From the first rise of what is ordered to the first pod more that is ready; None while neither rose."""
        ordered, ready = _first_rise(self.ordered), _first_rise(self.ready)
        return float(ready - ordered) if ordered is not None and ready is not None and ready > ordered else None

    @property
    def room(self) -> int | None:
        """Pods that fitted; None while none lacked room."""
        short = any(
            alive > placed and ordered > placed
            for alive, placed, ordered in zip(self.alive, self.placed, self.ordered, strict=True)
        )
        return max(self.placed) if short else None


def _first_rise(values: Sequence[float]) -> int | None:
    return next((second for second, value in enumerate(values) if value > values[0]), None)


def capacity_seconds(ready: Sequence[float]) -> float:
    """Until as many pods are ready as in the middle of the last quarter."""
    settled = statistics.median(ready[-max(1, len(ready) // 4) :])
    return float(next(second for second, pods in enumerate(ready) if pods >= settled))


def simulated(track: Track, others: float) -> PodOutcome:
    """The same load on simulated pods of a node on which everything else uses so many cores."""
    service, connections = LOADS[track.case]
    if track.start_seconds is not None:
        waits = max(0.0, track.start_seconds - service.start_cpu_seconds)
        service = replace(service, start_seconds=waits)
    place = Place(others=others)
    case = PodCase(
        name=track.case,
        service=service,
        seconds=track.seconds,
        connections=connections,
        rates=None if connections else np.array(track.arrivals),
        place=place if track.room is None else replace(place, room=track.room),
        initial=max(1, track.ready[0]),
    )
    return run(case, Apa(case.setting, vertical=True), keep_trace=True)


def held(track: Track, others: float = Place().others) -> dict[str, Any]:
    """Both runs, and how far they are apart."""
    outcome = simulated(track, others)
    real, model = capacity_seconds(track.ready), capacity_seconds(outcome.trace["ready"])
    answers = sum(track.arrivals) / track.seconds
    return {
        "case": track.case,
        "capacity_seconds": [real, model],
        "capacity_apart": max(0.0, abs(model - real) - LOOK_SECONDS) / max(real, LOOK_SECONDS),
        "pod_seconds": [track.pod_seconds, outcome.pod_seconds],
        "pod_seconds_apart": abs(outcome.pod_seconds - track.pod_seconds) / max(track.pod_seconds, 1.0),
        "ordered_max": [max(track.ordered), outcome.ordered_max],
        "answers": [round(answers, 1), round(outcome.answers, 1)],
    }


def bar(found: Sequence[Mapping[str, Any]]) -> Bar:
    """Held in three cases at least."""
    near = [each["case"] for each in found if each["capacity_apart"] <= WITHIN and each["pod_seconds_apart"] <= WITHIN]
    return Bar(
        name="simulator against bench-product",
        rule=f"time to capacity and pod-seconds within {WITHIN:.0%} in {LEAST_CASES} cases",
        value=f"{len(near)} of {len(found)} cases: {', '.join(near)}" if found else "not measured",
        holds=len(near) >= LEAST_CASES,
    )


def main() -> int:
    """Compares, prints and writes."""
    parser = argparse.ArgumentParser(prog="python -m bench.autoscaler.held", description=__doc__)
    parser.add_argument("tracks", type=Path, nargs="?", default=RESULTS / "product-tracks.json")
    told = "cores that everything else on the node used, where it was not quiet"
    parser.add_argument("--others", type=float, default=Place().others, help=told)
    arguments = parser.parse_args()
    recorded = json.loads(arguments.tracks.read_text(encoding="utf-8"))
    tracks = [Track.read(each) for each in recorded if each["system"] == OURS and each["case"] in LOADS]
    found = [held(track, arguments.others) for track in tracks]
    print(
        "| case | to capacity, cluster | simulator | pod-seconds | simulator | most ordered | simulator | answers/s |"
    )
    print("| --- |" + " ---: |" * 7)
    for each in found:
        print(
            f"| {each['case']} | {each['capacity_seconds'][0]:.0f} s | {each['capacity_seconds'][1]:.0f} s"
            f" | {each['pod_seconds'][0]:,.0f} | {each['pod_seconds'][1]:,.0f} ({each['pod_seconds_apart']:.0%})"
            f" | {each['ordered_max'][0]} | {each['ordered_max'][1]}"
            f" | {each['answers'][0]:,} / {each['answers'][1]:,} |"
        )
    verdict = bar(found)
    print()
    print(report.bars_table([verdict]))
    report.write(RESULTS / "autoscaler-held.json", {"cases": found, "bars": [verdict.to_json()]})
    return 0


if __name__ == "__main__":
    sys.exit(main())
