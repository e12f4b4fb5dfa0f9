"""`python -m headrace.observability.console`: the program of the console."""

import logging
import os
import sys
from pathlib import Path

import uvicorn
from prometheus_client import CollectorRegistry

from headrace.contract import names
from headrace.contract.errors import HeadraceError
from headrace.kube import log_sender
from headrace.kube.admin_server import AdminServer
from headrace.kube.api_server import ApiServer
from headrace.observability.console.app import application
from headrace.observability.console.load_history import Prometheus
from headrace.observability.console.pages import Pages, Sources
from headrace.observability.console.platform_health import PlatformHealth
from headrace.observability.console.pop_requests import PopRequests
from headrace.observability.console.settings import Settings
from headrace.observability.console.table_rows import TableRows
from headrace.observability.console.visible_endpoints import VisibleEndpoints

log = logging.getLogger("headrace.console")

REQUESTS_MOST = 64
"""At once, from all PopProxies; each sends at most 16."""
HEAD_MOST_BYTES = 65_536
"""Of a request's headers: what the PopProxy takes from a client, and the caller's groups."""


def main() -> int:
    """Serves until SIGTERM or SIGINT. Exit status 2 for what cannot work, with one sentence on stderr."""
    log_sender.configure(names.CONSOLE, os.environ)
    try:
        settings = Settings.from_environment(os.environ)
        server = ApiServer("headrace-console")
        endpoints = VisibleEndpoints(server)
        tables = TableRows(settings.tables, Path(settings.token_file)) if settings.tables else None
        sources = Sources(
            endpoints=endpoints,
            pop=PopRequests(settings.pop, lambda: (settings.url, settings.ca_certificate)),
            programs=PlatformHealth(server).programs,
            history=Prometheus(settings.prometheus_url).history if settings.prometheus_url else None,
            rows=tables.last if tables else None,
            spans=tables.spans if tables and settings.traces else None,
            url=lambda: settings.url,
        )
        admin = AdminServer(
            names.CONTROL_HEALTH_PORT,
            alive=lambda: (True, "alive"),
            ready=lambda: (endpoints.synced, "ready" if endpoints.synced else "waiting for objects"),
            registry=CollectorRegistry(),
        )
    except (HeadraceError, OSError) as error:
        print(f"headrace console: {error}", file=sys.stderr)
        return 2
    admin.start()
    endpoints.start()
    log.info("console on port %d, health on port %d", names.CONSOLE_PORT, admin.port)
    uvicorn.run(
        application(Pages(sources)), host="0.0.0.0", port=names.CONSOLE_PORT, loop="asyncio", http="h11", ws="none",
        lifespan="off", access_log=False, log_level="warning", log_config=None, server_header=False,
        limit_concurrency=REQUESTS_MOST, timeout_keep_alive=30, timeout_graceful_shutdown=10,
        h11_max_incomplete_event_size=HEAD_MOST_BYTES,
    )  # fmt: skip  # it ends at SIGTERM
    endpoints.stop()
    admin.stop()
    return 0


if __name__ == "__main__":
    sys.exit(main())
