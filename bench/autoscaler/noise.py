"""`python -m bench.autoscaler.noise`: steady loads under noise, the engine against the published rule read literally.

Every minute's mean is the same; the seconds differ by noise of a colour (how long it lasts) and a height (its standard
deviation over the mean). Nothing is to be gained by following it, so the engine must be no worse than the rule on both
axes: late requests and pod-seconds. Writes bench/results/autoscaler-noise.json and .md.
"""

import argparse
import functools
import multiprocessing
import os
import sys
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from scipy import special, stats

from bench.autoscaler import bars, cells, loads, report, services
from bench.autoscaler.bars import Bar, Row
from bench.autoscaler.cells import Cell
from bench.autoscaler.entrants import LITERAL, OURS
from bench.autoscaler.loads import Floats
from bench.autoscaler.policies import Apa, Literal
from bench.autoscaler.run import run

RESULTS = Path("bench/results")
HEIGHTS = (0.1, 0.3, 0.5, 1.0, 2.0)
"""Standard deviations over the mean."""
QUICK = (0.1, 0.3, 1.0)
RATES = (100.0, 1000.0)
"""Requests a second: two pods and eighteen."""
MORE_RATES = (40.0, 4000.0)
SECONDS, WARM_SECONDS = 900, 180
UNLIMITED = 24.0
"""Most pods over the need where nothing else limits them."""
MEMORY_SECONDS = 15.0
"""Time constant of brown noise: it wanders within a minute and has forgotten the one before."""
DWELL_SECONDS = 6.0
"""Mean stay of the on/off noise on one side, where both are equally long."""
MINUTE = 60


def _wandering(random: np.random.Generator, seconds: int, memory: float) -> Floats:
    """Normal values of variance 1 that forget within `memory` seconds (Ornstein and Uhlenbeck)."""
    keep = np.exp(-1.0 / memory)
    found = random.standard_normal(seconds)
    for second in range(1, seconds):
        found[second] = keep * found[second - 1] + np.sqrt(1.0 - keep * keep) * found[second]
    return found


def _white(random: np.random.Generator, seconds: int, height: float) -> Floats:
    return _shaped(random.standard_normal(seconds), height)


def _pink(random: np.random.Generator, seconds: int, height: float) -> Floats:
    """Equal power in every octave from two seconds to a minute."""
    octaves = [_wandering(random, seconds, memory) for memory in (0.5, 1.0, 2.0, 4.0, 8.0, 16.0, 32.0)]
    return _shaped(np.sum(octaves, axis=0) / np.sqrt(len(octaves)), height)


def _brown(random: np.random.Generator, seconds: int, height: float) -> Floats:
    return _shaped(_wandering(random, seconds, MEMORY_SECONDS), height)


def _on_off(random: np.random.Generator, seconds: int, height: float) -> Floats:
    """Two rates, each held for seconds: 1 - h and 1 + h, or none at all and so much that the deviation is right."""
    share = 0.5 if height <= 1.0 else 1.0 / (1.0 + height * height)
    low, high = (1.0 - height, 1.0 + height) if height <= 1.0 else (0.0, 1.0 / share)
    on = bool(random.random() < share)
    found = np.empty(seconds)
    for second in range(seconds):
        found[second] = high if on else low
        leaves = (1.0 - share if on else share) * 2.0 / DWELL_SECONDS
        on ^= bool(random.random() < leaves)
    return found


def _log_normal(random: np.random.Generator, seconds: int, height: float) -> Floats:
    sigma = np.sqrt(np.log1p(height * height))
    return random.lognormal(-sigma * sigma / 2.0, sigma, seconds)


def _shaped(normal: Floats, height: float) -> Floats:
    """Normal values as factors of mean 1 and that deviation that are never negative: a gamma law, a bell where low."""
    shape = 1.0 / height**2
    found: Floats = stats.gamma.ppf(special.ndtr(normal), shape, scale=1.0 / shape)
    return found


Colour = Callable[[np.random.Generator, int, float], Floats]
COLOURS: dict[str, Colour] = {
    "white": _white,
    "pink": _pink,
    "brown": _brown,
    "on/off": _on_off,
    "log-normal": _log_normal,
}


def steadied(factors: Floats) -> Floats:
    """The same with a mean of 1 in every minute."""
    minutes = factors.reshape(-1, MINUTE)
    means = minutes.mean(axis=1, keepdims=True)
    return np.where(means > 0, minutes / np.maximum(means, 1e-9), 1.0).ravel()


def rates(colour: str, height: float, mean: float, random: np.random.Generator, seconds: int = SECONDS) -> Floats:
    """Requests per second of a steady load under that noise."""
    return mean * steadied(COLOURS[colour](random, seconds, height))


@dataclass(frozen=True, kw_only=True)
class Recorded:
    """The noise of a recorded load, second by second over the means of its minutes, on a steady one."""

    name: str
    trace: Floats

    @property
    def height(self) -> float:
        """Its standard deviation over the mean."""
        return float(self._factors().std())

    def _factors(self) -> Floats:
        whole = self.trace.size // MINUTE * MINUTE
        return steadied(self.trace[:whole])

    def rates(self, mean: float, random: np.random.Generator) -> Floats:
        """Requests per second, from a random minute of it on."""
        factors = self._factors()
        start = int(random.integers(factors.size // MINUTE)) * MINUTE
        return mean * np.roll(factors, -start)[:SECONDS]


def recorded() -> list[Recorded]:
    """Of the traces that are here and tell seconds."""
    times = loads.azure_llm_times()
    seconds = np.bincount(times.astype(np.int64)).astype(np.float64)
    return [
        Recorded(name="recorded, autothrottle diurnal", trace=loads.autothrottle("diurnal", 1.0)),
        Recorded(name="recorded, autothrottle bursty", trace=loads.autothrottle("bursty", 1.0)),
        Recorded(name="recorded, azure llm", trace=seconds),
    ]


def _cell(name: str, times: Callable[[np.random.Generator], Floats]) -> Cell:
    return Cell(
        name=name,
        about="steady minutes",
        service=services.WORKERS,
        times=times,
        seconds=SECONDS,
        warm_seconds=WARM_SECONDS,
        cold_start_seconds=10,
    )


def _drawn(draw: Callable[[np.random.Generator], Floats], random: np.random.Generator) -> Floats:
    return loads.poisson(draw(random), random)


def noisy(means: Sequence[float], heights: Sequence[float], colours: Iterable[str] = tuple(COLOURS)) -> list[Cell]:
    """A cell for each colour, height and mean, and one for each recorded noise and mean."""
    found = []
    for mean in means:
        for colour in colours:
            for height in heights:
                draw = functools.partial(rates, colour, height, mean)
                found.append(_cell(f"{colour} {height:g}, {mean:,.0f} rps", functools.partial(_drawn, draw)))
        for noise in recorded():
            draw = functools.partial(noise.rates, mean)
            found.append(_cell(f"{noise.name} {noise.height:.2f}, {mean:,.0f} rps", functools.partial(_drawn, draw)))
    return found


def real(trace: Path | None, factor: float) -> list[Cell]:
    """Recorded loads as they are: the two held-out ones that peers dominated, and a file of the caller's."""
    found = [cell for cell in cells.held_out() if cell.name.startswith("azure-function-1")]
    if trace is not None:
        load = np.loadtxt(trace) * factor
        about = "a load of the caller's"
        name = f"{trace.stem} x {factor:g}"
        found.append(Cell(name=name, about=about, service=services.WORKERS, rates=load, cold_start_seconds=10))
    return found


_table: list[Cell] = []


def _runs(job: tuple[int, int]) -> list[tuple[str, str, str, dict[str, float]]]:
    """Both policies in one cell with one seed."""
    cell = _table[job[0]]
    case = cell.case(job[1])
    measured = []
    for name, start in ((OURS, functools.partial(Apa, seen=True)), (LITERAL, Literal)):
        outcome = run(case, start(case.setting))
        measures = {
            "violations": outcome.violations,
            "pod_seconds": outcome.pod_seconds,
            "actions": float(outcome.actions),
            "wait_p99": outcome.wait_p99,
            "overshoot": outcome.peak_pods / case.needed,
        }
        measured.append((cell.name, name, name, measures))
    return measured


def compared(table: list[Cell], *, seeds: int, processes: int) -> list[tuple[Row, Row]]:
    """(ours, the rule's) of every cell, medians over the seeds."""
    _table[:] = table
    jobs = [(index, seed) for index in range(len(table)) for seed in range(seeds)]
    with multiprocessing.get_context("fork").Pool(processes) as pool:
        runs = [run for found in pool.imap(_runs, jobs, chunksize=2) for run in found]
    rows = bars.rows_of(runs)
    by_name = {(row.case, row.system): row for row in rows}
    return [(by_name[cell.name, OURS], by_name[cell.name, LITERAL]) for cell in table]


def verdict(pairs: Sequence[tuple[Row, Row]]) -> list[Bar]:
    """A bar a cell: no worse than the rule on both axes."""
    found = []
    for ours, rule in pairs:
        late, cost = ([row.medians[axis] for row in (ours, rule)] for axis in ("violations", "pod_seconds"))
        found.append(
            Bar(
                name=ours.case,
                rule=f"at most {late[1]:.3%} late at {cost[1]:,.0f} pod-seconds, as the rule",
                value=f"{late[0]:.3%} at {cost[0]:,.0f} ({cost[0] / cost[1] - 1.0:+.1%})",
                holds=bars.no_worse(ours, rule),
            )
        )
    return found


def table(pairs: Sequence[tuple[Row, Row]]) -> str:
    """Both policies in every cell, as Markdown."""
    lines = [
        "| load | late, ours | late, rule | pod-seconds, ours | rule | ours over the rule | actions, ours | rule"
        " | peak pods over need, ours | rule | no worse on both |",
        "| --- |" + " ---: |" * 9 + " --- |",
    ]
    for ours, rule in pairs:
        a, b = ours.medians, rule.medians
        word = report.verdict(bars.no_worse(ours, rule))
        if bars.dominated_by(ours, [rule]):
            word += ", dominated"
        lines.append(
            f"| {ours.case} | {a['violations']:.3%} | {b['violations']:.3%} | {a['pod_seconds']:,.0f}"
            f" | {b['pod_seconds']:,.0f} | {a['pod_seconds'] / b['pod_seconds'] - 1.0:+.1%} | {a['actions']:.0f}"
            f" | {b['actions']:.0f} | {a['overshoot']:.2f} | {b['overshoot']:.2f} | {word} |"
        )
    return "\n".join(lines)


def main() -> int:
    """Runs all cells; status 0 whatever the bars say."""
    parser = argparse.ArgumentParser(prog="python -m bench.autoscaler.noise", description=__doc__)
    parser.add_argument("--seeds", type=int, default=3, help="runs of each cell (default 3)")
    parser.add_argument("--processes", type=int, default=os.cpu_count(), help="runs at once (default: all cores)")
    parser.add_argument("--full", action="store_true", help="two more mean rates, one lower and one higher")
    parser.add_argument("--colours", default=",".join(COLOURS), help="some of white,pink,brown,on/off,log-normal")
    parser.add_argument("--heights", default=",".join(map(str, HEIGHTS)), help="relative deviations")
    parser.add_argument("--quick", action="store_true", help="one seed, heights 0.1, 0.3 and 1")
    parser.add_argument("--trace", type=Path, help="a load of your own besides: requests of a second, one a line")
    parser.add_argument("--factor", type=float, default=1.0, help="times that load")
    parser.add_argument("--unlimited", action="store_true", help="no replica limit; without it twice the need")
    parser.add_argument("--write", action="store_true", help="write bench/results/autoscaler-noise.json and .md")
    arguments = parser.parse_args()
    started = time.monotonic()
    means = (*RATES, *MORE_RATES) if arguments.full else RATES
    seeds = 1 if arguments.quick else arguments.seeds
    heights = list(QUICK) if arguments.quick else [float(height) for height in arguments.heights.split(",")]
    steady = noisy(means, heights, arguments.colours.split(","))
    recordings = real(arguments.trace, arguments.factor)
    found_cells = [*steady, *recordings]
    if arguments.unlimited:
        found_cells = [replace(cell, limit=UNLIMITED) for cell in found_cells]
    pairs = compared(found_cells, seeds=seeds, processes=arguments.processes)
    generated, loads_as_recorded = pairs[: len(steady)], pairs[len(steady) :]
    found = verdict(generated)
    lost = [ours.case for ours, rule in generated if bars.dominated_by(ours, [rule])]
    whole = [
        Bar(
            name="noise is not trend",
            rule="on loads whose minutes are steady, no worse than the published rule on late share and pod-seconds",
            value=f"{sum(bar.holds is True for bar in found)} of {len(found)} loads",
            holds=all(bar.holds for bar in found),
        ),
        Bar(
            name="noise, not dominated",
            rule="on none of them is the rule no worse on both and better on one",
            value=f"{len(lost)} of {len(found)} loads" + (f": {'; '.join(lost)}" if lost else ""),
            holds=not lost,
        ),
    ]
    text = "\n\n".join(
        [
            f"# Steady loads under noise\n\nMedians of {seeds} seeds."
            " Generated by `python -m bench.autoscaler.noise --write`; do not edit.",
            report.bars_table(whole),
            "## Steady minutes",
            table(generated),
            "## Recorded loads, as they are",
            table(loads_as_recorded),
        ]
    )
    print(text)
    print(f"\n{time.monotonic() - started:.0f} s", file=sys.stderr)
    if arguments.write:
        rows = [row for pair in pairs for row in pair]
        results = {
            "settings": {"seeds": seeds, "service": services.WORKERS.name, "seconds": SECONDS},
            "cells": report.cells_json(rows, table="noise"),
            "bars": [bar.to_json() for bar in (*whole, *found)],
        }
        report.write(RESULTS / "autoscaler-noise.json", results)
        RESULTS.joinpath("autoscaler-noise.md").write_text(text + "\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
