"""Lease: one replica leads (coordination.k8s.io). A leader that cannot renew stops before another may begin."""

import datetime
import logging
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from headrace.contract.errors import TemporaryError
from headrace.kube.api_server import WRITE_SECONDS, ApiServer, Missing, Object

log = logging.getLogger(__name__)

DURATION_SECONDS = 10.0
"""How long the lease is another's after its last renewal."""
RENEW_SECONDS = 2.0
STOP_SECONDS = 7.0
"""A leader without a successful renewal for so long stops acting: 3 s before anyone else may start."""


class Leases(Protocol):
    """Leases of the cluster. Both raise TemporaryError."""

    def read_lease(self, namespace: str, name: str) -> Object | None:
        """A Lease, straight from the server; None when there is none."""

    def write_lease(self, namespace: str, name: str, lease: Mapping[str, Any]) -> Object:
        """Creates the Lease, or replaces it if its resourceVersion still is the server's; raises Conflict if not."""


class ServerLeases:
    """Leases of an API server; `fake_leases.FakeLeases` is the other implementation."""

    def __init__(self, server: ApiServer) -> None:
        self._server = server

    def read_lease(self, namespace: str, name: str) -> Object | None:
        try:
            return self._server.get(f"{_path(namespace)}/{name}", seconds=WRITE_SECONDS)
        except Missing:
            return None

    def write_lease(self, namespace: str, name: str, lease: Mapping[str, Any]) -> Object:
        if lease["metadata"].get("resourceVersion"):
            return self._server.send("PUT", f"{_path(namespace)}/{name}", lease)
        return self._server.send("POST", _path(namespace), lease)


def _path(namespace: str) -> str:
    return f"/apis/coordination.k8s.io/v1/namespaces/{namespace}/leases"


@dataclass
class Elector:
    """Takes and keeps the lease. `step` is called every second or so with a clock that does not jump (monotonic)."""

    leases: Leases
    identity: str
    """Of this replica, in the lease."""
    namespace: str
    name: str
    """Of the lease."""
    leading: bool = False
    _renewed_at: float = 0.0
    _tried_at: float = -RENEW_SECONDS
    _seen: tuple[str, float] = ("", 0.0)
    """Version of another's lease, and when it was first seen."""

    def step(self, now: float, wall: float) -> bool:
        """Whether this replica leads from now to the next step. `wall` is Unix seconds, for the lease's text only.

        Another's lease is over when it has not changed for its duration by our own clock, so that clocks need not
        agree.
        """
        if self.leading and now - self._renewed_at > STOP_SECONDS:
            log.warning("lease not renewed for %.0f s: no longer leading", now - self._renewed_at)
            self.leading = False
        if now - self._tried_at >= RENEW_SECONDS:
            self._tried_at = now
            try:
                self._try(now, wall)
            except TemporaryError as error:
                log.warning("lease not renewed: %s", error)
        return self.leading

    def release(self) -> None:
        """Gives the lease up at once, on a planned end."""
        if not self.leading:
            return
        self.leading = False
        try:
            lease = self.leases.read_lease(self.namespace, self.name)
            if lease is not None and lease["spec"].get("holderIdentity") == self.identity:
                lease["spec"]["holderIdentity"] = ""
                self.leases.write_lease(self.namespace, self.name, lease)
        except TemporaryError as error:
            log.info("lease not given up, it will run out: %s", error)

    def _try(self, now: float, wall: float) -> None:
        lease = self.leases.read_lease(self.namespace, self.name)
        if lease is None:
            metadata = {"name": self.name, "namespace": self.namespace}
            lease = {"apiVersion": "coordination.k8s.io/v1", "kind": "Lease", "metadata": metadata, "spec": {}}
        spec = lease["spec"]
        holder = spec.get("holderIdentity", "")
        if holder and holder != self.identity:
            self.leading = False
            version = lease["metadata"]["resourceVersion"]
            if version != self._seen[0]:
                self._seen = (version, now)
            if now - self._seen[1] < DURATION_SECONDS:
                return
        moment = datetime.datetime.fromtimestamp(wall, datetime.UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
        if holder != self.identity:
            spec["acquireTime"] = moment
            spec["leaseTransitions"] = int(spec.get("leaseTransitions", 0)) + 1
        spec["holderIdentity"] = self.identity
        spec["leaseDurationSeconds"] = int(DURATION_SECONDS)
        spec["renewTime"] = moment
        self.leases.write_lease(self.namespace, self.name, lease)
        if not self.leading:
            log.info("leading")
        self.leading = True
        self._renewed_at = now
