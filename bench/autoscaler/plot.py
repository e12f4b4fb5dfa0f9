"""Plots of the autoscaler's benchmarks. `python -m bench.autoscaler.plot` draws the recorded cells anew."""

import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from matplotlib import ticker

from bench import plot_style
from bench.autoscaler.entrants import OURS, STATIC
from bench.report import RESULTS

LEAST_LATE: Final = 1e-4
"""Per cent of requests; fewer are drawn here, so that none at all has a place on a logarithmic axis."""
_LIMITED: Final = "limit of twice the need"


def frontier(points: Mapping[str, Mapping[str, tuple[float, float]]], path: Path) -> None:
    """Each case: pod-seconds against the share of late requests, a point a policy. Down and left is better."""
    columns = 4
    figure, axes = plot_style.panels(rows := math.ceil(len(points) / columns), columns, width=13, height=2.6 * rows)
    handles: dict[str, Any] = {}
    for axis, (case, systems) in zip(axes.flat, points.items(), strict=False):
        late = {system: max(100 * share, LEAST_LATE) for system, (_, share) in systems.items()}
        for system, height in late.items():
            ours = system == OURS
            handle = axis.scatter(
                systems[system][0],
                height,
                color=plot_style.colour(system),
                marker="*" if ours else "o",
                s=150 if ours else 28,
                zorder=3 if ours else 2,
                edgecolor=plot_style.PAPER,
                linewidth=0.5,
            )
            handles.setdefault(_family(system), handle)
        axis.set_title(plot_style.name(case))
        plot_style.scale(axis, late.values())
        axis.grid(visible=True)
        axis.xaxis.set_major_locator(ticker.MaxNLocator(4))
        axis.xaxis.set_major_formatter(ticker.FuncFormatter(lambda value, _: f"{value:,.0f}"))
    for axis in list(axes.flat)[len(points) :]:
        axis.axis("off")
    figure.supxlabel("pod-seconds")
    figure.supylabel("late or refused requests, %")
    plot_style.legend(figure, handles, side="upper")
    plot_style.save(figure, path)


def runs(case: str, traces: Mapping[str, Mapping[str, Sequence[float]]], path: Path) -> None:
    """One case over time: load, ready pods, queue and cost so far, a line a policy."""
    figure, axes = plot_style.panels(4, 1, height=8.5, sharex=True)
    load, ready, queue, cost = axes[:, 0]
    handles: dict[str, Any] = {}
    for name, track in traces.items():
        style: dict[str, Any] = {"linewidth": 2.2 if name == OURS else 1.2, "color": plot_style.colour(name)}
        (handles[name],) = ready.plot(track["ready"], **style)
        queue.plot(track["queued"], **style)
        total, spent = 0.0, []
        for pods in track["ready"]:
            total += pods
            spent.append(total)
        cost.plot(spent, **style)
    load.plot(next(iter(traces.values()))["load"], color=plot_style.LOAD, linewidth=0.9)
    for axis, label in ((load, "requests/s"), (ready, "ready pods"), (queue, "queued"), (cost, "pod-seconds")):
        axis.set_ylabel(label)
        axis.set_ylim(bottom=0)
        axis.yaxis.set_major_formatter(ticker.FuncFormatter(lambda value, _: f"{value:,.0f}"))
    cost.set_xlabel("seconds")
    figure.suptitle(plot_style.name(case))
    plot_style.legend(figure, handles)
    plot_style.save(figure, path)


def learning(tracks: Mapping[str, tuple[Sequence[float], int, int | None]], path: Path) -> None:
    """The concurrency limit over time, a panel a lesson, with the true best (dashed) and the one after a change."""
    figure, axes = plot_style.panels(2, 3, width=12, height=6)
    for axis, (name, (limits, best, after)) in zip(axes.flat, tracks.items(), strict=False):
        axis.plot(limits, color=plot_style.OURS, drawstyle="steps-post")
        axis.axhline(best, color=plot_style.FAINT, linestyle="--")
        if after is not None:
            axis.axhline(after, color=plot_style.FAINT, linestyle=":")
        axis.set_title(plot_style.name(name))
        axis.set_ylim(bottom=0)
    figure.supxlabel("seconds")
    figure.supylabel("concurrency limit of a pod (dashed: the best)")
    plot_style.save(figure, path)


def _family(system: str) -> str:
    """What the settings of one policy are called together."""
    return next((known for known in ("Knative", "HPA", "KEDA", "Ray Serve") if system.startswith(known)), system)


def recorded(cells: Sequence[Mapping[str, Any]]) -> dict[str, dict[str, tuple[float, float]]]:
    """Pod-seconds and share of late requests, by case and system, of the cells in bench/results/autoscaler.json."""
    values = {
        (cell["case"], cell["system"], cell["metric"]): cell["value"] for cell in cells if cell["table"] == _LIMITED
    }
    points: dict[str, dict[str, tuple[float, float]]] = {}
    for (case, system, metric), value in values.items():
        if metric == "violations" and system != STATIC:
            points.setdefault(case, {})[system] = values[case, system, "pod_seconds"], value
    return points


if __name__ == "__main__":
    frontier(recorded(json.loads((RESULTS / "autoscaler.json").read_text())["cells"]), RESULTS / "autoscaler.png")
