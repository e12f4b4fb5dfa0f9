"""Reporter: brings the status of ModelEndpoint objects up to date, at its own pace.

Apart from publishing: a slow API server may delay what people read, never what proxies are told.
"""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from headrace.contract.errors import TemporaryError
from headrace.machinery.api_server import ApiServer, Conflict, Object
from headrace.routing import kube, status, telemetry
from headrace.routing.snapshot import Endpoint, accepted_endpoints, counts, ready_pods

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Seen:
    """Objects as they were at one moment."""

    endpoints: Sequence[Object]
    slices: Sequence[Object]


class Reporter:
    """Writes the statuses that differ from what objects say."""

    def __init__(self, server: ApiServer) -> None:
        self._server = server
        self._unreadable: set[str] = set()

    def write(self, seen: Seen, *, everyone: bool, now: str) -> None:
        """Writes each status that differs. A failure leaves the rest to be written, and itself to the next turn.

        `seen` is what the published snapshot was made of: nobody is called ready before proxies were told. Without
        `everyone` only endpoints are looked at that were not ready, or that have a version to come which is not: of
        them alone a new cause may be known although no object of ours has changed. `now` is RFC 3339 text.
        """
        endpoints, refused = accepted_endpoints(seen.endpoints)
        by_name = {endpoint.name: endpoint for endpoint in endpoints}
        ready = counts(ready_pods(seen.slices))
        for item in seen.endpoints:
            name, namespace = item["metadata"]["name"], item["metadata"]["namespace"]
            faults = refused.get((namespace, name), [])
            endpoint = None if faults else by_name[name]
            to_come = [] if endpoint is None else status.coming(endpoint, ready.get(name, {}))
            if everyone or to_come or not status.is_ready(item):
                self._write(item, endpoint, faults=faults, ready=ready.get(name, {}), now=now)

    def _write(
        self,
        item: Object,
        endpoint: Endpoint | None,
        *,
        faults: Sequence[str],
        ready: Mapping[str, int],
        now: str,
    ) -> None:
        name, namespace = item["metadata"]["name"], item["metadata"]["namespace"]
        try:
            described = []
            if endpoint is not None and status.needs_pods(endpoint, ready):
                described = self._pods(namespace)
            wanted = status.endpoint_status(
                item, endpoint=endpoint, faults=faults, ready=ready, pods=described, now=now
            )
            if status.differs(item, wanted):
                kube.write_status(self._server, item, wanted)
                telemetry.status_writes.labels("written").inc()
        except Conflict:
            # Someone was faster; the watch brings their version, and with it the next turn.
            telemetry.status_writes.labels("conflict").inc()
        except TemporaryError as error:
            telemetry.status_writes.labels("failed").inc()
            log.warning("status of ModelEndpoint %s/%s not written: %s", namespace, name, error)

    def _pods(self, namespace: str) -> list[Object]:
        """The endpoint's pods; none when they may not be read, which costs the status its cause and nothing else."""
        try:
            return kube.pods_of(self._server, namespace)
        except TemporaryError as error:
            if namespace not in self._unreadable:
                self._unreadable.add(namespace)
                log.warning("pods of %s cannot be read, status will not name causes: %s", namespace, error)
            return []
