"""Loop: level-based. Whenever anything changed: read the whole world, build, publish; and report, at its own pace."""

import asyncio
import contextlib
import datetime
import logging
import time

from headrace.contract import names
from headrace.contract.errors import PermanentError
from headrace.machinery.api_server import ApiServer
from headrace.routing import kube, telemetry
from headrace.routing.ads import Publisher
from headrace.routing.issuer_keys import IssuerKeys
from headrace.routing.reporter import Reporter, Seen
from headrace.routing.snapshot import (
    Keys,
    Options,
    Recall,
    Routing,
    Snapshot,
    World,
    accepted_endpoints,
    births,
    build,
    counts,
    promoted,
)

log = logging.getLogger(__name__)

SETTLE_SECONDS = 0.02
"""Changes come in bursts (a rollout, a list); this gathers one into one snapshot, sooner than anyone notices."""
STATUS_SECONDS = 2.0
"""How often endpoints that are not ready are asked why, while nothing else changes."""
STUCK_SECONDS = 120.0
"""A snapshot of five thousand endpoints from nothing takes 12 s of CPU."""


class ControlPlane:
    """Mirrors the cluster, publishes snapshots, writes statuses."""

    def __init__(self, server: ApiServer, publisher: Publisher, options: Options) -> None:
        self._server = server
        self._publisher = publisher
        self._options = options
        self._loop = asyncio.get_running_loop()
        self._changed = asyncio.Event()
        self._reportable = asyncio.Event()
        self._began: float | None = None
        self._published: Seen | None = None
        self._recall = Recall()
        self._routing = Routing()
        self.endpoints = kube.mirror(server, kube.MODEL_ENDPOINTS, self._notice)
        self.slices = kube.mirror(server, kube.ENDPOINT_SLICES, self._notice, label_selector=names.ENDPOINT_LABEL)
        self.balancers = kube.mirror(
            server,
            kube.BALANCER_SLICES,
            self._notice,
            label_selector=f"{kube.SERVICE_NAME_LABEL}={names.LOAD_BALANCER}",
        )
        self.keys = IssuerKeys(server, self._notice)
        self._reporter = Reporter(server)

    def _notice(self) -> None:
        """Called from the mirrors' threads, which may outlive the loop by a moment when the process ends."""
        with contextlib.suppress(RuntimeError):
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
        """For /healthz: no snapshot has been in the making for longer than any takes."""
        began = self._began
        taken = 0.0 if began is None else time.monotonic() - began
        return taken < STUCK_SECONDS, "alive" if began is None else f"building a snapshot for {taken:.0f} s"

    async def run(self) -> None:
        """Until cancelled."""
        await asyncio.gather(self._publishing(), self._reporting())

    async def _publishing(self) -> None:
        while True:
            await self._changed.wait()
            await asyncio.sleep(SETTLE_SECONDS)
            self._changed.clear()
            if not self.missing():
                self._began = time.monotonic()
                await self.publish()
                self._began = None

    async def _reporting(self) -> None:
        while True:
            try:
                await asyncio.wait_for(self._reportable.wait(), STATUS_SECONDS)
                await asyncio.sleep(SETTLE_SECONDS)
            except TimeoutError:
                pass
            everyone = self._reportable.is_set()
            self._reportable.clear()
            if self._published is not None:
                now = datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
                await asyncio.to_thread(self._reporter.write, self._published, everyone=everyone, now=now)

    async def publish(self) -> None:
        """Builds from everything known now. Only called once everything is known: nothing smaller is ever told.

        In a thread: the first snapshot of thousands of endpoints takes seconds, in which proxies are still listened to.
        """
        assert self.keys.found is not None  # `missing` said so
        seen = Seen(self.endpoints.all(), self.slices.all())
        endpoints, refused = accepted_endpoints(seen.endpoints)
        doubted, self._routing = self._routing.doubted, self._routing.next(seen.slices, self.balancers.all())
        if self._routing.doubted != doubted:
            log.warning("%d pods get requests although all of their version are called unready", self._routing.doubted)
        pods = self._routing.pods
        known, born = counts(pods), births(seen.slices)
        world = World(
            keys=Keys.of(*self.keys.found),
            endpoints=tuple(
                promoted(found, known.get(found.name, {}), born.get(found.name, {})) for found in endpoints
            ),
            pods=pods,
            balancers=tuple(sorted(self._routing.balancers.pods)),
        )
        try:
            snapshot = await asyncio.to_thread(self._encoded, world)
            if self._publisher.publish(snapshot):
                log.info("published %d endpoints, %d pods", len(endpoints), sum(map(len, pods.values())))
        except PermanentError as error:
            telemetry.snapshots_failed.inc()
            log.error("snapshot not published, proxies keep the one before: %s", error)
            return
        self._published = seen
        self._reportable.set()
        telemetry.endpoints_served.set(len(endpoints))
        telemetry.endpoints_refused.set(len(refused))
        telemetry.pods_routed.set(sum(map(len, pods.values())))
        telemetry.pods_doubted.set(self._routing.doubted)

    def _encoded(self, world: World) -> Snapshot:
        snapshot = build(world, self._options, self._recall)
        self._publisher.encoder.check(snapshot)
        return snapshot
