"""StatusWriter: writes the status of ModelEndpoint objects where it differs from what they say.

It runs beside the publishing of snapshots: a slow API server may delay a status, never a proxy's configuration.
"""

import logging
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from headrace.contract.errors import TemporaryError
from headrace.contract.evidence import Proof
from headrace.kube.api_server import ApiServer, Conflict, Object
from headrace.routing.ads import kubernetes_api, status, telemetry
from headrace.routing.ads.proof_reader import ProofReader
from headrace.routing.ads.proofs import Version, kept, versions_of
from headrace.routing.snapshot import Endpoint, accepted_endpoints, pod_counts, ready_pods, versions_with_unready_pods
from headrace.routing.snapshot.endpoint_health import Pods

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class ObservedObjects:
    """The objects that one snapshot was built from."""

    endpoints: Sequence[Object]
    slices: Sequence[Object]


class StatusWriter:
    def __init__(self, server: ApiServer, reader: ProofReader | None = None) -> None:
        """`reader` asks pods for their proofs; None: nobody does."""
        self._server = server
        self._reader = reader
        self._unreadable: set[str] = set()

    def write(self, observed: ObservedObjects, *, all_endpoints: bool, now: str) -> None:
        """Writes each status that differs. A failed write is left to the next call, and the other statuses are written.

        `observed` must be published already, so that no endpoint is called ready before its proxies know it. Without
        `all_endpoints`, only endpoints are looked at that are not ready, that wait for a new version's first pod, that
        have a pod which is not ready (their pods may name a new cause although no object that is watched has changed),
        or of which a version is not proven. `now` is RFC 3339 text.
        """
        endpoints, refused = accepted_endpoints(observed.endpoints)
        by_name = {endpoint.name: endpoint for endpoint in endpoints}
        addresses = ready_pods(observed.slices)
        ready = pod_counts(addresses)
        starting: dict[str, set[str]] = {}
        for of_endpoint, version in versions_with_unready_pods(observed.slices):
            starting.setdefault(of_endpoint, set()).add(version)
        missing: set[Version] = set()
        for item in observed.endpoints:
            name, namespace = item["metadata"]["name"], item["metadata"]["namespace"]
            faults = refused.get((namespace, name), [])
            endpoint = None if faults else by_name[name]
            rolling_out = endpoint is not None and bool(status.new_versions(endpoint, ready.get(name, {})))
            unready = starting.get(name, set())
            proofs, lacking = {}, set[Version]()
            if endpoint is not None:
                versions = versions_of(namespace, endpoint)
                proofs = kept(item, versions)
                if self._reader is not None:
                    lacking = {version for version in versions if version.name not in proofs}
                    proofs |= self._asked(self._reader, name, lacking, addresses)
            missing |= lacking
            if all_endpoints or rolling_out or unready or lacking or not status.is_ready(item):
                counts = ready.get(name, {})
                self._write(item, endpoint, faults=faults, ready=counts, unready=unready, proofs=proofs, now=now)
        if self._reader is not None:
            self._reader.keep(missing)

    @staticmethod
    def _asked(reader: ProofReader, name: str, versions: Collection[Version], addresses: Pods) -> dict[str, Proof]:
        """The proofs of versions whose status has none, as far as pods have told them."""
        found = {}
        for version in versions:
            hosts = [pod.ip for pod in addresses.get((name, version.name), ())]
            proof = reader.proof(version, hosts)
            if proof is not None:
                found[version.name] = proof
        return found

    def _write(
        self,
        item: Object,
        endpoint: Endpoint | None,
        *,
        faults: Sequence[str],
        ready: Mapping[str, int],
        unready: Collection[str],
        proofs: Mapping[str, Proof],
        now: str,
    ) -> None:
        name, namespace = item["metadata"]["name"], item["metadata"]["namespace"]
        try:
            needed = endpoint is not None and status.needs_pods(endpoint, ready, unready=unready)
            pods = self._pods(namespace) if needed else []
            wanted = status.endpoint_status(
                item, endpoint=endpoint, faults=faults, ready=ready, pods=pods, proofs=proofs, now=now
            )
            if status.differs(item, wanted):
                kubernetes_api.write_status(self._server, item, wanted)
                telemetry.status_writes.labels("written").inc()
        except Conflict:
            # Another writer was faster; the watch brings the new version of the object, and that the next call.
            telemetry.status_writes.labels("conflict").inc()
        except TemporaryError as error:
            telemetry.status_writes.labels("failed").inc()
            log.warning("status of ModelEndpoint %s/%s not written: %s", namespace, name, error)

    def _pods(self, namespace: str) -> list[Object]:
        """The endpoint's pods; none when they cannot be read, and then the status names no cause."""
        try:
            return kubernetes_api.pods_of(self._server, namespace)
        except TemporaryError as error:
            if namespace not in self._unreadable:
                self._unreadable.add(namespace)
                log.warning("pods of %s cannot be read, status will not name causes: %s", namespace, error)
            return []
