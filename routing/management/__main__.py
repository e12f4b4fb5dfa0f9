"""`python -m headrace.routing.management`: the program of the management API."""

import logging
import os
import signal
import sys
import threading

from prometheus_client import CollectorRegistry

from headrace.contract import names
from headrace.contract.errors import HeadraceError
from headrace.contract.model_endpoint import MODEL_ENDPOINT
from headrace.kube import log_sender
from headrace.kube.admin_server import AdminServer
from headrace.kube.api_server import ApiServer
from headrace.kube.informer import Informer
from headrace.routing.management.host_protocols import MESSAGES
from headrace.routing.management.http_server import HttpServer
from headrace.routing.management.management_api import ManagementApi
from headrace.routing.management.pod_reports import PodReports
from headrace.routing.management.serving_endpoints import read

log = logging.getLogger("headrace.management")
_BALANCER = f"{names.LOAD_BALANCER}.{names.SYSTEM_NAMESPACE}.svc:{names.LOAD_BALANCER_PORT}"


def main() -> int:
    """Serves until SIGTERM or SIGINT. Exit status 2 for credentials that cannot work, with one sentence on stderr."""
    log_sender.configure(names.MANAGEMENT, os.environ)
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    try:
        server = ApiServer("headrace-management")
        endpoints = Informer(server, MODEL_ENDPOINT.path, transform=read)
        api = ManagementApi(endpoints.all, PodReports(server, _BALANCER))
        serving = HttpServer(names.MANAGEMENT_PORT, get=api.get, messages=MESSAGES)
        admin = AdminServer(
            names.CONTROL_HEALTH_PORT,
            alive=lambda: (True, "alive"),
            ready=lambda: (endpoints.synced, "ready" if endpoints.synced else "waiting for ModelEndpoint objects"),
            registry=CollectorRegistry(),
        )
    except (HeadraceError, OSError) as error:
        print(f"headrace management: {error}", file=sys.stderr)
        return 2
    for part in (admin, endpoints, serving):
        part.start()
    log.info("management API on port %d, health on port %d", serving.port, admin.port)
    stop.wait()
    for part in (serving, endpoints, admin):
        part.stop()
    return 0


if __name__ == "__main__":
    sys.exit(main())
