"""`python -m headrace.routing.rollout` runs the controller; `… replay FILE` decides a journal again."""

import argparse
import json
import logging
import os
import signal
import sys
from functools import partial
from pathlib import Path
from typing import Any

from headrace.contract import names
from headrace.contract.errors import HeadraceError, InputError
from headrace.kube import log_sender
from headrace.kube.admin_server import AdminServer
from headrace.kube.api_server import ApiServer, Key
from headrace.kube.lease import Elector, ServerLeases
from headrace.routing.rollout import journal, telemetry
from headrace.routing.rollout.answer_comparer import AnswerComparer
from headrace.routing.rollout.balancer_counters import BalancerCounters
from headrace.routing.rollout.journal import Journal
from headrace.routing.rollout.reconcile import Reconciler
from headrace.routing.rollout.rollout_cluster import MANAGER, WatchedCluster
from headrace.routing.rollout.rollout_loop import Loop
from headrace.routing.rollout.settings import LEASE, Settings
from headrace.routing.rollout.shadow_loop import ShadowLoop

log = logging.getLogger("headrace.rollout")


def control(settings: Settings) -> None:
    """Runs the controller until SIGTERM or SIGINT."""
    server = ApiServer(MANAGER)
    cluster = WatchedCluster(server)
    reconciler = Reconciler(cluster, Journal(settings.journal))
    elector = Elector(ServerLeases(server), settings.identity, *LEASE)
    comparer = AnswerComparer()
    loop = Loop(cluster, BalancerCounters(), reconciler, elector, comparer, synced=lambda: cluster.synced)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: loop.stop())
    of_shadows = AnswerComparer()
    shadows = ShadowLoop(
        cluster, BalancerCounters(), of_shadows, partial(_write_shadows, server), leading=lambda: elector.leading
    )
    parts = (comparer, of_shadows, shadows)
    admin = AdminServer(names.CONTROL_HEALTH_PORT, alive=loop.alive, ready=loop.ready, registry=telemetry.registry)
    admin.start()
    cluster.start()
    for part in parts:
        part.start()
    log.info("%s serves on port %d", settings.identity, admin.port)
    try:
        loop.run()
    finally:
        for part in parts:
            part.stop()
        cluster.stop()
        admin.stop()


def _write_shadows(api: ApiServer, key: Key, told: list[dict[str, Any]] | None) -> None:
    group = f"/apis/{names.API_GROUP}/{names.API_VERSION}/namespaces/{key[0]}"
    api.merge(f"{group}/{names.MODEL_ENDPOINT_PLURAL}/{key[1]}/status", {"status": {"shadows": told}})


def replay_file(file: Path, spec: str | None) -> None:
    """Prints how the journal's rollouts went, and how they would have gone."""
    try:
        replaced = json.loads(spec) if spec is not None else None
    except ValueError as error:
        fault = f"{spec!r} is not JSON ({error}); give an object of spec fields"
        raise InputError("--spec", [fault]) from error
    said: dict[str, tuple[object, ...]] = {}
    steps = journal.replay(journal.read(file), spec=replaced)
    for step in steps:
        now = (step.would.phase, step.would.weight, step.would.reasons[0].code)
        if said.get(step.key) != now:
            said[step.key] = now
            reason = step.would.reasons[0]
            print(f"{step.key} {step.was.at:.0f} {now[0]} {now[1]} %  {reason.code}: {reason.message}")
    differ = sum((step.was.phase, step.was.weight) != (step.would.phase, step.would.weight) for step in steps)
    print(f"{len(steps)} looks, {differ} decided differently")


def main() -> int:
    """Exit status 2 for inputs that cannot work, with one sentence on stderr."""
    parser = argparse.ArgumentParser(prog="python -m headrace.routing.rollout", description=__doc__)
    verbs = parser.add_subparsers(dest="verb")
    again = verbs.add_parser("replay", help="decide a journal again")
    again.add_argument("file", type=Path, help="journal written under HEADRACE_ROLLOUT_JOURNAL")
    again.add_argument("--spec", help='fields of the rollout to replace, as JSON, for example {"bakeSeconds": 120}')
    arguments = parser.parse_args()
    try:
        if arguments.verb == "replay":
            replay_file(arguments.file, arguments.spec)
            return 0
        settings = Settings.from_environment(os.environ)
        log_sender.configure(names.ROLLOUT, os.environ, level=settings.log_level)
        control(settings)
    except (HeadraceError, OSError) as error:
        print(f"headrace rollout: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
