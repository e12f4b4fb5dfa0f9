"""How soon a bad version is taken back, and how seldom a good one: `make bench-rollout`, about three minutes.

Each case is a number of simulated rollouts with the default steps and gates (`simulator`), of which only the seed of
the random numbers differs. Requests are counted that the new version answered, from its first step on.
"""

import argparse
import sys
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Final

import numpy

from bench import page, plot_style, report
from bench.report import Bar, Cell
from bench.rollout.simulator import Outcome, Version, simulate
from headrace.contract.rollout import Phase, Rollout

ROLLOUTS: Final = 200
SOON_REQUESTS: Final = 500
_UNTIL: Final = "requests until it is taken back"
SPEC: Final = Rollout()
JUDGED: Final = replace(SPEC, changed_percent=0.01)
"""Predictions are to stay as they are, as for a model that is only packaged anew."""
HALF_PERCENT: Final = Version(errors=0.005)
"""The former version of other cases fails one request in a thousand."""
GOOD: Final[Mapping[str, tuple[Version, Version, Rollout]]] = {
    "a good version": (Version(), Version(), SPEC),
    "a good version, predictions judged": (Version(), Version(), JUDGED),
    "a good version, both fail 3 %": (Version(errors=0.03), Version(errors=0.03), SPEC),
    "a good version, 10 % faster": (Version(slower=0.9), Version(), SPEC),
}
BAD: Final[Mapping[str, tuple[Version, Version, Rollout]]] = {
    "5 % errors": (Version(errors=0.05), Version(), SPEC),
    "5 % errors, 0.5 % before": (Version(errors=0.05), HALF_PERCENT, SPEC),
    "p99 doubled: every request": (Version(slower=2.0), Version(), SPEC),
    "p99 doubled: one request in twenty": (Version(tail=0.05), Version(), SPEC),
    "2 % of labels changed": (Version(changed=0.02), Version(), JUDGED),
}


def run(cases: Mapping[str, tuple[Version, Version, Rollout]], rollouts: int) -> dict[str, list[Outcome]]:
    """The outcomes of each case."""
    return {
        name: [simulate(new, former=former, spec=spec, seed=seed) for seed in range(rollouts)]
        for name, (new, former, spec) in cases.items()
    }


def judged(good: Mapping[str, list[Outcome]], bad: Mapping[str, list[Outcome]]) -> tuple[list[Cell], list[Bar]]:
    """What was measured, and the bars: of 100 rollouts."""
    cells, bars = [], []
    for name, outcomes in good.items():
        passed = 100 * sum(outcome.phase is Phase.COMPLETED for outcome in outcomes) / len(outcomes)
        bars.append(report.at_least(f"{name}: goes through", passed, 99, "of 100"))
        cells.append(_spread(name, "time until it has all traffic", [outcome.seconds for outcome in outcomes], "s"))
    for name, outcomes in bad.items():
        back = [outcome for outcome in outcomes if outcome.phase is Phase.ROLLED_BACK]
        soon = 100 * sum(outcome.requests <= SOON_REQUESTS for outcome in back) / len(outcomes)
        bars.append(report.at_least(f"{name}: taken back within {SOON_REQUESTS} requests", soon, 99, "of 100"))
        cells.append(_spread(name, _UNTIL, [outcome.requests for outcome in back], ""))
        cells.append(_spread(name, "requests that it failed", [outcome.failed for outcome in back], ""))
    return cells, bars


def _spread(case: str, metric: str, values: list[int] | list[float], unit: str) -> Cell:
    """The median with the first and the 99th percentile."""
    low, middle, high = (float(value) for value in numpy.percentile(values, [1, 50, 99])) if values else (0.0,) * 3
    return Cell(case=case, system="headrace", metric=metric, value=middle, unit=unit, low=low, high=high)


def plot(cells: list[Cell], path: Path) -> None:
    """Requests until each bad version was taken back: median, first and 99th percentile."""
    shown = [cell for cell in cells if cell.metric == _UNTIL][::-1]
    figure, axes = plot_style.panels(1, 1, height=2.6, layout="constrained")
    axis = axes[0][0]
    axis.barh([cell.case for cell in shown], [cell.value for cell in shown], color=plot_style.OURS)
    spread = [[cell.value - cell.low for cell in shown], [cell.high - cell.value for cell in shown]]
    axis.errorbar(
        [cell.value for cell in shown], range(len(shown)), xerr=spread, fmt="none", ecolor=plot_style.INK, capsize=3
    )
    axis.axvline(SOON_REQUESTS, color=plot_style.BAD, linestyle="--", linewidth=1)
    axis.set_xlabel("requests that the new version answered until it was taken back: median, 1st to 99th percentile")
    plot_style.save(figure, path)


def main() -> int:
    """Exit status 1 when a bar is missed."""
    parser = argparse.ArgumentParser(prog="python -m bench.rollout", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a few rollouts, and nothing is written")
    quick = parser.parse_args().quick
    rollouts = 2 if quick else ROLLOUTS
    cells, bars = judged(run(GOOD, rollouts), run(BAD, rollouts))
    if quick:
        print(report.table(bars))
        return 0
    path = report.write("rollout", versions={"numpy": numpy.__version__}, cells=cells, bars=bars)
    plot(cells, path.with_suffix(".png"))
    page.write()
    return 0 if all(bar.holds for bar in bars) else 1


if __name__ == "__main__":
    sys.exit(main())
