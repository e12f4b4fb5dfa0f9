"""`python -m bench.autoscaler`: runs every policy in every cell, writes bench/results/autoscaler.*, prints the bars."""

import argparse
import json
import multiprocessing
import os
import platform
import sys
import time
from collections.abc import Iterable, Mapping
from importlib import metadata
from pathlib import Path
from typing import Any

from bench.autoscaler import bars, bound, build, cells, elsewhere, learning, oracle, pace, page, plot, report
from bench.autoscaler.bars import Bar, Row
from bench.autoscaler.cells import Cell
from bench.autoscaler.entrants import LITERAL, ORACLE, OURS, STATIC, Entrant, entrants
from bench.autoscaler.policies import RayServer
from bench.autoscaler.run import Case, Outcome, run

RESULTS = Path("bench/results")
SHOWN = ("step", "ramp60", "diurnal", "azure-functions-one")
"""Cells drawn over time."""
DRAWN = (OURS, "Knative KPA", "HPA tuned", "Ray Serve tuned, down 60 s")
FAMILIES = ("Knative", "HPA", "KEDA", "Ray Serve")
Measured = tuple[str, str, str, str, dict[str, float]]
"""Table, case, system, family, measures."""

_field: list[Entrant] = []
_only_ours: list[bool] = []


def _begin(peers: build.Peers, ours: bool = False) -> None:
    """Once in each process: one Ray for all its runs. `ours`: only what is drawn, and of the peers nothing else."""
    _only_ours[:] = [True] if ours else []
    _field.extend(entrants(peers, RayServer(peers.ray_python) if peers.ray_python is not None else None))


def _cell(job: tuple[str, str, int]) -> tuple[list[Measured], dict[str, dict[str, list[float]]]]:
    """All policies in one cell with one seed."""
    table, name, seed = job
    cell = next(cell for cell in _cells(table) if cell.name == name)
    case = cell.case(seed)
    least = bound.pod_seconds(case)
    measured: list[Measured] = []
    tracks: dict[str, dict[str, list[float]]] = {}
    for entrant in _field:
        if not entrant.cells(cell) or (not cell.peers and entrant.name != OURS):
            continue
        if table == "unlimited" and entrant.name == STATIC:
            continue  # a fixed fleet has no use for a limit: its row is in the other table
        draw = table == "limited" and seed == 0 and name in SHOWN and entrant.name in DRAWN
        if _only_ours and entrant.name != OURS and not draw:
            continue
        outcome = run(case, entrant.start(case), keep_trace=draw)
        measured.append((table, name, entrant.name, entrant.family, _measures(case, outcome, least)))
        if draw:
            tracks[entrant.name] = outcome.trace
    if cell.diurnal and not _only_ours:
        prompt = min(found["violations"] for _, _, _, family, found in measured if family in FAMILIES)
        known = oracle.cheapest(case, prompt + bars.TIE_VIOLATIONS)
        if known is not None:
            measured.append((table, cell.name, ORACLE, "oracle", _measures(case, known, least)))
    return measured, tracks


def _cells(table: str) -> list[Cell]:
    if table == "ramp":
        return [cells.ramp_bar()]
    if table == "held out":
        return cells.held_out()
    found = cells.cells()
    return cells.unlimited(found) if table == "unlimited" else found


def _measures(case: Case, outcome: Outcome, least: float) -> dict[str, float]:
    seconds = case.seconds - case.warm_seconds
    rate = outcome.arrived / seconds
    measures = {
        "violations": outcome.violations,
        "availability": outcome.availability,
        "pod_seconds": outcome.pod_seconds,
        "eta": outcome.pod_seconds / least if least > 0 else float("nan"),
        "actions": float(outcome.actions),
        "reversals": float(outcome.reversals),
        "churn": float(outcome.churn),
        "cut": float(outcome.cut),
        "overshoot": outcome.peak_pods / max(case.needed, 1e-9),
        "capacity_seconds": outcome.capacity_seconds,
        "wait_p50": outcome.wait_p50,
        "wait_p99": outcome.wait_p99,
        "wait_p999": outcome.wait_p999,
        "peak_over_mean": case.needed * case.service.pod_rate / rate if rate > 0 else float("nan"),
    }
    for headroom in (1, 2):
        fleet = seconds * -(-headroom * case.needed // 1)
        measures[f"saving_h{headroom}"] = 1.0 - outcome.pod_seconds / fleet
        measures[f"saving_possible_h{headroom}"] = 1.0 - least / fleet
    return measures


def _lesson(job: tuple[int, int]) -> tuple[str, dict[str, float], tuple[list[float], int, int | None]]:
    """One service learned with one seed."""
    lesson = learning.lessons()[job[0]]
    learned = learning.study(lesson, job[1])
    measures = {
        "best": float(learned.best),
        "learned": float(learned.learned),
        "error": learned.error,
        "extra_violations": learned.extra_violations,
        "changes_after": float(learned.changes_after),
        "violations": learned.violations,
        "pod_seconds": learned.pod_seconds,
    }
    if learned.error_after_shift is not None:
        measures["error_after_shift"] = learned.error_after_shift
    return lesson.name, measures, (learned.outcome.trace["concurrency"], learned.best, learned.best_after_shift)


def _verdict(
    limited: list[Row], unlimited: list[Row], ramp: Row, lessons: Mapping[str, list[dict[str, float]]], pace_ms: float
) -> list[Bar]:
    table = cells.cells()
    return [
        *bars.absolutes(limited, unlimited, ramp, diurnal=[cell.name for cell in table if cell.diurnal]),
        *bars.comparisons(limited),
        *bars.learning(lessons),
        Bar(
            name="scale, decisions",
            rule="1,000 endpoints with 10,000 pods decided in at most 1 s CPU a tick",
            value=f"{pace_ms / 1000:.2f} s",
            holds=pace_ms <= 1000,
        ),
        *elsewhere.bars(),
        *bars.savings(limited, [cell.name for cell in table if cell.trace]),
    ]


def held_out(peers: build.Peers, *, seeds: int, processes: int, ours: bool) -> None:
    """Runs the held-out cells and writes bench/results/autoscaler-held-out.json and .md; `ours`: peers' rows stay."""
    kept = _kept(seeds, HELD_OUT) if ours else []
    jobs = [("held out", cell.name, seed) for seed in range(seeds) for cell in cells.held_out()]
    with multiprocessing.get_context("fork").Pool(processes, initializer=_begin, initargs=(peers, ours)) as pool:
        measured = [row for found, _ in pool.imap_unordered(_cell, jobs) for row in found]
    rows = _rows(measured, "held out", kept)
    verdict = bars.comparisons(rows)
    results = {"cells": report.cells_json(rows, table="held out"), "bars": [bar.to_json() for bar in verdict]}
    report.write(RESULTS / HELD_OUT, {"settings": {"seeds": seeds}, **results})
    about = {cell.name: cell.about for cell in cells.held_out()}
    text = f"# Held-out loads\n\nMedians of {seeds} seeds. Generated by `python -m bench.autoscaler --held-out`."
    text += f" The peers' rows are of an earlier run{SAME}.\n\n" if ours else "\n\n"
    text += f"{report.bars_table(verdict)}\n\n{report.table(rows, about)}"
    RESULTS.joinpath("autoscaler-held-out.md").write_text(text, encoding="utf-8")
    print(report.bars_table(verdict))


def main() -> int:
    """Runs everything; status 1 when a peer could not be built."""
    parser = argparse.ArgumentParser(prog="python -m bench.autoscaler", description=__doc__)
    parser.add_argument("--seeds", type=int, default=10, help="runs of each cell (default 10)")
    parser.add_argument("--processes", type=int, default=os.cpu_count(), help="runs at once (default: all cores)")
    parser.add_argument("--ours", action="store_true", help="peers' rows are kept from a run with the same seeds")
    parser.add_argument("--minutes", type=float, default=60.0, help="no seed is begun after these (default 60)")
    parser.add_argument("--held-out", action="store_true", help="only loads that played no part in choosing constants")
    arguments = parser.parse_args()
    started = time.monotonic()
    peers = build.peers()
    for reason in peers.missing:
        print(f"left out: {reason}", file=sys.stderr)
    if arguments.held_out:
        held_out(peers, seeds=arguments.seeds, processes=arguments.processes, ours=arguments.ours)
        return 1 if peers.missing else 0
    kept = _kept(arguments.seeds, WHOLE) if arguments.ours else []
    measured: list[Measured] = []
    tracks: dict[str, dict[str, dict[str, list[float]]]] = {}
    lessons: dict[str, list[dict[str, float]]] = {}
    drawn: dict[str, tuple[list[float], int, int | None]] = {}
    context = multiprocessing.get_context("fork")
    done = 0
    with context.Pool(arguments.processes, initializer=_begin, initargs=(peers, arguments.ours)) as pool:
        while done < arguments.seeds and time.monotonic() - started < 60.0 * arguments.minutes:
            jobs = [("ramp", cells.ramp_bar().name, done)]  # the longest first
            jobs += [("limited", cell.name, done) for cell in cells.cells()]
            jobs += [("unlimited", cell.name, done) for cell in cells.unlimited(cells.cells())]
            learned = pool.imap(_lesson, [(index, done) for index in range(len(learning.lessons()))])
            for found, traces in pool.imap_unordered(_cell, jobs):
                measured.extend(found)
                if traces:
                    tracks[found[0][1]] = traces
            for name, measures, track in learned:
                lessons.setdefault(name, []).append(measures)
                drawn.setdefault(name, track)
            done += 1
            print(f"\r{done} of {arguments.seeds} seeds, {time.monotonic() - started:.0f} s", end="", file=sys.stderr)
    print(file=sys.stderr)
    if arguments.ours:
        _agree(measured, kept)
        measured = [row for row in measured if row[2] == OURS]
    limited, unlimited = _rows(measured, "limited", kept), _rows(measured, "unlimited", kept)
    ramp = _rows(measured, "ramp")[0]
    pace_ms = pace.tick_milliseconds()
    verdict = _verdict(limited, unlimited, ramp, lessons, pace_ms)
    _write(limited, unlimited, ramp, lessons, verdict, peers=peers, seeds=done, started=started, kept=arguments.ours)
    about = {cell.name: cell.about for cell in cells.cells()}
    RESULTS.joinpath("autoscaler.md").write_text(
        "\n".join(
            [
                "# Autoscaler benchmark",
                "",
                f"Medians of {done} seeds, {time.monotonic() - started:.0f} s on {os.cpu_count()} cores"
                + (f" for our rows; the peers' are of an earlier run{SAME}." if arguments.ours else ".")
                + " Generated by `make bench-autoscaler`; do not edit.",
                "",
                "## Bars",
                "",
                report.bars_table(verdict),
                "",
                "## With a limit of twice the need",
                "",
                report.table(limited, about),
                "## Without a replica limit",
                "",
                report.table(unlimited, about),
            ]
        ),
        encoding="utf-8",
    )
    cost_and_late = plot.recorded(report.cells_json(limited, table=_TABLES["limited"]))
    plot.frontier(cost_and_late, RESULTS / "autoscaler.png")
    for name, traces in tracks.items():
        plot.runs(name, traces, RESULTS / f"autoscaler-{name}.png")
    plot.learning(drawn, RESULTS / "autoscaler-vertical.png")
    page.main()
    print(report.bars_table(verdict))
    return 1 if peers.missing else 0


SAME = " of the same code and seeds"
WHOLE, HELD_OUT = "autoscaler.json", "autoscaler-held-out.json"
_TABLES = {"limited": "limit of twice the need", "unlimited": "no limit", "held out": "held out"}


def _kept(seeds: int, file: str) -> list[tuple[str, Row]]:
    """(table, row) of everyone else in the results there are: they depend on the seed and not on our engine."""
    results = json.loads((RESULTS / file).read_text(encoding="utf-8"))
    if results["settings"]["seeds"] != seeds:
        raise SystemExit(f"--seeds is {seeds}, must be {results['settings']['seeds']} as in the results to keep")
    families = {OURS: OURS, STATIC: "static", LITERAL: "ablation", ORACLE: "oracle"}
    found: dict[tuple[str, str, str], list[dict[str, Any]]] = {}
    for cell in results["cells"]:
        for table, name in _TABLES.items():
            if cell["table"] == name and cell["system"] != OURS:
                found.setdefault((table, cell["case"], cell["system"]), []).append(cell)
    return [
        (
            table,
            Row(
                case=case,
                system=system,
                family=families.get(system, next((f for f in FAMILIES if system.startswith(f)), system)),
                medians={entry["metric"]: _number(entry["value"]) for entry in entries},
                lows={entry["metric"]: _number(entry["low"]) for entry in entries},
                highs={entry["metric"]: _number(entry["high"]) for entry in entries},
            ),
        )
        for (table, case, system), entries in found.items()
    ]


def _number(value: float | None) -> float:
    return float("nan") if value is None else value


def _agree(measured: Iterable[Measured], kept: Iterable[tuple[str, Row]]) -> None:
    """Stops when a peer that was run again, to be drawn, is not what the results say of it."""
    rows = {(table, row.case, row.system): row for table, row in kept}
    for table, case, system, _, measures in measured:
        if system == OURS:
            continue
        row = rows[table, case, system]
        for name in ("violations", "pod_seconds"):
            if not row.lows[name] - 1e-6 <= measures[name] <= row.highs[name] + 1e-6:
                raise SystemExit(
                    f"{system} in {case}: {name} is {measures[name]}, must be within the results to keep,"
                    f" {row.lows[name]} to {row.highs[name]}; run without --ours"
                )


def _rows(measured: Iterable[Measured], table: str, kept: Iterable[tuple[str, Row]] = ()) -> list[Row]:
    """Rows in the order of the cells, ours first."""
    rows = bars.rows_of((case, system, family, m) for kind, case, system, family, m in measured if kind == table)
    rows += [row for kind, row in kept if kind == table]
    names = [cell.name for cell in _cells(table)]
    return sorted(rows, key=lambda row: (names.index(row.case), row.system != OURS, row.system))


def _write(
    limited: list[Row],
    unlimited: list[Row],
    ramp: Row,
    lessons: Mapping[str, list[dict[str, float]]],
    verdict: list[Bar],
    *,
    peers: build.Peers,
    seeds: int,
    started: float,
    kept: bool,
) -> None:
    learned = bars.rows_of((name, OURS, OURS, measures) for name, runs in lessons.items() for measures in runs)
    results: dict[str, Any] = {
        "machine": {"cpu": platform.machine(), "cores": os.cpu_count(), "system": platform.system()},
        "versions": {
            "python": platform.python_version(),
            "numba": metadata.version("numba"),
            "scipy": metadata.version("scipy"),
            "knative.dev/serving": "v0.42.2" if peers.kpa is not None else "not built",
            "k8s.io/kubernetes": "v1.36.3" if peers.hpa is not None else "not built",
            "ray": build.RAY_VERSION if peers.ray_python is not None else "not installed",
        },
        "settings": {
            "seeds": seeds,
            "seconds": round(time.monotonic() - started),
            "rows": f"ours alone; the peers' are of an earlier run{SAME}" if kept else "all",
            "policies": {entrant.name: entrant.about for entrant in entrants(peers, None)} | _RAY_ABOUT,
        },
        "cells": [
            *report.cells_json(limited, table="limit of twice the need"),
            *report.cells_json(unlimited, table="no limit"),
            *report.cells_json([ramp], table="bar"),
            *report.cells_json(learned, table="vertical"),
        ],
        "bars": [bar.to_json() for bar in verdict],
    }
    report.write(RESULTS / "autoscaler.json", results)


_RAY_ABOUT = {
    "Ray Serve": "defaults but the target: look-back 30 s, up after 30 s, down after 600 s",
    "Ray Serve tuned": "look-back 5 s, pushed each second, up at once, down after 300 s",
    "Ray Serve tuned, down 60 s": "the same, down after 60 s",
}

if __name__ == "__main__":
    sys.exit(main())
