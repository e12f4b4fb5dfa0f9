"""`make bench-product`: bench/results/product.json, a plot beside it, and the bars as a table.

Brings the embedded cluster up where it does not run. `--quick` takes two cases, a minute each; `--cases` some of them,
`--seconds` shortens their loads, and the results say so. What is not whole (some cases, no peers) is written to
build/bench-product, where ledgers and looks are, too.
"""

import argparse
import json
import sys
import time
from pathlib import Path

from bench import report
from bench.product import peers, plan, plot
from bench.product.run import Run
from bench.product.stage import Stage
from bench.runtime import environments
from headrace.contract.errors import HeadraceError
from headrace.local.toolchain.programs import KUBERNETES_VERSION, METRICS_SERVER_VERSION

FOLDER = Path(__file__).resolve().parents[2] / "build" / "bench-product"


def main() -> int:
    """Measures, writes, prints the bars."""
    parser = argparse.ArgumentParser(prog="python -m bench.product", description=__doc__)
    parser.add_argument("--cases", default="", help="names of cases, with commas; all by default")
    parser.add_argument("--quick", action="store_true", help="two cases, without peers")
    parser.add_argument("--seconds", type=int, default=None, help="of each case's load, in place of the plan's")
    parser.add_argument("--no-peers", action="store_true", help="leave the peers out")
    parser.add_argument("--record", action="store_true", help="write bench/results though the run is not whole")
    arguments = parser.parse_args()
    began = time.monotonic()
    wanted = [name for name in arguments.cases.split(",") if name]
    cases = plan.chosen(wanted, quick=arguments.quick, seconds=arguments.seconds, peers=not arguments.no_peers)
    print(plan.told(cases), flush=True)
    whole = not (wanted or arguments.quick or arguments.no_peers)
    FOLDER.mkdir(parents=True, exist_ok=True)
    stage = Stage()
    try:
        stage.register(sorted({case.model for case in cases}))
        run = Run(stage, cases, FOLDER)
        run.all()
        short = {"shortened": f"each load took {arguments.seconds} s"} if arguments.seconds else {}
        if wanted:
            short["cases"] = f"{', '.join(wanted)} alone"
        _write(
            run,
            whole_seconds=time.monotonic() - began if whole and not short else None,
            folder=report.RESULTS if whole or arguments.record else FOLDER,
            short=short,
        )
    finally:
        stage.leave()
    for failure in run.failures:
        print(f"bench-product: not measured: {failure}", file=sys.stderr)
    return 1 if run.failures else 0


def _write(run: Run, *, whole_seconds: float | None, folder: Path, short: dict[str, str]) -> None:
    cells = [cell for outcome in run.outcomes for cell in outcome.cells()]
    path = report.write(
        "product",
        versions={**versions(), **short},
        cells=cells,
        bars=run.judged(whole_seconds=whole_seconds),
        folder=folder,
    )
    tracks = [outcome.track() for outcome in run.outcomes]
    path.with_name("product-tracks.json").write_text("[\n" + ",\n".join(map(json.dumps, tracks)) + "\n]\n")
    plot.over_time(tracks, path.with_suffix(".png"))
    print(f"{path}")


def versions() -> dict[str, str]:
    """What was measured, and how everything was set up."""
    return {
        "kubernetes": KUBERNETES_VERSION,
        "metrics-server": METRICS_SERVER_VERSION,
        "headrace": "endpoints declared with name, platform and model_uri alone; HTTPS with a token at the PoP",
        "ours fixed": f"the autoscaler held to a number of pods and to limit {plan.FIXED_LIMIT} by its object's bounds",
        **{name: f"{settings}; HPA at 80 % of a core" for name, settings in peers.SETTINGS.items()},
        "peers' way": "the Service's address, without TLS, token or proxy;"
        f" a connection is renewed after {peers.REQUESTS_A_CONNECTION} requests",
        **{
            f"environment {name}": ", ".join(environments.REQUIREMENTS[name]) for name in ("peers", "torch", "mlserver")
        },
        "client": "bench.load, a process of its own on the cluster's cores",
    }


if __name__ == "__main__":
    try:
        sys.exit(main())
    except HeadraceError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(1)
