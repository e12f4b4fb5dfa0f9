"""`python -m bench.autoscaler.product`: the loads on which the product failed on a real cluster, on simulated pods.

Pods, proxies and nodes are those of podservices and podrun.Place; everything is at its defaults, the concurrency limit
too. *Ours fixed* is the best fixed number of pods that the place has room for: the ceiling.
"""

import argparse
import math
import multiprocessing
import os
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Final

import numpy as np

from bench.autoscaler import build, podservices, report
from bench.autoscaler.bars import Bar
from bench.autoscaler.podrun import Place, PodCase, PodOutcome, run
from bench.autoscaler.policies import Apa, Hpa, Kpa, Literal, Static
from headrace.autoscaler.engine import CallCurve

RESULTS: Final = Path("bench/results")
OURS, RULE, FIXED = "Headrace APA", "published rule, literal, 70 a pod", "ours fixed"
KNATIVE_LIMIT, KNATIVE_TARGET = 100, 70.0
"""Requests at once a pod, where nothing is set: Knative's default, and seven tenths of it."""
AS_GOOD = 0.98
"""Answers over those of the best fixed number, from which fewer pods are as good."""
ROOMY: Final = Place(nodes=4, cores=32.0, room=32, others=1.0)


@dataclass(frozen=True, kw_only=True)
class ProductCell:
    """One load, and what it is held to."""

    case: PodCase
    about: str
    pods: int | None = None
    """Most pods that may be ordered; None: what the place has room for and one, within two decisions."""
    overloads: bool = False
    """Whether more comes than may wait while pods start, so that some must be refused."""
    steady: bool = True
    """Held to *ours fixed* on answers and p99, if one pod carries the load at seven tenths busy or less."""
    p99_seconds: float | None = None


def _nonsense(told: CallCurve | None) -> CallCurve | None:
    return None if told is None else replace(told, fixed_seconds=math.nan, at_once=0.0)


def _unknown(told: CallCurve | None) -> CallCurve | None:
    return None


def _steps(*rates: float, seconds: int = 40) -> Any:
    return np.repeat(np.array(rates, np.float64), seconds)


def cells() -> list[ProductCell]:
    """The table."""
    services = podservices
    tenth = replace(services.LOGISTIC, name="logistic, a tenth of a core", cores=0.1)
    two = replace(services.LOGISTIC, name="logistic, two workers", cores=2.0, workers=2)
    return [
        ProductCell(
            about="16 connections, one row; on the cluster 3 to 21 pods",
            case=PodCase(name="16 connections", service=services.LOGISTIC, seconds=120, connections=16),
            pods=2,
        ),
        ProductCell(
            about="64 connections, one row; on the cluster 14 to 54 pods",
            case=PodCase(name="64 connections", service=services.LOGISTIC, seconds=150, connections=64),
            pods=2,
        ),
        ProductCell(
            about="16 connections, a form of the request that is not merged; on the cluster up to 57 pods",
            case=PodCase(name="16 connections, slow form", service=services.LABELLED, seconds=120, connections=16),
            steady=False,
        ),
        ProductCell(
            about="a model that waits 1 s, 50 callers from the first second; on the cluster 100 pods in 10 s",
            case=PodCase(name="50 callers", service=services.CALLERS, seconds=240, connections=50),
            pods=3,
            p99_seconds=1.5,
        ),
        ProductCell(
            about="a model that waits 200 ms, 64 connections",
            case=PodCase(name="agent", service=services.AGENT, seconds=120, connections=64),
            pods=2,
        ),
        ProductCell(
            about="10, 200, 1,000, 50 requests a second",
            case=PodCase(
                name="steps", service=services.LOGISTIC, seconds=160, rates=_steps(10, 200, 1000, 50), needed=1,
                capacity_from=80,
            ),
            pods=2,
        ),
        ProductCell(
            about="64 connections", pods=2,
            case=PodCase(name="forest", service=services.FOREST, seconds=120, connections=64),
        ),
        ProductCell(
            about="64 connections", pods=2,
            case=PodCase(name="xgboost", service=services.XGBOOST, seconds=120, connections=64),
        ),
        ProductCell(
            about="64 connections", pods=2,
            case=PodCase(name="cnn", service=services.CNN, seconds=120, connections=64),
        ),
        ProductCell(
            about="64 connections, one request in ten with 50 rows", pods=2,
            case=PodCase(name="mixed cost", service=services.MIXED, seconds=120, connections=64),
        ),
        ProductCell(
            about="64 connections, pods with two workers and two cores", pods=2,
            case=PodCase(name="two workers", service=two, seconds=120, connections=64),
        ),
        ProductCell(
            about="64 connections, a pod's limit a tenth of a core: its front and its worker are throttled", pods=4,
            case=PodCase(name="throttled", service=tenth, seconds=120, connections=64), steady=False,
        ),
        ProductCell(
            about="40 ms of computing, 64 connections, a node of two cores with room for 4 pods: no number is enough",
            case=PodCase(name="full node", service=services.COMPUTE, seconds=180, connections=64), steady=False,
        ),
        ProductCell(
            about="16 connections; after a minute another pod wants both cores for a minute", pods=2,
            case=PodCase(
                name="noisy neighbour", service=services.LOGISTIC, seconds=180, connections=16,
                neighbour=(60, 120, 2.0),
            ),
        ),
        ProductCell(
            about="8 requests a second of 40 ms, after 80 s of 120 ms: two pods are needed", pods=4, steady=False,
            case=PodCase(
                name="gets slower", service=services.COMPUTE, seconds=240, rates=_steps(8, seconds=240),
                slower=(80, 3.0),
            ),
        ),
        ProductCell(
            about="16 connections, fronts that do not tell a curve", pods=4,
            case=PodCase(
                name="curve unknown", service=services.LOGISTIC, seconds=120, connections=16, tells=_unknown
            ),
        ),
        ProductCell(
            about="50 callers of a model that waits 1 s, fronts that do not tell a curve", pods=4,
            case=PodCase(
                name="curve unknown, callers", service=services.CALLERS, seconds=120, connections=50, tells=_unknown
            ),
        ),
        ProductCell(
            about="16 connections, fronts that tell a curve that makes no sense", pods=4,
            case=PodCase(
                name="curve nonsense", service=services.LOGISTIC, seconds=120, connections=16, tells=_nonsense
            ),
        ),
        ProductCell(
            about="40 ms of computing, 10 to 400 requests a second at once, four nodes of 32 cores: 18 pods", pods=36,
            overloads=True,
            case=PodCase(
                name="step, many pods", service=services.COMPUTE, seconds=180, rates=_steps(10, 400, 50, seconds=60),
                place=ROOMY, needed=18, capacity_from=60,
            ), steady=False,
        ),
        ProductCell(
            about="40 ms of computing, 64 connections, four nodes of 32 cores: as many pods as connections would do",
            pods=128,
            case=PodCase(
                name="64 connections, many pods", service=services.COMPUTE, seconds=240, connections=64, place=ROOMY,
            ), steady=False,
        ),
    ]  # fmt: skip


Start = Callable[[PodCase], Any]


_peers: dict[str, Start] = {}


def add_peers() -> None:
    """Takes in Knative's KPA and the Kubernetes HPA (on requests at once) at Knative's default target; builds them."""
    found = build.peers()
    for reason in found.missing:
        print(f"left out: {reason}", file=sys.stderr)
    if (kpa := found.kpa) is not None:
        _peers["Knative KPA"] = lambda case: Kpa(replace(case.setting, concurrency=KNATIVE_LIMIT), kpa)
    if (hpa := found.hpa) is not None:
        _peers["HPA"] = lambda case: Hpa(replace(case.setting, concurrency=KNATIVE_LIMIT), hpa)


def policies(cell: ProductCell) -> dict[str, Start]:
    """Ours, the rule, peers if asked for, and every fixed number of pods that the place has room for, to four."""
    room = min(4, cell.case.place.room * cell.case.place.nodes)
    found: dict[str, Start] = {
        OURS: lambda case: Apa(case.setting, vertical=True),
        RULE: lambda case: Literal(replace(case.setting, target=KNATIVE_TARGET)),
        **_peers,
    }
    for pods in range(1, room + 1):
        found[f"{FIXED}, {pods}"] = lambda case, pods=pods: Static(pods)  # type: ignore[misc]
    return found


def best_fixed(outcomes: Mapping[str, PodOutcome]) -> tuple[int, PodOutcome]:
    """(pods, outcome) of the fixed number with most answers; of those as good, the one with fewest pods."""
    fixed = {int(name.rpartition(" ")[2]): each for name, each in outcomes.items() if name.startswith(FIXED)}
    most = max(each.answers for each in fixed.values())
    pods = min(number for number, each in fixed.items() if each.answers >= AS_GOOD * most)
    return pods, fixed[pods]


def decisions_beyond(changes: tuple[int, ...], room: int) -> int:
    """Changes from the first that did not fit to the last above what fits and one; 0: all fitted."""
    full = next((at for at, pods in enumerate(changes) if pods > room), None)
    beyond = [at for at, pods in enumerate(changes) if pods > room + 1]
    return beyond[-1] - full + 2 if full is not None and beyond else 0


def bars(cell: ProductCell, outcomes: Mapping[str, PodOutcome]) -> list[Bar]:
    """What the cell is held to."""
    case, ours = cell.case, outcomes[OURS]
    made = []

    def bar(what: str, value: float, limit: float, unit: str, *, least: bool = False) -> None:
        holds = value >= limit if least else value <= limit
        rule = f"{'at least' if least else 'at most'} {limit:g} {unit}"
        made.append(Bar(name=f"{case.name}: {what}", rule=rule, value=f"{value:.4g}", holds=holds))

    room = case.place.room * case.place.nodes
    if cell.pods is not None:
        bar("pods ordered", ours.ordered_max, cell.pods, "pods")
    else:
        bar(f"decisions until orders stop at the {room} that fit and one", decisions_beyond(ours.changes, room), 2, "")
    if not cell.overloads:
        bar("refused or lost", ours.refused, 0, "requests")
    if cell.p99_seconds is not None:
        bar("p99", ours.p99, cell.p99_seconds, "s")
    if case.capacity_from is not None:
        start = case.service.start_seconds + case.service.start_cpu_seconds
        bar("to capacity", ours.capacity_seconds, start + 6.0, "s, a start and 6")
    one = outcomes[f"{FIXED}, 1"]
    _, best = best_fixed(outcomes)
    busy = one.cpu_seconds / case.seconds / case.service.cores
    if cell.steady and busy <= 0.7 and one.answers >= 0.9 * best.answers:
        bar("answers over ours fixed", ours.answers / best.answers, 0.9, "", least=True)
        bar("p99 over ours fixed", ours.p99 / best.p99, 1.5, "")
    return made


_table: list[ProductCell] = []


def _one(job: tuple[int, str]) -> tuple[int, str, PodOutcome]:
    cell = _table[job[0]]
    case = cell.case
    return (*job, run(case, policies(cell)[job[1]](case), keep_trace=job[1] == OURS))


def table(found: list[ProductCell], outcomes: Mapping[str, Mapping[str, PodOutcome]]) -> str:
    """Every policy in every cell, as Markdown; of the fixed numbers the best."""
    lines = []
    for cell in found:
        rows = dict(outcomes[cell.case.name])
        pods, best = best_fixed(rows)
        shown = {name: rows[name] for name in (OURS, RULE, *_peers)} | {f"{FIXED}: {pods}": best}
        lines += [
            f"**{cell.case.name}**: {cell.about}",
            "",
            "| policy | answers a second | p50 | p99 | refused | most ordered | pod-seconds | changes |",
            "| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: |",
        ]
        for name, each in shown.items():
            lines.append(
                f"| {name} | {each.answers:,.0f} | {each.p50 * 1e3:,.1f} ms | {each.p99 * 1e3:,.1f} ms"
                f" | {each.refused:,} | {each.ordered_max} | {each.pod_seconds:,.0f} | {each.actions} |"
            )
        lines.append("")
    return "\n".join(lines)


def main() -> int:
    """Runs the cells; status 0 whatever the bars say."""
    parser = argparse.ArgumentParser(prog="python -m bench.autoscaler.product", description=__doc__)
    parser.add_argument("--cells", default="", help="names of cells, with commas; all by default")
    parser.add_argument("--processes", type=int, default=os.cpu_count(), help="runs at once (default: all cores)")
    parser.add_argument("--peers", action="store_true", help="Knative's and the HPA's own code too")
    parser.add_argument("--trace", action="store_true", help="print pods ordered and ready, every 5 s")
    parser.add_argument("--write", action="store_true", help="write bench/results/autoscaler-product.json and .md")
    arguments = parser.parse_args()
    started = time.monotonic()
    if arguments.peers:
        add_peers()
    wanted = [name for name in arguments.cells.split(",") if name]
    found = [cell for cell in cells() if not wanted or cell.case.name in wanted]
    _table[:] = found
    jobs = [(index, name) for index, cell in enumerate(found) for name in policies(cell)]
    outcomes: dict[str, dict[str, PodOutcome]] = {cell.case.name: {} for cell in found}
    with multiprocessing.get_context("fork").Pool(arguments.processes) as pool:
        for index, name, outcome in pool.imap(_one, jobs):
            outcomes[found[index].case.name][name] = outcome
    verdict = [bar for cell in found for bar in bars(cell, outcomes[cell.case.name])]
    text = "\n\n".join(
        [
            "# The product's loads, simulated",
            "Generated by `python -m bench.autoscaler.product --write`; do not edit.",
            report.bars_table(verdict),
            table(found, outcomes),
        ]
    )
    print(text)
    if arguments.trace:
        for name, rows in outcomes.items():
            trace = rows[OURS].trace
            print(name, *(f"{what} {[int(value) for value in trace[what][::5]]}" for what in ("ordered", "ready")))
    print(f"{time.monotonic() - started:.0f} s", file=sys.stderr)
    if arguments.write:
        made = [
            {"case": case, "system": system, **{key: _plain(value) for key, value in asdict(each).items()}}
            for case, systems in outcomes.items()
            for system, each in systems.items()
        ]
        report.write(RESULTS / "autoscaler-product.json", {"cells": made, "bars": [bar.to_json() for bar in verdict]})
        RESULTS.joinpath("autoscaler-product.md").write_text(text.rstrip() + "\n", encoding="utf-8")
    return 0


def _plain(value: Any) -> Any:
    if isinstance(value, float):
        return round(value, 6) if math.isfinite(value) else None
    return value


if __name__ == "__main__":
    sys.exit(main())
