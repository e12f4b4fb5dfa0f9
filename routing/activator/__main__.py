"""`python -m headrace.routing.activator`: the activator's program."""

import asyncio
import contextlib
import logging
import os
import signal
import sys

from headrace.contract import names
from headrace.contract.errors import HeadraceError
from headrace.kube import log_sender
from headrace.kube.admin_server import AdminServer
from headrace.kube.api_server import ApiServer
from headrace.routing.activator import hold_metrics, service
from headrace.routing.activator.activator import Activator
from headrace.routing.activator.cluster_view import ClusterView
from headrace.routing.activator.held_page import HeldPage

log = logging.getLogger("headrace.activator")

TOLD_SECONDS = 0.25
"""How often what waits is counted for the page."""
LEAVE_SECONDS = 3.0
"""For proxies to take what was held to another activator, and to hear that this one leaves."""


async def run() -> None:
    """Serves until SIGTERM or SIGINT, upon which all that is held goes to another activator."""
    stop, loop = asyncio.Event(), asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)

    def changed() -> None:
        """Called from the informers' threads, which may outlive the loop by a moment."""
        with contextlib.suppress(RuntimeError):
            loop.call_soon_threadsafe(activator.pods_changed)

    cluster, page = ClusterView(ApiServer("headrace-activator"), changed), HeldPage()
    activator = Activator(cluster, news=lambda: page.update(activator.counts(), news=True))

    def ready() -> tuple[bool, str]:
        return cluster.synced, "ready" if cluster.synced else "waiting for EndpointSlices and AutopilotPodAutoscalers"

    admin = AdminServer(
        names.CONTROL_HEALTH_PORT,
        alive=lambda: (True, "alive"),
        ready=ready,
        registry=hold_metrics.registry,
        get=page.get,
    )
    server, port = await service.serve(activator, f"0.0.0.0:{names.ACTIVATOR_PORT}")
    admin.start()
    cluster.start()
    log.info("activator on port %d, health on port %d", port, admin.port)
    sweep = asyncio.create_task(activator.sweep())
    telling = asyncio.create_task(_tell(activator, page))
    stopping = asyncio.create_task(stop.wait())
    try:
        done, _ = await asyncio.wait({sweep, telling, stopping}, return_when=asyncio.FIRST_COMPLETED)
        for task in done:
            task.result()
        activator.leave()
        await server.stop(grace=LEAVE_SECONDS)
    finally:
        for task in (sweep, telling, stopping):
            task.cancel()
        cluster.stop()
        admin.stop()


async def _tell(activator: Activator, page: HeldPage) -> None:
    """Keeps the page and the gauge as what waits."""
    while True:
        counts = activator.counts()
        page.update(counts, news=False)
        hold_metrics.held.set(sum(count for count, _ in counts.values()))
        await asyncio.sleep(TOLD_SECONDS)


def main() -> int:
    """Exit status 2 for credentials that cannot work, with one sentence on stderr."""
    log_sender.configure(names.ACTIVATOR, os.environ)
    try:
        asyncio.run(run())
    except (HeadraceError, OSError) as error:
        print(f"headrace activator: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
