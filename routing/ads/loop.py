"""ControlLoop: after any change it reads all objects, builds a snapshot and publishes it (level-based, not edge-based).

Statuses are written by a second task, at its own pace.
"""

import asyncio
import contextlib
import datetime
import functools
import logging
import time
from collections.abc import Callable, Sequence
from typing import Any

from headrace.contract import names
from headrace.contract.errors import PermanentError
from headrace.contract.revoked import NOTHING_REVOKED, Revoked
from headrace.contract.trusted_issuer import TrustedIssuer
from headrace.kube.api_server import ApiServer, Object
from headrace.kube.informer import Informer
from headrace.routing.ads import kubernetes_api, telemetry
from headrace.routing.ads.issuer_documents import IssuerDocuments, cluster_documents
from headrace.routing.ads.issuer_keys import CLUSTER, IssuerKeys
from headrace.routing.ads.proof_reader import ProofReader
from headrace.routing.ads.service import Publisher
from headrace.routing.ads.status_writer import ObservedObjects, StatusWriter
from headrace.routing.snapshot import GenerationalCache, Options, RoutablePods, Snapshot, build, fallback, rollout_split
from headrace.routing.snapshot.world import Endpoint, Keys, KnownIssuer, World, accepted_endpoints

log = logging.getLogger(__name__)

SETTLE_SECONDS = 0.02
"""Seconds between a change and the snapshot with it: one rollout or list is many changes, and one snapshot."""
STATUS_SECONDS = 2.0
"""Seconds after which the pods of endpoints that are not ready are read again, while no watched object changes."""
STUCK_SECONDS = 120.0
"""Seconds of building one snapshot after which /healthz fails; the first of 5,000 endpoints takes 12 s of CPU."""


class ControlLoop:
    """Watches the cluster, publishes snapshots to proxies, and writes statuses of ModelEndpoints."""

    def __init__(
        self,
        server: ApiServer,
        publisher: Publisher,
        options: Options,
        *,
        issuers: Sequence[TrustedIssuer] = (),
        revoked: Revoked = NOTHING_REVOKED,
        ask: Callable[[str, int], Any] | None = None,
    ) -> None:
        """`issuers` are those beside the cluster; `revoked` is refused all the same; `ask` gets a pod's proof from its
        host and admin port; None: no pod is asked."""
        self._publisher, self._options, self._revoked = publisher, options, revoked
        self._loop = asyncio.get_running_loop()
        self._changed = asyncio.Event()
        self._status_due = asyncio.Event()
        self._all_due = False
        """Whether the statuses of all endpoints are due, and not only of those that wait for something."""
        self._building_since: float | None = None
        self._published: ObservedObjects | None = None
        self._cache = GenerationalCache()
        self._routable = RoutablePods()
        informer = functools.partial(kubernetes_api.informer, server, self._notice)
        self.endpoints = informer(kubernetes_api.MODEL_ENDPOINTS)
        self.slices = informer(kubernetes_api.ENDPOINT_SLICES, selector=names.ENDPOINT_LABEL)
        self.platform = informer(kubernetes_api.BALANCER_SLICES, selector=kubernetes_api.BALANCER_SELECTOR)
        self.keys = IssuerKeys(CLUSTER, functools.partial(cluster_documents, server), self._notice)
        self.other_keys = {
            trusted: IssuerKeys(trusted.issuer, IssuerDocuments(trusted).read, self._notice) for trusted in issuers
        }
        self._sources: tuple[Informer[Object] | IssuerKeys, ...] = (
            self.endpoints,
            self.slices,
            self.platform,
            self.keys,
            *self.other_keys.values(),
        )
        self._reader = None if ask is None else ProofReader(self._notice_proof, ask=ask)
        self._status_writer = StatusWriter(server, self._reader)

    def _notice(self) -> None:
        """Called from the informers' threads, which may outlive the loop by a moment when the process ends."""
        with contextlib.suppress(RuntimeError):
            self._loop.call_soon_threadsafe(self._changed.set)

    def _notice_proof(self) -> None:
        """Called from the reader's threads, as above."""
        with contextlib.suppress(RuntimeError):
            self._loop.call_soon_threadsafe(self._status_due.set)

    def start(self) -> None:
        """Starts the informers' threads; `run` does the rest."""
        for source in self._sources:
            source.start()

    def stop(self) -> None:
        """Asks the informers' threads to end."""
        for source in self._sources:
            source.stop()
        if self._reader is not None:
            self._reader.stop()

    def missing(self) -> list[str]:
        """Which of the objects were not read yet; no snapshot is published before all were."""
        waits = {
            "ModelEndpoint objects": self.endpoints.synced,
            "EndpointSlices of models": self.slices.synced,
            "EndpointSlices of the LoadBalancer": self.platform.synced,
            "the token issuer's keys": self.keys.found is not None,
            # For a moment: a control plane that has just started would take from proxies what they know of them.
            **{f"the keys of {known.name}": not known.is_awaited for known in self.other_keys.values()},
        }
        return [what for what, known in waits.items() if not known]

    def ready(self) -> tuple[bool, str]:
        """For /readyz."""
        if missing := self.missing():
            return False, f"waiting for {', '.join(missing)}"
        if self._publisher.snapshot is None:
            return False, "waiting for the first snapshot"
        return True, "ready"

    def alive(self) -> tuple[bool, str]:
        """For /healthz: False when one snapshot has been built for longer than STUCK_SECONDS."""
        since = self._building_since
        taken = 0.0 if since is None else time.monotonic() - since
        return taken < STUCK_SECONDS, "alive" if since is None else f"building a snapshot for {taken:.0f} s"

    async def run(self) -> None:
        """Publishes snapshots and writes statuses until it is cancelled."""
        await asyncio.gather(self._publish_changes(), self._write_statuses())

    async def _publish_changes(self) -> None:
        while True:
            await self._changed.wait()
            await asyncio.sleep(SETTLE_SECONDS)
            self._changed.clear()
            if not self.missing():
                self._building_since = time.monotonic()
                await self.publish()
                self._building_since = None

    async def _write_statuses(self) -> None:
        while True:
            try:
                await asyncio.wait_for(self._status_due.wait(), STATUS_SECONDS)
                await asyncio.sleep(SETTLE_SECONDS)
            except TimeoutError:
                pass
            all_endpoints, self._all_due = self._all_due, False
            self._status_due.clear()
            if self._published is not None:
                now = datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
                write = self._status_writer.write
                await asyncio.to_thread(write, self._published, all_endpoints=all_endpoints, now=now)

    async def publish(self) -> None:
        """Builds a snapshot of all objects and publishes it. Only called when nothing is `missing`.

        The snapshot is built in a thread: the first one of thousands of endpoints takes seconds, and meanwhile the
        event loop serves the proxies' streams.
        """
        assert self.keys.found is not None  # `missing` said so
        observed = ObservedObjects(self.endpoints.all(), self.slices.all())
        endpoints, refused = accepted_endpoints(observed.endpoints)
        kept_before = self._routable.unready_but_kept
        self._routable = self._routable.updated(observed.slices, self.platform.all())
        kept = self._routable.unready_but_kept
        if kept != kept_before:
            log.warning("%d pods get requests although all of their version are called unready", kept)
        pods = self._routable.pods
        counts, staying = fallback.pod_counts(pods), fallback.pod_counts(self._routable.staying)
        created = fallback.creation_times(observed.slices)

        splits = rollout_split.rollout_splits(observed.endpoints)

        def serving(endpoint: Endpoint) -> Endpoint:
            of_pods, of_staying = counts.get(endpoint.name, {}), staying.get(endpoint.name, {})
            born = created.get(endpoint.name, {})
            if endpoint.spec.rollout is None:
                return fallback.with_fallback(endpoint, of_pods, born, staying=of_staying)
            split = splits.get(endpoint.name)
            return rollout_split.with_rollout(endpoint, split, of_pods, born, staying=of_staying)

        world = World(
            keys=Keys.of(*self.keys.found),
            other_issuers=tuple(
                KnownIssuer(trusted=trusted, keys=Keys.of(*known.found))
                for trusted, known in self.other_keys.items()
                if known.found is not None
            ),
            revoked=self._revoked,
            endpoints=tuple(map(serving, endpoints)),
            pods=pods,
            balancers=tuple(sorted(self._routable.balancers.routable)),
            managers=tuple(sorted(self._routable.managers.routable)),
            pop_proxies=max(1, len(self._routable.pop_proxies.staying)),
            consoles=tuple(sorted(self._routable.consoles.routable)),
            # One that leaves answers no one.
            activators=tuple(sorted(self._routable.activators.staying)),
        )
        try:
            snapshot = await asyncio.to_thread(self._encoded, world)
            if self._publisher.publish(snapshot):
                log.info("published %d endpoints, %d pods", len(endpoints), sum(map(len, pods.values())))
        except PermanentError as error:
            telemetry.snapshots_failed.inc()
            log.error("snapshot not published, proxies keep the one before: %s", error)
            return
        self._published = observed
        self._all_due = True
        self._status_due.set()
        telemetry.endpoints_served.set(len(endpoints))
        telemetry.endpoints_refused.set(len(refused))
        telemetry.pods_routed.set(sum(map(len, pods.values())))
        telemetry.pods_unready_but_kept.set(kept)

    def _encoded(self, world: World) -> Snapshot:
        snapshot = build(world, self._options, self._cache)
        self._publisher.encoder.check(snapshot)
        return snapshot
