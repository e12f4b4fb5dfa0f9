"""AdsServicer: sends the newest snapshot to each connected Envoy by incremental xDS over one ADS stream."""

# mypy: disable-error-code="import-untyped"
# grpcio and the generated protobuf classes carry no types.

import asyncio
import contextlib
import logging
import time
from collections.abc import AsyncIterator
from typing import Any

import grpc.aio
from envoy.service.discovery.v3 import ads_pb2_grpc

from headrace.contract import names
from headrace.routing.ads import identity, telemetry
from headrace.routing.ads.delta_session import DeltaResponse, DeltaXdsSession
from headrace.routing.ads.resource_encoder import ResourceEncoder
from headrace.routing.snapshot import Snapshot

log = logging.getLogger(__name__)

STEP_SECONDS = 5.0
"""Seconds that a response may stay unacknowledged before the responses that wait for it are sent anyway."""


class Publisher:
    """The newest snapshot, and an event by which streams wait for the next. None is sent before the first one."""

    def __init__(self) -> None:
        self.snapshot: Snapshot | None = None
        self.encoder = ResourceEncoder()
        self.changed = asyncio.Event()
        """Set when a newer snapshot than the current one is published, which has an event of its own."""

    def publish(self, snapshot: Snapshot) -> bool:
        """Makes this the newest snapshot; False when it equals the one before. `encoder.check` must have passed it."""
        if snapshot == self.snapshot:
            return False
        self.snapshot = snapshot
        telemetry.snapshots_published.inc()
        changed, self.changed = self.changed, asyncio.Event()
        changed.set()
        return True


class AdsServicer(ads_pb2_grpc.AggregatedDiscoveryServiceServicer):  # type: ignore[misc] # generated code is untyped
    """The gRPC service; each proxy opens one stream, which has its own DeltaXdsSession."""

    def __init__(self, publisher: Publisher) -> None:
        self._publisher = publisher
        self.streams: set[Stream] = set()

    async def DeltaAggregatedResources(  # the name is the protocol's
        self, requests: AsyncIterator[Any], context: Any
    ) -> AsyncIterator[Any]:
        """The stream of one proxy: takes its requests and yields the responses to it."""
        first = await anext(aiter(requests), None)
        if first is None:
            return
        role = first.node.cluster
        if role not in (names.POP_PROXY, names.LOAD_BALANCER):
            rule = f"must be {names.POP_PROXY} or {names.LOAD_BALANCER}"
            remedy = "use the bootstrap of headrace.components.platform.envoy_bootstrap"
            await context.abort(grpc.StatusCode.INVALID_ARGUMENT, f"node.cluster = {role!r}, {rule}; {remedy}")
        known = identity.roles(context)
        if known is not None and role not in known:
            rule = f"must be a name of the caller's certificate, {', '.join(sorted(known))}"
            await context.abort(grpc.StatusCode.PERMISSION_DENIED, f"node.cluster = {role!r}, {rule}")
        log.info("proxy %s (%s) connected", first.node.id, role)
        stream = Stream(role, first.node.id, self._publisher)
        stream.receive(first)
        reader = asyncio.create_task(stream.read(requests))
        self.streams.add(stream)
        telemetry.proxies_connected.labels(role).inc()
        try:
            async for response in stream.responses():
                yield self._publisher.encoder.response(response)
        finally:
            self.streams.discard(stream)
            telemetry.proxies_connected.labels(role).dec()
            reader.cancel()
            log.info("proxy %s (%s) disconnected", first.node.id, role)


class Stream:
    """One proxy's stream: turns its requests and new snapshots into responses."""

    def __init__(self, role: str, node: str, publisher: Publisher) -> None:
        self.role = role
        self._node = node
        self._publisher = publisher
        self._session = DeltaXdsSession()
        self._received = asyncio.Event()
        self._closed = False

    def receive(self, request: Any) -> None:
        """Applies one DeltaDiscoveryRequest: a change of the subscription, an ACK or a NACK, or both."""
        subscription = self._session.subscriptions.get(request.type_url)
        if subscription is None:
            log.warning("proxy %s asked for unknown type %s", self._node, request.type_url)
            return
        if request.response_nonce:
            kind = request.type_url.rsplit(".", 1)[-1]
            rejected = request.HasField("error_detail")
            if subscription.acknowledged(request.response_nonce, rejected=rejected):
                counter = telemetry.responses_rejected if rejected else telemetry.responses_accepted
                counter.labels(self.role, kind).inc()
            if rejected:
                log.error("proxy %s refused %s: %s", self._node, kind, request.error_detail.message)
        names_changed = request.resource_names_subscribe or request.resource_names_unsubscribe
        if names_changed or not subscription.started:
            initial = dict(request.initial_resource_versions)
            subscription.update(request.resource_names_subscribe, request.resource_names_unsubscribe, initial)
        self._received.set()

    def settled(self) -> bool:
        """Whether the proxy holds the newest snapshot and has acknowledged all of it."""
        snapshot = self._publisher.snapshot
        return snapshot is not None and self._session.in_sync(snapshot.roles[self.role])

    async def read(self, requests: AsyncIterator[Any]) -> None:
        """Receives requests until the proxy ends the stream."""
        with contextlib.suppress(grpc.aio.AioRpcError):
            async for request in requests:
                self.receive(request)
        self._closed = True
        self._received.set()

    async def responses(self) -> AsyncIterator[DeltaResponse]:
        """Responses, each as soon as it may be sent."""
        held_since: float | None = None
        while not self._closed:
            self._received.clear()
            changed, snapshot = self._publisher.changed, self._publisher.snapshot
            seconds = None
            if snapshot is not None:
                resources = snapshot.roles[self.role]
                waited = 0.0 if held_since is None else time.monotonic() - held_since
                for response in self._session.responses(resources, ordered=waited < STEP_SECONDS):
                    telemetry.responses_sent.labels(self.role, response.type_url.rsplit(".", 1)[-1]).inc()
                    yield response
                if not self._session.holding_back(resources):
                    held_since = None
                elif held_since is None or waited >= STEP_SECONDS:
                    held_since = time.monotonic()
                if held_since is not None:
                    seconds = max(held_since + STEP_SECONDS - time.monotonic(), 0.0)
            await self._wait(changed, seconds)

    async def _wait(self, changed: asyncio.Event, seconds: float | None) -> None:
        """Returns when the proxy sends a request, a new snapshot is published, or the seconds are over."""
        waits = [asyncio.create_task(self._received.wait()), asyncio.create_task(changed.wait())]
        try:
            await asyncio.wait(waits, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in waits:
                task.cancel()


async def serve(servicer: AdsServicer, *, address: str, credentials: Any = None) -> tuple[grpc.aio.Server, int]:
    """Starts the server; returns it with the port it listens on. Raises OSError when the port cannot be had.

    Without `identity.credentials` it speaks in the clear and believes everybody.
    """
    server = grpc.aio.server(
        options=[
            ("grpc.so_reuseport", 0),
            ("grpc.max_receive_message_length", 64 * 1024 * 1024),
            ("grpc.http2.min_ping_interval_without_data_ms", 5_000),
            ("grpc.http2.max_ping_strikes", 0),
            ("grpc.keepalive_permit_without_calls", 1),
            ("grpc.keepalive_time_ms", 30_000),
        ]
    )
    ads_pb2_grpc.add_AggregatedDiscoveryServiceServicer_to_server(servicer, server)
    try:
        port = (
            server.add_insecure_port(address) if credentials is None else server.add_secure_port(address, credentials)
        )
    except RuntimeError as error:
        raise OSError(f"xDS address = {address!r} cannot be listened on; free the port or choose another") from error
    await server.start()
    return server, port
