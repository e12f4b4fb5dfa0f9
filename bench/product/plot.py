"""Pods and latency over time, a panel a case."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import matplotlib

matplotlib.use("Agg")
from matplotlib import pyplot

from bench.product.outcome import FIXED, OURS, Outcome


def over_time(outcomes: Sequence[Outcome], path: Path) -> None:
    """Above, p50 and p99 of each second; below, pods ordered, placed and ready; dashed, the best of *ours fixed*."""
    ours = [each for each in outcomes if each.system == OURS and each.seconds >= 20]
    if not ours:
        return
    across = min(4, len(ours))
    rows = -(-len(ours) // across)
    figure, grid = pyplot.subplots(
        2 * rows, across, figsize=(3.6 * across, 3.6 * rows), squeeze=False, layout="constrained"
    )
    for at, each in enumerate(ours):
        row, column = divmod(at, across)
        _latency(grid[2 * row][column], each, outcomes)
        _pods(grid[2 * row + 1][column], each)
    for at in range(len(ours), rows * across):
        row, column = divmod(at, across)
        grid[2 * row][column].axis("off")
        grid[2 * row + 1][column].axis("off")
    figure.savefig(path, dpi=90)
    pyplot.close(figure)


def _latency(axis: Any, each: Outcome, outcomes: Sequence[Outcome]) -> None:
    track: Sequence[Mapping[str, Any]] = each.load["track"]
    for name, colour in (("p50_ms", "tab:blue"), ("p99_ms", "tab:red")):
        axis.plot([one[name] or None for one in track], color=colour, linewidth=1, label=name.removesuffix("_ms"))
    fixed = [one.p99_ms for one in outcomes if one.case == each.case and one.system.startswith(FIXED)]
    if fixed:
        axis.axhline(min(fixed), color="tab:red", linestyle="--", linewidth=0.8, label=f"p99, {FIXED}")
    axis.set_yscale("log")
    axis.set_xlim(0, each.seconds)
    axis.set_title(f"{each.case}: {each.rate:.0f}/s, {each.load['failures']} failed", fontsize=9)
    axis.set_ylabel("ms", fontsize=8)
    axis.tick_params(labelsize=7)
    axis.legend(fontsize=6)


def _pods(axis: Any, each: Outcome) -> None:
    seconds = [look["second"] for look in each.looks]
    for name, colour in (("ordered", "tab:orange"), ("placed", "0.5"), ("ready", "tab:green")):
        axis.step(seconds, [look[name] for look in each.looks], color=colour, where="post", linewidth=1, label=name)
    axis.set_ylim(bottom=0)
    axis.set_xlim(0, each.seconds)
    axis.set_ylabel("pods", fontsize=8)
    axis.tick_params(labelsize=7)
    axis.legend(fontsize=6)
