"""The ASGI application in front of an engine: admission, health, drain, limits and the headers of every answer.

What callers and Kubernetes see is what they see of our own workers (runtimes/front/app.py); the engine does the
scheduling, so requests go to it one by one.
"""

import asyncio
import logging
import re
import secrets
import time
from collections.abc import Awaitable, Callable, MutableMapping, Sequence
from typing import Any

from headrace.contract import metrics, names
from headrace.contract.errors import InputError
from headrace.contract.runtime import EnginePlan
from headrace.runtimes.engine import dialects
from headrace.runtimes.engine.client import EngineLost
from headrace.runtimes.engine.events import Streams
from headrace.runtimes.engine.forward import Forward
from headrace.runtimes.engine.gate import Gate
from headrace.runtimes.engine.inference import Inference
from headrace.runtimes.engine.supervisor import Supervisor
from headrace.runtimes.front import admin, express, media
from headrace.runtimes.front.answers import JSON_HEADER, Answer, refusal
from headrace.runtimes.front.app import UNLIMITED_HELD_BYTES
from headrace.runtimes.front.grpc_door import GrpcDoor
from headrace.runtimes.front.load import Load
from headrace.runtimes.front.logs import Pipe, tell_reason
from headrace.runtimes.front.openai import Events
from headrace.runtimes.front.reading import Disconnected
from headrace.runtimes.front.server import ROTATION_SECONDS
from headrace.runtimes.front.settings import Settings
from headrace.runtimes.front.start import Start
from headrace.runtimes.front.usage import Usage
from headrace.runtimes.protocol import inference_messages

log = logging.getLogger("headrace.engine")

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]

CONCURRENCY_PER_CORE = 100
"""Where the concurrency limit starts when neither the user nor the plan sets it."""
STREAMS_END_SECONDS = 3.0
"""Before the grace is over: streams that still run are ended with an error rather than cut."""
METRICS_SECONDS = 2.0
_REQUEST_ID = re.compile(rb"[!-~]{1,128}")


class EngineFront:
    """One pod's HTTP side where an engine serves the model."""

    plain_lines = (express.INVOCATIONS, *express.OPENAI)
    """Request lines of what may take the short way (runtimes/front/connection.py)."""

    def __init__(
        self,
        settings: Settings,
        plan: EnginePlan,
        *,
        pipes: Sequence[tuple[Pipe, Pipe]],
        on_fatal: Callable[[str], None],
    ) -> None:
        self.settings = settings
        self.start: Start | None = None
        """An engine's start is not told in phases."""
        self.plan = plan
        self.usage = Usage(settings.cores, settings.memory_bytes)
        self.load = Load(time.monotonic)
        limit = settings.concurrency if settings.concurrency is not None else plan.concurrency
        self.dispatcher = Gate(
            self.load,
            limit=max(1, round(CONCURRENCY_PER_CORE * settings.cores)) if limit is None else limit,
            timeout_seconds=settings.timeout_seconds,
            clock=time.monotonic,
        )
        self.pool = Supervisor(settings, plan, self.load, pipes=pipes, on_failed=self._failed)
        self.streams = Streams()
        self.failure: str | None = None
        """Why the model cannot be served, in one sentence; None while it can or may be."""
        self._on_fatal = on_fatal
        self._draining = False
        self._held_bytes = 0
        self.common: tuple[tuple[bytes, bytes], ...] = ()
        if settings.version:
            self.common = ((names.SERVED_MODEL_HEADER.encode(), settings.version.encode("latin-1")),)
        self._admin = admin.Admin(self)
        self._forward = Forward(self)
        inference = Inference(self, self._forward)
        self.described, self.inferred = inference.described, inference.inferred
        self.read_message = inference_messages.read_message
        self.rpc = GrpcDoor(self)

    @property
    def draining(self) -> bool:
        """Whether the pod is leaving: not ready, and every answer says so."""
        return self._draining

    @draining.setter
    def draining(self, value: bool) -> None:
        if value and not self._draining:
            grace = self.settings.grace_seconds
            left = max(min(ROTATION_SECONDS, grace / 4), grace - STREAMS_END_SECONDS)
            asyncio.get_running_loop().call_later(left, self.streams.cut)
        self._draining = value

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """The ASGI entry point."""
        if scope["type"] == "lifespan":
            await self._lifespan(receive, send)
            return
        if scope["type"] != "http":
            await send({"type": "websocket.close"})
            return
        answer: Answer | Events
        try:
            if scope["server"] is not None and scope["server"][1] == self.settings.admin_port:
                answer = await self._administer(scope, receive)
            else:
                answer = await self._answer(scope, receive)
        except Disconnected:
            return
        except Exception:
            log.exception("a request failed inside the front")
            answer = refusal(500, "INTERNAL_ERROR", "The server failed to handle this request; its log says why.")
        identity = (media.header(scope["headers"], names.REQUEST_ID_HEADER.encode()) or "").encode("latin-1")
        if not _REQUEST_ID.fullmatch(identity):
            identity = secrets.token_hex(16).encode()
        common = [(names.REQUEST_ID_HEADER.encode(), identity), *self.common]
        if isinstance(answer, Events):
            headers = [(b"content-type", b"text/event-stream"), (b"cache-control", b"no-store"), *common]
            await send({"type": "http.response.start", "status": 200, "headers": headers})
            async for piece in answer.lines:
                await send({"type": "http.response.body", "body": piece, "more_body": True})
            await send({"type": "http.response.body", "body": b""})
            return
        headers = [*answer.headers, (b"content-length", str(len(answer.body)).encode()), *common]
        await send({"type": "http.response.start", "status": answer.status, "headers": headers})
        await send({"type": "http.response.body", "body": b"" if scope["method"] == "HEAD" else answer.body})

    async def _answer(self, scope: Scope, receive: Receive) -> Answer | Events:
        path, method = scope["path"].rstrip("/") or "/", scope["method"]
        if scope["http_version"] == "1.1" and media.header(scope["headers"], b"host") is None:
            return refusal(400, "BAD_REQUEST", "The request has no Host header, which HTTP/1.1 requires.")
        if path in ("/ping", "/health", "/version", "/v2/health/live", "/v2/health/ready"):
            if method not in ("GET", "HEAD"):
                return dialects.spoken(path, refusal(405, "BAD_REQUEST", "This path answers GET only.", allow="GET"))
            return dialects.spoken(path, self._health(path))
        try:
            answer = await self._forward.answer(path, scope, receive)
        except InputError as error:
            answer = refusal(400, "BAD_REQUEST", "; ".join(error.faults))
        if isinstance(answer, Events):
            self.load.answers[200] += 1
            return answer
        if method == "POST":
            self.load.answers[answer.status] += 1
        return dialects.spoken(path, answer)

    def _health(self, path: str) -> Answer:
        if path == "/v2/health/live":
            return Answer(200, b'{"live":true}')
        if path == "/version":
            return Answer(200, self.plan.name.encode(), (JSON_HEADER,))
        if self.draining:
            return refusal(503, "TEMPORARILY_UNAVAILABLE", "The pod is draining.", retry_after_seconds=1)
        if not self.pool.ready:
            return self.not_ready()
        return Answer(200, b'{"live":true,"ready":true}' if path.startswith("/v2") else b"\n")

    def not_ready(self) -> Answer:
        """503 with the reason."""
        message = self.failure or self.pool.progress.sentence
        return refusal(503, "TEMPORARILY_UNAVAILABLE", message, retry_after_seconds=5)

    def turned_away(self) -> Answer:
        """The same, to a request for a prediction, which is counted."""
        self.load.arrived += 1
        self.load.refused += 1
        return self.not_ready()

    @property
    def serving(self) -> bool:
        """Whether the engine is ready and the pod stays."""
        return self.pool.ready and not self.draining

    def has_room(self, size: int) -> bool:
        """Whether the pod's memory has room for a request; the engine's own share of it is most, and not known."""
        return self._held_bytes + size <= UNLIMITED_HELD_BYTES

    def hold(self, request: MutableMapping[str, Any], size: int) -> None:
        """Counts so many bytes for a request, instead of what was counted for it before."""
        self._held_bytes += size - request.get("held", 0)
        request["held"] = size

    def crowded_out(self) -> Answer:
        """Counts and refuses a request for which there is no room."""
        return self.dispatcher.turn_away()

    async def _administer(self, scope: Scope, receive: Receive) -> Answer:
        answer = await self._admin.answer(scope, receive)
        if scope["path"] != metrics.METRICS_PATH or answer.status != 200:
            return answer
        return Answer(200, answer.body + await self._engine_metrics(), answer.headers)

    async def _engine_metrics(self) -> bytes:
        """The engine's own metrics, as it words them; nothing when it gives none."""
        address = self.pool.metrics_address()
        if address is None:
            return b""
        try:
            body = await self._forward.fetched(*address, seconds=METRICS_SECONDS)
        except (EngineLost, TimeoutError):
            return b""
        return body if body.endswith(b"\n") or not body else body + b"\n"

    def _failed(self, reason: str) -> None:
        if self.failure is not None:
            return
        self.failure = reason
        tell_reason(reason, self.settings.termination_log)
        loop = asyncio.get_running_loop()
        loop.call_later(self.settings.failure_hold_seconds, self._on_fatal, reason)

    async def _lifespan(self, receive: Receive, send: Send) -> None:
        while True:
            message = await receive()
            if message["type"] == "lifespan.startup":
                await self.rpc.start()
                await self.pool.start()
                await send({"type": "lifespan.startup.complete"})
            else:
                self.streams.cut()
                await self.rpc.left()
                await self.pool.stop()
                await send({"type": "lifespan.shutdown.complete"})
                return
