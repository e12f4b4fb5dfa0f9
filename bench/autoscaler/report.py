"""Writes what was measured: JSON and a Markdown page."""

import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from bench.autoscaler.bars import Bar, Row
from bench.autoscaler.entrants import OURS

UNITS = {
    "violations": "share of requests",
    "availability": "share of requests",
    "pod_seconds": "pod seconds",
    "eta": "pod seconds over the clairvoyant bound",
    "actions": "changes of the pod count",
    "reversals": "changes of direction",
    "churn": "pods",
    "cut": "requests",
    "overshoot": "peak pods over pods needed",
    "capacity_seconds": "s",
    "wait_p50": "s",
    "wait_p99": "s",
    "wait_p999": "s",
    "peak_over_mean": "ratio",
    "saving_h1": "share",
    "saving_h2": "share",
    "saving_possible_h1": "share",
    "saving_possible_h2": "share",
    "error": "share of the best concurrency",
    "error_after_shift": "share of the best concurrency",
    "extra_violations": "share of requests",
    "changes_after": "changes of the limit",
    "best": "requests",
    "learned": "requests",
}


def cells_json(rows: Sequence[Row], *, table: str) -> list[dict[str, Any]]:
    """One entry a case, system and measure."""
    return [
        {
            "table": table,
            "case": row.case,
            "system": row.system,
            "metric": metric,
            "value": _plain(value),
            "unit": UNITS.get(metric, ""),
            "low": _plain(row.lows[metric]),
            "high": _plain(row.highs[metric]),
        }
        for row in rows
        for metric, value in row.medians.items()
    ]


def _plain(value: float) -> float | None:
    return None if math.isnan(value) or math.isinf(value) else round(value, 6)


def write(path: Path, results: Mapping[str, Any]) -> None:
    """The JSON file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")


def bars_table(bars: Sequence[Bar]) -> str:
    """The verdict as a Markdown table."""
    lines = ["| bar | rule | measured | holds |", "| --- | --- | --- | --- |"]
    lines += [f"| {bar.name} | {bar.rule} | {bar.value} | {verdict(bar.holds)} |" for bar in bars]
    return "\n".join(lines)


def verdict(holds: bool | None) -> str:
    """A word for whether a bar holds."""
    return {True: "yes", False: "**no**", None: "not tested"}[holds]


def table(rows: Sequence[Row], about: Mapping[str, str]) -> str:
    """Violations, cost, actions of every policy in every cell, as Markdown."""
    cases: dict[str, list[Row]] = {}
    for row in rows:
        cases.setdefault(row.case, []).append(row)
    lines = []
    for case, found in cases.items():
        lines += [
            f"**{case}**: {about.get(case, '')}",
            "",
            "| policy | late or refused | pod-seconds | over the bound | actions | peak pods / needed | to capacity"
            " | p99 wait |",
            "| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: |",
        ]
        for row in found:
            m = row.medians
            capacity = m["capacity_seconds"]
            name = f"**{row.system}**" if row.system == OURS else row.system
            lines.append(
                f"| {name} | {m['violations']:.3%} | {m['pod_seconds']:,.0f} | {m['eta']:.2f} | {m['actions']:.0f}"
                f" | {m['overshoot']:.2f} | {'' if math.isnan(capacity) else f'{capacity:.0f} s'}"
                f" | {m['wait_p99'] * 1000:,.0f} ms |"
            )
        lines.append("")
    return "\n".join(lines)
