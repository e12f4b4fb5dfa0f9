"""`python -m headrace.routing.ads`: the control plane's program."""

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
from headrace.routing.ads import identity, kubernetes_api, proof_reader, service, telemetry
from headrace.routing.ads.loop import ControlLoop
from headrace.routing.ads.settings import Settings
from headrace.routing.snapshot import Options

log = logging.getLogger("headrace.routing")


async def run(settings: Settings) -> None:
    """Serves until SIGTERM or SIGINT. Proxies keep their last configuration, so there is nothing to drain."""
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    publisher = service.Publisher()
    server = ApiServer(kubernetes_api.MANAGER)
    control_loop = ControlLoop(
        server,
        publisher,
        Options(collector=settings.collector),
        issuers=settings.issuers,
        revoked=settings.revoked,
        ask=proof_reader.told_by,
    )
    alive, ready = control_loop.alive, control_loop.ready
    admin = AdminServer(names.CONTROL_HEALTH_PORT, alive=alive, ready=ready, registry=telemetry.registry)
    servicer, address = service.AdsServicer(publisher), f"0.0.0.0:{names.XDS_PORT}"
    xds, port = await service.serve(servicer, address=address, credentials=identity.credentials())
    admin.start()
    control_loop.start()
    log.info("xDS on port %d, health on port %d", port, admin.port)
    running, stopping = asyncio.create_task(control_loop.run()), asyncio.create_task(stop.wait())
    try:
        await asyncio.wait({running, stopping}, return_when=asyncio.FIRST_COMPLETED)
        if running.done():
            running.result()
    finally:
        control_loop.stop()
        stopping.cancel()
        running.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await running
        await xds.stop(grace=0)
        admin.stop()


def main() -> int:
    """Exit status 2 for settings and credentials that cannot work, with one sentence on stderr."""
    try:
        settings = Settings.from_environment(os.environ)
        log_sender.configure(names.ROUTING, os.environ, level=settings.log_level)
        asyncio.run(run(settings))
    except (HeadraceError, OSError) as error:
        print(f"headrace routing: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
