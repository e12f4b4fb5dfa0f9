"""Pods and latency over time, a panel a case. `python -m bench.product.plot` draws the recorded tracks anew."""

import json
import statistics
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from matplotlib import ticker

from bench import plot_style, report
from bench.product.outcome import FIXED, OURS

Track = Mapping[str, Any]
"""What `Outcome.track` makes."""
LEAST_SECONDS: Final = 20
"""A shorter load has no panel."""


def over_time(tracks: Sequence[Track], path: Path) -> None:
    """Above, p50 and p99 of each second; below, pods ordered, placed and ready; dashed, the best of *ours fixed*."""
    ours = [each for each in tracks if each["system"] == OURS and len(each["answers"]) > LEAST_SECONDS]
    if not ours:
        return
    across = min(4, len(ours))
    rows = -(-len(ours) // across)
    figure, grid = plot_style.panels(2 * rows, across, width=3.6 * across, height=3.6 * rows)
    for at, each in enumerate(ours):
        row, column = divmod(at, across)
        _latency(grid[2 * row][column], each, tracks)
        _pods(grid[2 * row + 1][column], each)
    for at in range(len(ours), rows * across):
        row, column = divmod(at, across)
        grid[2 * row][column].axis("off")
        grid[2 * row + 1][column].axis("off")
    lines = [*grid[0][0].get_lines(), *grid[1][0].get_lines()]
    plot_style.legend(figure, {str(line.get_label()): line for line in lines})
    plot_style.save(figure, path)


def _latency(axis: Any, each: Track, tracks: Sequence[Track]) -> None:
    for name, colour in (("p50_ms", plot_style.OURS), ("p99_ms", plot_style.BAD)):
        values = [one or None for one in each[name][:-1]]
        axis.plot(values, color=colour, linewidth=1, label=f"{name.removesuffix('_ms')} of each second")
    fixed = [one for one in tracks if one["case"] == each["case"] and one["system"].startswith(FIXED)]
    if fixed:
        best = min(statistics.median(one["p99_ms"]) for one in fixed)
        axis.axhline(best, color=plot_style.BAD, linestyle="--", linewidth=0.8, label=f"p99, {plot_style.name(FIXED)}")
    axis.set_yscale("log")
    low, high = axis.get_ylim()
    if high < 10 * low:
        axis.set_ylim(low / 2, high * 2)
    axis.yaxis.set_major_locator(ticker.LogLocator(subs=(1.0, 2.0, 5.0)))
    axis.yaxis.set_major_formatter(ticker.FuncFormatter(lambda value, _: f"{value:,.0f}"))
    axis.yaxis.set_minor_formatter(ticker.NullFormatter())
    seconds = len(each["answers"]) - 1
    axis.set_xlim(0, seconds)
    rate = sum(each["answers"][:-1]) / seconds
    failed = sum(each["failures"])
    axis.set_title(f"{plot_style.name(each['case'])}: {rate:,.0f}/s" + (f", {failed} failed" if failed else ""))
    axis.set_ylabel("ms")


def _pods(axis: Any, each: Track) -> None:
    for name, colour, line in (
        ("placed", plot_style.FAINT, "-"),
        ("ready", plot_style.OURS, "-"),
        ("ordered", plot_style.BAD, ":"),
    ):
        axis.step(each["looks"], each[name], color=colour, linestyle=line, where="post", label=f"pods {name}")
    axis.set_ylim(0, max(*each["ordered"], 1) + 0.5)
    axis.yaxis.set_major_locator(ticker.MaxNLocator(integer=True))
    axis.set_xlim(0, len(each["answers"]) - 1)
    axis.set_ylabel("pods")
    axis.set_xlabel("seconds")


if __name__ == "__main__":
    over_time(
        json.loads((report.RESULTS / "product-tracks.json").read_text()),
        report.RESULTS / "product.png",
    )
