"""`python -m headrace.routing`: wiring of the control plane."""

import asyncio
import contextlib
import logging
import os
import signal
import sys

from headrace.contract.errors import HeadraceError
from headrace.machinery.api_server import ApiServer
from headrace.machinery.port import Port
from headrace.routing import ads, kube, telemetry
from headrace.routing.loop import ControlPlane
from headrace.routing.settings import Settings

log = logging.getLogger("headrace.routing")


async def run(settings: Settings) -> None:
    """Serves until SIGTERM or SIGINT. Proxies keep what they were told, so there is nothing to drain."""
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    publisher = ads.Publisher()
    control_plane = ControlPlane(ApiServer(kube.MANAGER), publisher, settings.options)
    health = Port(
        settings.health_port, alive=control_plane.alive, ready=control_plane.ready, registry=telemetry.registry
    )
    server, port = await ads.serve(ads.AdsServicer(publisher), address=settings.xds_address)
    health.start()
    control_plane.start()
    log.info("xDS on port %d, health on port %d", port, health.number)
    loop = asyncio.create_task(control_plane.run())
    stopping = asyncio.create_task(stop.wait())
    try:
        await asyncio.wait({loop, stopping}, return_when=asyncio.FIRST_COMPLETED)
        if loop.done():
            loop.result()
    finally:
        control_plane.stop()
        stopping.cancel()
        loop.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await loop
        await server.stop(grace=0)
        health.stop()


def main() -> int:
    """Exit status 2 for settings and credentials that cannot work, with one sentence on stderr."""
    try:
        settings = Settings.from_environment(os.environ)
        logging.basicConfig(level=settings.log_level, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
        asyncio.run(run(settings))
    except (HeadraceError, OSError) as error:
        print(f"headrace routing: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
