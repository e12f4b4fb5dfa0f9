"""Writes what was measured: JSON, a Markdown page and plots."""

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

DECADE = 10.0
"""From this ratio of the most to the fewest late requests a cell is drawn with logarithms."""


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


def plot_frontier(rows: Sequence[Row], path: Path) -> None:
    """Each cell: cost against violations, one point a policy. Down and left is better."""
    pyplot = _pyplot()
    cases = list(dict.fromkeys(row.case for row in rows))
    columns = 4
    lines = math.ceil(len(cases) / columns)
    figure, axes = pyplot.subplots(lines, columns, figsize=(4 * columns, 3 * lines))
    colours = {"Knative": "tab:blue", "HPA": "tab:green", "KEDA": "tab:olive", "Ray Serve": "tab:orange"}
    for axis, case in zip(axes.flat, cases, strict=False):
        found = [row for row in rows if row.case == case]
        late = [max(row.medians["violations"], 1e-6) * 100 for row in found]
        for row, height in zip(found, late, strict=True):
            ours = row.system == OURS
            axis.scatter(
                row.medians["pod_seconds"],
                height,
                color="tab:red" if ours else colours.get(row.family, "0.6"),
                marker="*" if ours else "o",
                s=160 if ours else 30,
                zorder=3 if ours else 2,
                label=OURS if ours else row.family,
            )
        axis.set_title(case, fontsize=10)
        if max(late) > DECADE * min(late):
            axis.set_yscale("log", subs=(1, 2, 5))
            axis.yaxis.set_minor_formatter("{x:g}")
        axis.yaxis.set_major_formatter("{x:g}")
        axis.tick_params(labelsize=7, which="both")
    for axis in axes.flat[len(cases) :]:
        axis.axis("off")
    handles = {
        label: handle for axis in axes.flat for handle, label in zip(*axis.get_legend_handles_labels(), strict=True)
    }
    figure.legend(handles.values(), handles.keys(), loc="lower right", ncols=2)
    figure.supxlabel("pod-seconds")
    figure.supylabel("late or refused, %")
    figure.tight_layout()
    figure.savefig(path, dpi=80)
    pyplot.close(figure)


def plot_runs(case: str, traces: Mapping[str, Mapping[str, Sequence[float]]], path: Path) -> None:
    """One cell over time: load, ready pods, queue and cost so far, one line a policy."""
    pyplot = _pyplot()
    figure, (load, ready, queue, cost) = pyplot.subplots(4, 1, sharex=True, figsize=(10, 9))
    for name, track in traces.items():
        style: dict[str, Any] = {"linewidth": 2.0, "color": "tab:red"} if name == OURS else {"linewidth": 1.0}
        ready.plot(track["ready"], label=name, **style)
        queue.plot(track["queued"], **style)
        total, spent = 0.0, []
        for pods in track["ready"]:
            total += pods
            spent.append(total)
        cost.plot(spent, **style)
    load.plot(next(iter(traces.values()))["load"], color="0.3", linewidth=0.8)
    for axis, label in ((load, "requests / s"), (ready, "ready pods"), (queue, "queued"), (cost, "pod-seconds")):
        axis.set_ylabel(label)
    ready.legend(fontsize=8)
    cost.set_xlabel("seconds")
    figure.suptitle(case)
    figure.tight_layout()
    figure.savefig(path, dpi=80)
    pyplot.close(figure)


def plot_learning(tracks: Mapping[str, tuple[Sequence[float], int, int | None]], path: Path) -> None:
    """Concurrency limit over time per lesson, with the true best."""
    pyplot = _pyplot()
    figure, axes = pyplot.subplots(2, 3, figsize=(12, 6))
    for axis, (name, (limits, best, after)) in zip(axes.flat, tracks.items(), strict=False):
        axis.plot(limits, color="tab:red", drawstyle="steps-post")
        axis.axhline(best, color="0.5", linestyle="--")
        if after is not None:
            axis.axhline(after, color="0.5", linestyle=":")
        axis.set_title(name, fontsize=10)
        axis.set_ylim(bottom=0)
    figure.supxlabel("seconds")
    figure.supylabel("concurrency limit per pod (dashed: best)")
    figure.tight_layout()
    figure.savefig(path, dpi=80)
    pyplot.close(figure)


def _pyplot() -> Any:
    import matplotlib  # noqa: PLC0415  only the report draws

    matplotlib.use("agg")
    from matplotlib import pyplot  # noqa: PLC0415

    return pyplot
