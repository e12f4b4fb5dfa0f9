"""`python -m headrace.autoscaler` runs the controller; `… replay FILE` decides a journal again."""

import argparse
import gc
import json
import logging
import os
import signal
import sys
from pathlib import Path

from headrace.autoscaler import kube, replay, telemetry
from headrace.autoscaler.fronts import HttpFronts
from headrace.autoscaler.journal import Journal
from headrace.autoscaler.lease import Elector
from headrace.autoscaler.loop import Loop
from headrace.autoscaler.metrics import DirectSource, PrometheusSource
from headrace.autoscaler.pages import targets_page, wake_page
from headrace.autoscaler.reconcile import Reconciler
from headrace.autoscaler.settings import Settings
from headrace.autoscaler.tellers import Tellers
from headrace.contract.errors import HeadraceError, InputError
from headrace.machinery.api_server import ApiServer
from headrace.machinery.port import Port

ALLOCATIONS_PER_COLLECTION = 100_000
"""Of CPython's cyclic garbage collector, which runs after 700 by default and took half of the time to read ten thousand
pods' counters, every second, for cycles that are not there."""


def control(settings: Settings) -> None:
    """Runs the controller until SIGTERM or SIGINT."""
    gc.set_threshold(ALLOCATIONS_PER_COLLECTION)
    cluster = kube.WatchedCluster(ApiServer(kube.MANAGER))
    source = PrometheusSource(settings.prometheus_url) if settings.prometheus_url else DirectSource()
    journal = Journal(settings.journal)
    tellers = Tellers()
    reconciler = Reconciler(cluster, HttpFronts(), journal, tell=tellers.tell)
    elector = Elector(cluster, settings.identity, settings.namespace)
    loop = Loop(cluster, source, reconciler, elector, synced=lambda: cluster.synced)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: loop.stop())
    port = Port(
        settings.port,
        alive=loop.alive,
        ready=loop.ready,
        registry=telemetry.registry,
        get=targets_page(loop.targets),
        post=wake_page(loop.wake),
    )
    port.start()
    cluster.start()
    logging.getLogger(__name__).info("%s serves on port %d", settings.identity, port.number)
    try:
        loop.run()
    finally:
        cluster.stop()
        port.stop()
        journal.close()
        tellers.close()


def replay_file(arguments: argparse.Namespace) -> None:
    """Prints what the journal's versions did, or would have done."""
    try:
        spec = json.loads(arguments.spec) if arguments.spec is not None else None
    except ValueError as error:
        raise InputError(
            "--spec", [f"{arguments.spec!r} is not JSON ({error}); give an object of spec fields"]
        ) from error
    found = replay.replay(replay.read(arguments.file), spec=spec)
    for item in found:
        print(replay.summary(item, other_spec=spec is not None))
        if arguments.plot is not None:
            path = arguments.plot if len(found) == 1 else arguments.plot.with_stem(
                f"{arguments.plot.stem}-{item.key.replace('/', '-')}"
            )  # fmt: skip
            replay.plot(item, path)
            print(f"  plot: {path}")
    if not found:
        print(f"{arguments.file}: no version's looks begin in it")


def main() -> int:
    """Exit status 2 for inputs that cannot work, with one sentence on stderr."""
    parser = argparse.ArgumentParser(prog="python -m headrace.autoscaler", description=__doc__)
    verbs = parser.add_subparsers(dest="verb")
    again = verbs.add_parser("replay", help="decide a journal again")
    again.add_argument("file", type=Path, help="journal written under HEADRACE_AUTOSCALER_JOURNAL")
    again.add_argument("--spec", help='spec fields to replace, as JSON, for example {"maxReplicas": 20}')
    again.add_argument("--plot", type=Path, help="picture to write, for example replay.svg")
    arguments = parser.parse_args()
    try:
        if arguments.verb == "replay":
            replay_file(arguments)
            return 0
        settings = Settings.from_environment(os.environ)
        logging.basicConfig(level=settings.log_level, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
        control(settings)
    except (HeadraceError, OSError) as error:
        print(f"headrace autoscaler: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
