"""ADS: serves snapshots to Envoys over incremental xDS. Holds nothing back once told, tells nothing before."""

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
from headrace.routing import telemetry
from headrace.routing.conversation import Answer, Conversation
from headrace.routing.encoding import Encoder
from headrace.routing.snapshot import Snapshot

log = logging.getLogger(__name__)

PATIENCE_SECONDS = 5.0
"""How long a step of the order may stay unanswered before the rest is told anyway."""


class Publisher:
    """The newest snapshot, and whoever waits for the next. Until the first one, every stream waits."""

    def __init__(self) -> None:
        self.snapshot: Snapshot | None = None
        self.encoder = Encoder()
        self._changed = asyncio.Event()

    def publish(self, snapshot: Snapshot) -> bool:
        """Makes this the newest snapshot, which `encoder.check` has passed; False when it equals the one before."""
        if snapshot == self.snapshot:
            return False
        self.snapshot = snapshot
        telemetry.snapshots_published.inc()
        changed, self._changed = self._changed, asyncio.Event()
        changed.set()
        return True

    @property
    def next_change(self) -> asyncio.Event:
        """Set when a newer snapshot than the current one is there."""
        return self._changed


class AdsServicer(ads_pb2_grpc.AggregatedDiscoveryServiceServicer):  # type: ignore[misc] # generated code is untyped
    """One stream a proxy, each with its own conversation."""

    def __init__(self, publisher: Publisher) -> None:
        self._publisher = publisher
        self.streams: set[Stream] = set()

    async def DeltaAggregatedResources(  # the name is the protocol's
        self, requests: AsyncIterator[Any], context: Any
    ) -> AsyncIterator[Any]:
        """Incremental ADS."""
        first = await anext(aiter(requests), None)
        if first is None:
            return
        role = first.node.cluster
        if role not in (names.POP_PROXY, names.LOAD_BALANCER):
            await context.abort(
                grpc.StatusCode.INVALID_ARGUMENT,
                f"node.cluster = {role!r}, must be {names.POP_PROXY} or {names.LOAD_BALANCER}; "
                "use the bootstrap of headrace.components.envoy_bootstrap",
            )
        log.info("proxy %s (%s) connected", first.node.id, role)
        stream = Stream(role, first.node.id, self._publisher)
        stream.take(first)
        reader = asyncio.create_task(stream.read(requests))
        self.streams.add(stream)
        telemetry.proxies_connected.labels(role).inc()
        try:
            async for answer in stream.answers():
                yield self._publisher.encoder.answer(answer)
        finally:
            self.streams.discard(stream)
            telemetry.proxies_connected.labels(role).dec()
            reader.cancel()
            log.info("proxy %s (%s) disconnected", first.node.id, role)


class Stream:
    """One proxy: joins what it says with what the world becomes."""

    def __init__(self, role: str, node: str, publisher: Publisher) -> None:
        self.role = role
        self._node = node
        self._publisher = publisher
        self._conversation = Conversation()
        self._heard = asyncio.Event()
        self._closed = False

    def take(self, request: Any) -> None:
        """One DeltaDiscoveryRequest: a wish, an acceptance, a refusal, or several at once."""
        subscription = self._conversation.subscriptions.get(request.type_url)
        if subscription is None:
            log.warning("proxy %s asked for unknown type %s", self._node, request.type_url)
            return
        if request.response_nonce:
            kind = request.type_url.rsplit(".", 1)[-1]
            rejected = request.HasField("error_detail")
            if subscription.answered(request.response_nonce, rejected=rejected):
                counter = telemetry.answers_rejected if rejected else telemetry.answers_accepted
                counter.labels(self.role, kind).inc()
            if rejected:
                log.error("proxy %s refused %s: %s", self._node, kind, request.error_detail.message)
        names_changed = request.resource_names_subscribe or request.resource_names_unsubscribe
        if names_changed or not subscription.started:
            subscription.ask(
                request.resource_names_subscribe,
                request.resource_names_unsubscribe,
                dict(request.initial_resource_versions),
            )
        self._heard.set()

    def settled(self) -> bool:
        """Whether the proxy has answered for all of the newest snapshot."""
        snapshot = self._publisher.snapshot
        return snapshot is not None and self._conversation.told(snapshot.roles[self.role])

    async def read(self, requests: AsyncIterator[Any]) -> None:
        """Takes requests until the proxy hangs up."""
        with contextlib.suppress(grpc.aio.AioRpcError):
            async for request in requests:
                self.take(request)
        self._closed = True
        self._heard.set()

    async def answers(self) -> AsyncIterator[Answer]:
        """Everything to send, as it becomes due."""
        held_since: float | None = None
        while not self._closed:
            self._heard.clear()
            changed = self._publisher.next_change
            snapshot = self._publisher.snapshot
            patience = None
            if snapshot is not None:
                resources = snapshot.roles[self.role]
                waited = 0.0 if held_since is None else time.monotonic() - held_since
                for answer in self._conversation.answers(resources, impatient=waited >= PATIENCE_SECONDS):
                    telemetry.answers_sent.labels(self.role, answer.type_url.rsplit(".", 1)[-1]).inc()
                    yield answer
                if not self._conversation.holding_back(resources):
                    held_since = None
                elif held_since is None or waited >= PATIENCE_SECONDS:
                    held_since = time.monotonic()
                if held_since is not None:
                    patience = max(held_since + PATIENCE_SECONDS - time.monotonic(), 0.0)
            await self._wait(changed, patience)

    async def _wait(self, changed: asyncio.Event, patience: float | None) -> None:
        """Until the proxy speaks, the world changes, or patience ends."""
        waits = [asyncio.create_task(self._heard.wait()), asyncio.create_task(changed.wait())]
        try:
            await asyncio.wait(waits, timeout=patience, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in waits:
                task.cancel()


async def serve(servicer: AdsServicer, *, address: str) -> tuple[grpc.aio.Server, int]:
    """Starts the server; returns it with the port it listens on. Raises OSError when the port cannot be had."""
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
        port = server.add_insecure_port(address)
    except RuntimeError as error:
        raise OSError(f"xDS address = {address!r} cannot be listened on; free the port or choose another") from error
    await server.start()
    return server, port
