"""Management server: the real management API over objects in a test's hand, as the PopProxy sees it."""

from collections.abc import Mapping
from typing import Any

from headrace.contract import names
from headrace.routing.management.host_protocols import MESSAGES
from headrace.routing.management.http_server import HttpServer
from headrace.routing.management.management_api import ManagementApi, Reports
from headrace.routing.management.serving_endpoints import read
from headrace.routing.snapshot import Endpoint, PodAddress

CREATED = "2026-01-02T03:04:05Z"


def item_of(
    endpoint: Endpoint, *, ready: bool = True, reason: str = "VersionsReady", labels: Mapping[str, str] | None = None
) -> dict[str, Any]:
    """The endpoint's object, with the status that the control plane would write."""
    condition = {"type": "Ready", "status": str(ready), "reason": reason, "message": "", "lastTransitionTime": CREATED}
    return {
        "metadata": {
            "name": endpoint.name,
            "namespace": names.endpoint_namespace(endpoint.name),
            "uid": f"uid-{endpoint.name}",
            "generation": 3,
            "creationTimestamp": CREATED,
            "labels": {"app.kubernetes.io/name": "model", names.ENDPOINT_LABEL: endpoint.name, **(labels or {})},
        },
        "spec": endpoint.spec.to_json(),
        "status": {"observedGeneration": 3, "readyPods": int(ready), "conditions": [condition]},
    }


class StandInReports:
    """Pods' own words, as a test wants them."""

    def __init__(self) -> None:
        self.described: Mapping[str, Any] | None = None

    def metadata(self, endpoint: str) -> Mapping[str, Any] | None:
        del endpoint
        return self.described

    def measures(self, endpoint: str) -> str:
        return f'headrace_requests_completed_total{{pod="a",endpoint="{endpoint}"}} 7\n'

    def logs(self, endpoint: str, version: str) -> str:
        return f"==> {endpoint}-{version}-a <==\nloaded\n"


class ManagementServer:
    """A pod of the management API."""

    def __init__(self, reports: Reports | None = None) -> None:
        self.items: list[dict[str, Any]] = []
        api = ManagementApi(lambda: map(read, self.items), StandInReports() if reports is None else reports)
        self._server = HttpServer(0, get=api.get, messages=MESSAGES)
        self._server.start()
        self.address = PodAddress("127.0.0.1", self._server.port)

    def stop(self) -> None:
        self._server.stop()
