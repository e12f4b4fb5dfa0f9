"""Loop: level-based. Whenever anything changed: read the whole world, build, publish, bring statuses up to date."""

import asyncio
import datetime
import logging
import time
from collections.abc import Mapping, Sequence

from headrace.contract import names
from headrace.contract.errors import PermanentError, TemporaryError
from headrace.routing import kube, status, telemetry
from headrace.routing.ads import Publisher
from headrace.routing.snapshot import (
    Endpoint,
    Keys,
    Options,
    PodAddress,
    Recall,
    Snapshot,
    World,
    accepted_endpoints,
    build,
    ready_pods,
    routed_pods,
)
from headrace.routing.snapshot.pods import slice_addresses

log = logging.getLogger(__name__)

SETTLE_SECONDS = 0.02
"""Changes come in bursts (a rollout, a list); this gathers one into one snapshot, sooner than anyone notices."""
STATUS_SECONDS = 2.0
"""How often endpoints that are not ready are asked why, while nothing else changes."""
SERVICE_NAME_LABEL = "kubernetes.io/service-name"


class ControlPlane:
    """Mirrors the cluster, publishes snapshots, writes statuses."""

    def __init__(self, server: kube.ApiServer, publisher: Publisher, options: Options) -> None:
        self._server = server
        self._publisher = publisher
        self._options = options
        self._loop = asyncio.get_running_loop()
        self._changed = asyncio.Event()
        self._beat = time.monotonic()
        self._recall = Recall()
        self._unreadable: set[str] = set()
        self.endpoints = kube.Mirror(server, kube.MODEL_ENDPOINTS, self._notice)
        self.slices = kube.Mirror(server, kube.ENDPOINT_SLICES, self._notice, label_selector=names.ENDPOINT_LABEL)
        self.balancers = kube.Mirror(
            server,
            f"/apis/discovery.k8s.io/v1/namespaces/{names.SYSTEM_NAMESPACE}/endpointslices",
            self._notice,
            label_selector=f"{SERVICE_NAME_LABEL}={names.LOAD_BALANCER}",
        )
        self.keys = kube.IssuerKeys(server, self._notice)

    def _notice(self) -> None:
        """Called from the mirrors' threads."""
        self._loop.call_soon_threadsafe(self._changed.set)

    def start(self) -> None:
        """Starts the watches; `run` does the rest."""
        for part in (self.endpoints, self.slices, self.balancers, self.keys):
            part.start()

    def stop(self) -> None:
        """Asks the watches to end."""
        for part in (self.endpoints, self.slices, self.balancers, self.keys):
            part.stop()

    def missing(self) -> list[str]:
        """What must still be read once before any proxy is told anything."""
        waits = {
            "ModelEndpoint objects": self.endpoints.synced,
            "EndpointSlices of models": self.slices.synced,
            "EndpointSlices of the LoadBalancer": self.balancers.synced,
            "the token issuer's keys": self.keys.found is not None,
        }
        return [what for what, known in waits.items() if not known]

    def ready(self) -> tuple[bool, str]:
        """For /readyz."""
        missing = self.missing()
        if missing:
            return False, f"waiting for {', '.join(missing)}"
        if self._publisher.snapshot is None:
            return False, "waiting for the first snapshot"
        return True, "ready"

    def alive(self) -> tuple[bool, str]:
        """For /healthz: the loop turned within the last minute."""
        silent = time.monotonic() - self._beat
        return silent < 60, f"loop turned {silent:.0f} s ago"

    async def run(self) -> None:
        """Until cancelled."""
        while True:
            try:
                await asyncio.wait_for(self._changed.wait(), STATUS_SECONDS)
                await asyncio.sleep(SETTLE_SECONDS)
            except TimeoutError:
                pass
            changed = self._changed.is_set()
            self._changed.clear()
            self._beat = time.monotonic()
            if not self.missing():
                if changed:
                    await self.publish()
                await asyncio.to_thread(self.write_statuses, everyone=changed)

    async def publish(self) -> None:
        """Builds from everything known now. Only called once everything is known: nothing smaller is ever told.

        In a thread: the first snapshot of thousands of endpoints takes seconds, in which proxies are still listened to.
        """
        assert self.keys.found is not None  # `missing` said so
        endpoints, refused = accepted_endpoints(self.endpoints.objects())
        pods = routed_pods(self.slices.objects())
        balancers: set[PodAddress] = set()
        for item in self.balancers.objects():
            balancers |= slice_addresses(item, default_port=names.LOAD_BALANCER_PORT)
        world = World(
            keys=Keys.of(*self.keys.found), endpoints=endpoints, pods=pods, balancers=tuple(sorted(balancers))
        )
        try:
            snapshot = await asyncio.to_thread(self._encoded, world)
            if self._publisher.publish(snapshot):
                log.info("published %d endpoints, %d ready pods", len(endpoints), sum(map(len, pods.values())))
        except PermanentError as error:
            telemetry.snapshots_failed.inc()
            log.error("snapshot not published, proxies keep the one before: %s", error)
        telemetry.endpoints_served.set(len(endpoints))
        telemetry.endpoints_refused.set(len(refused))
        telemetry.pods_ready.set(sum(map(len, pods.values())))

    def _encoded(self, world: World) -> Snapshot:
        snapshot = build(world, self._options, self._recall)
        self._publisher.encoder.check(snapshot)
        return snapshot

    def write_statuses(self, *, everyone: bool = True) -> None:
        """Writes each status that differs. A failure leaves the rest to be written, and itself to the next turn.

        Without `everyone` only endpoints are looked at that were not ready: of them alone a new cause may be known
        although no object of ours has changed.
        """
        moment = datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        objects = self.endpoints.objects()
        endpoints, refused = accepted_endpoints(objects)
        by_name = {endpoint.name: endpoint for endpoint in endpoints}
        ready: dict[str, dict[str, int]] = {}
        for (owner, version), pods in ready_pods(self.slices.objects()).items():
            ready.setdefault(owner, {})[version] = len(pods)
        for item in objects:
            if everyone or not status.is_ready(item):
                name, namespace = item["metadata"]["name"], item["metadata"]["namespace"]
                faults = refused.get((namespace, name), [])
                endpoint = None if faults else by_name[name]
                self._write_status(item, endpoint, faults=faults, ready=ready.get(name, {}), now=moment)

    def _write_status(
        self,
        item: kube.Object,
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
                version = item["metadata"]["resourceVersion"]
                self._server.patch_status(kube.status_path(item), wanted, resource_version=version)
                telemetry.status_writes.labels("written").inc()
        except kube.Conflict:
            # Someone was faster; the watch brings their version, and with it the next turn.
            telemetry.status_writes.labels("conflict").inc()
        except TemporaryError as error:
            telemetry.status_writes.labels("failed").inc()
            log.warning("status of ModelEndpoint %s/%s not written: %s", namespace, name, error)

    def _pods(self, namespace: str) -> list[kube.Object]:
        """The endpoint's pods; none when they may not be read, which costs the status its cause and nothing else."""
        try:
            return kube.pods_of(self._server, namespace)
        except TemporaryError as error:
            if namespace not in self._unreadable:
                self._unreadable.add(namespace)
                log.warning("pods of %s cannot be read, status will not name causes: %s", namespace, error)
            return []
