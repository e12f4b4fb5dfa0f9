"""Lease: one replica leads (coordination.k8s.io). A leader that cannot renew stops before another may begin."""

import datetime
import logging
from dataclasses import dataclass

from headrace.autoscaler.kube import Cluster
from headrace.contract import names
from headrace.contract.errors import TemporaryError
from headrace.machinery.api_server import Object

log = logging.getLogger(__name__)

DURATION_SECONDS = 10.0
"""How long the lease is another's after its last renewal."""
RENEW_SECONDS = 2.0
STOP_SECONDS = 7.0
"""A leader without a successful renewal for so long stops acting: 3 s before anyone else may start."""


@dataclass
class Elector:
    """Takes and keeps the lease. `step` is called every second or so with a clock that does not jump (monotonic)."""

    cluster: Cluster
    identity: str
    namespace: str = names.SYSTEM_NAMESPACE
    leading: bool = False

    def __post_init__(self) -> None:
        self._renewed_at = 0.0
        self._tried_at = -RENEW_SECONDS
        self._seen: tuple[str, float] = ("", 0.0)  # the lease's version, and when it was first seen

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
            lease = self.cluster.read_lease(self.namespace, names.AUTOSCALER)
            if lease is not None and lease["spec"].get("holderIdentity") == self.identity:
                lease["spec"]["holderIdentity"] = ""
                self.cluster.write_lease(self.namespace, names.AUTOSCALER, lease)
        except TemporaryError as error:
            log.info("lease not given up, it will run out: %s", error)

    def _try(self, now: float, wall: float) -> None:
        lease = self.cluster.read_lease(self.namespace, names.AUTOSCALER)
        if lease is None:
            lease = {
                "apiVersion": "coordination.k8s.io/v1",
                "kind": "Lease",
                "metadata": {"name": names.AUTOSCALER, "namespace": self.namespace},
                "spec": {},
            }
        spec = lease["spec"]
        holder = spec.get("holderIdentity", "")
        if holder and holder != self.identity:
            self.leading = False
            version = lease["metadata"]["resourceVersion"]
            if version != self._seen[0]:
                self._seen = (version, now)
                return
            if now - self._seen[1] < DURATION_SECONDS:
                return
        if holder != self.identity:
            spec["acquireTime"] = _stamp(wall)
            spec["leaseTransitions"] = int(spec.get("leaseTransitions", 0)) + 1
        spec["holderIdentity"] = self.identity
        spec["leaseDurationSeconds"] = int(DURATION_SECONDS)
        spec["renewTime"] = _stamp(wall)
        self.cluster.write_lease(self.namespace, names.AUTOSCALER, lease)
        if not self.leading:
            log.info("leading")
        self.leading = True
        self._renewed_at = now


def _stamp(wall: float) -> str:
    return datetime.datetime.fromtimestamp(wall, datetime.UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def holder(lease: Object | None) -> str:
    """Who leads, for people; empty when nobody does."""
    return str(lease["spec"].get("holderIdentity", "")) if lease is not None else ""
