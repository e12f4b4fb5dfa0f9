"""`python -m headrace.autoscaler` runs the controller; `… replay FILE` decides a journal again."""

import argparse
import gc
import json
import logging
import os
import signal
import sys
from pathlib import Path

from headrace.autoscaler import replay, telemetry
from headrace.autoscaler.cluster import MANAGER, WatchedCluster
from headrace.autoscaler.cold_start import StartPhases
from headrace.autoscaler.fronts import HttpFronts
from headrace.autoscaler.held_requests import HeldRequests
from headrace.autoscaler.http_api import targets_page
from headrace.autoscaler.journal import Journal
from headrace.autoscaler.load_sources import DirectSource, PrometheusSource
from headrace.autoscaler.loop import Loop
from headrace.autoscaler.reconcile import Reconciler
from headrace.autoscaler.settings import Settings
from headrace.autoscaler.status_writer import StatusWriter
from headrace.contract import names
from headrace.contract.errors import HeadraceError, InputError
from headrace.kube import log_sender
from headrace.kube.admin_server import AdminServer
from headrace.kube.api_server import ApiServer
from headrace.kube.lease import Elector, ServerLeases

ALLOCATIONS_PER_COLLECTION = 100_000
"""Of CPython's cyclic garbage collector, which runs after 700 by default and took half of the time to read ten thousand
pods' counters, every second, for cycles that are not there."""


def control(settings: Settings) -> None:
    """Runs the controller until SIGTERM or SIGINT."""
    gc.set_threshold(ALLOCATIONS_PER_COLLECTION)
    server = ApiServer(MANAGER)
    cluster = WatchedCluster(server)
    source = PrometheusSource(settings.prometheus_url) if settings.prometheus_url else DirectSource()
    fronts, journal = HttpFronts(), Journal(settings.journal)
    writer = StatusWriter()
    reconciler = Reconciler(cluster, fronts, journal, submit=writer.submit, start_phases=StartPhases())
    elector = Elector(ServerLeases(server), settings.identity, settings.namespace, names.AUTOSCALER)
    loop = Loop(cluster, source, reconciler, elector, held=HeldRequests(), synced=lambda: cluster.synced)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: loop.stop())
    page, registry = targets_page(loop.targets), telemetry.registry
    admin = AdminServer(settings.port, alive=loop.alive, ready=loop.ready, registry=registry, get=page)
    admin.start()
    cluster.start()
    logging.getLogger("headrace.autoscaler").info("%s serves on port %d", settings.identity, admin.port)
    try:
        loop.run()
    finally:
        cluster.stop()
        admin.stop()
        fronts.close()
        journal.close()
        writer.close()


def replay_file(arguments: argparse.Namespace) -> None:
    """Prints what the journal's versions did, or would have done."""
    try:
        spec = json.loads(arguments.spec) if arguments.spec is not None else None
    except ValueError as error:
        fault = f"{arguments.spec!r} is not JSON ({error}); give an object of spec fields"
        raise InputError("--spec", [fault]) from error
    found = replay.replay(replay.read(arguments.file), spec=spec)
    for item in found:
        print(replay.summary(item, other_spec=spec is not None))
        if arguments.plot is not None:
            each = arguments.plot.with_stem(f"{arguments.plot.stem}-{item.key.replace('/', '-')}")
            path = arguments.plot if len(found) == 1 else each
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
        log_sender.configure(names.AUTOSCALER, os.environ, level=settings.log_level)
        control(settings)
    except (HeadraceError, OSError) as error:
        print(f"headrace autoscaler: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
