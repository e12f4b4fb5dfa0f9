"""The ASGI application of a model pod: routes, limits and the common headers of every answer."""

import asyncio
import codecs
import gc
import logging
import re
import secrets
import time
from collections.abc import Awaitable, Callable, Mapping, MutableMapping, Sequence
from typing import Any, NamedTuple

import orjson

from headrace.contract import names
from headrace.runtimes.front import admin, batching, express, media, packing
from headrace.runtimes.front.answers import JSON_HEADER, Answer, refusal
from headrace.runtimes.front.dispatch import Call, Dispatcher, Sized, Waiting
from headrace.runtimes.front.grpc_door import GrpcDoor
from headrace.runtimes.front.inference import OpenInference, Told, dialect
from headrace.runtimes.front.load import Load
from headrace.runtimes.front.logs import Pipe, tell_reason
from headrace.runtimes.front.openai import Events, OpenAI, events
from headrace.runtimes.front.pool import Pool
from headrace.runtimes.front.progress import Progress
from headrace.runtimes.front.reading import Disconnected, read_body
from headrace.runtimes.front.settings import Settings
from headrace.runtimes.front.start import Start
from headrace.runtimes.front.usage import Usage

log = logging.getLogger("headrace.front")

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]

CONCURRENCY_PER_CORE = batching.MOST_REQUESTS
"""Where the concurrency limit starts when nobody sets it: the fullest batch for each worker, which is high for any
other model, but workers take only what they can run; the autoscaler lowers it from what it measures."""
LEAST_HELD_BYTES = 4 * media.BODY_LIMIT
HELD_SHARE = 0.125
"""Request bodies in the front, waiting ones included, may take this share of the pod's memory, and always this much."""
UNLIMITED_HELD_BYTES = 32 * media.BODY_LIMIT
"""The same where the pod's memory has no limit."""
LOOKS_EVERY = 32
"""Refusals, some 15 µs each, between two looks at what the workers have answered."""
GARBAGE_OBJECTS = 20_000
"""New containers between two collections: a table of a thousand rows is a thousand lists, and none of them garbage."""
_HELD = "headrace.held"
_REQUEST_ID = re.compile(rb"[!-~]{1,128}")
_SWEEP_SECONDS = 0.1
_WATCH_SECONDS = 0.02
"""How often the queue is looked after: when it is empty, and when requests wait."""
_TEND_SECONDS = 1.0


class Work(NamedTuple):
    """A request as a worker gets it."""

    content_type: str
    body: bytes
    streamed: bool = False
    """Whether its caller wants the answer in pieces."""


class Front:
    """One model pod's HTTP side."""

    def __init__(
        self,
        settings: Settings,
        *,
        pipes: Sequence[tuple[Pipe, Pipe]],
        on_fatal: Callable[[str], None],
        began: float | None = None,
    ) -> None:
        self.settings = settings
        self.start = Start(began)
        self.usage = Usage(settings.cores, settings.memory_bytes)
        self.load = Load(time.monotonic)
        limit = settings.concurrency
        self.dispatcher = Dispatcher(
            self.load,
            limit=max(1, round(CONCURRENCY_PER_CORE * settings.cores)) if limit is None else limit,
            timeout_seconds=settings.timeout_seconds,
            clock=time.monotonic,
        )
        self.pool = Pool(
            settings,
            self.dispatcher,
            pipes=pipes,
            on_failed=self._failed,
            on_first=self.start.finished,
            memory_ratio=self.usage.memory_ratio,
        )
        self._progress = Progress(time.monotonic)
        self.draining = False
        self.failure: str | None = None
        """Why the model cannot be served, in one sentence; None while it can or may be."""
        self._on_fatal = on_fatal
        self._sweeper: asyncio.Task[None] | None = None
        self.held_bytes = 0
        """Bytes of request bodies in this process now."""
        memory = settings.memory_bytes
        self.most_held_bytes = UNLIMITED_HELD_BYTES
        if memory is not None:
            self.most_held_bytes = max(LEAST_HELD_BYTES, int(memory * HELD_SHARE))
        self.common: tuple[tuple[bytes, bytes], ...] = ()
        """Headers of every answer, besides its request id."""
        if settings.version:
            self.common = ((names.SERVED_MODEL_HEADER.encode(), settings.version.encode("latin-1")),)
        self.plain_lines = (express.INVOCATIONS, *express.inference_lines(settings.endpoint, settings.version))
        """Request lines of what may take the short way (runtimes/front/connection.py)."""
        self._admin = admin.Admin(self)
        self.inference = OpenInference(self)
        self.rpc = GrpcDoor(self)
        self.described = self.inference.described
        self.inferred = self.inference.inferred
        self.read_message = self.inference.read_message
        self._openai = OpenAI(self)
        self._described: Mapping[str, Any] | None = None
        self._packer = packing.Packer({})
        self._routes: dict[str, tuple[str, Callable[[Scope, Receive], Awaitable[Answer | Events]]]] = {
            "/invocations": ("POST", self._invocations),
            "/ping": ("GET", self._ping),
            "/health": ("GET", self._ping),
            "/version": ("GET", self._version),
        }

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """The ASGI entry point."""
        if scope["type"] == "lifespan":
            await self._lifespan(receive, send)
            return
        if scope["type"] != "http":
            await send({"type": "websocket.close"})  # before it is accepted: the server answers 403
            return
        answer: Answer | Events
        try:
            if scope["server"] is not None and scope["server"][1] == self.settings.admin_port:
                answer = await self._admin.answer(scope, receive)
            else:
                answer = await self._answer(scope, receive)
        except Disconnected:
            return
        except Exception:
            log.exception("a request failed inside the front")
            answer = refusal(500, "INTERNAL_ERROR", "The server failed to handle this request; its log says why.")
        finally:
            self.hold(scope, 0)
        request_id = media.header(scope["headers"], names.REQUEST_ID_HEADER.encode())
        identity = (request_id or "").encode("latin-1")
        if not _REQUEST_ID.fullmatch(identity):
            identity = secrets.token_hex(16).encode()
        common = [(names.REQUEST_ID_HEADER.encode(), identity), *self.common]
        if isinstance(answer, Events):
            self.load.answers[200] += 1
            headers = [(b"content-type", b"text/event-stream"), (b"cache-control", b"no-store"), *common]
            await send({"type": "http.response.start", "status": 200, "headers": headers})
            async for line in answer.lines:
                await send({"type": "http.response.body", "body": line, "more_body": True})
            await send({"type": "http.response.body", "body": b""})
            return
        headers = [*answer.headers, (b"content-length", str(len(answer.body)).encode()), *common]
        await send({"type": "http.response.start", "status": answer.status, "headers": headers})
        await send({"type": "http.response.body", "body": b"" if scope["method"] == "HEAD" else answer.body})

    async def _answer(self, scope: Scope, receive: Receive) -> Answer | Events:
        if scope["http_version"] == "1.1" and media.header(scope["headers"], b"host") is None:
            return refusal(400, "BAD_REQUEST", "The request has no Host header, which HTTP/1.1 requires.")
        path = scope["path"]
        if path.startswith("/v2"):
            return await self.inference.answer(scope, receive)
        if path.startswith("/v1/"):
            return await self._openai.answer(scope, receive)
        route = self._routes.get(path) or self._routes.get(path.rstrip("/"))
        if route is None:
            return refusal(404, "RESOURCE_DOES_NOT_EXIST", "There is nothing at this path.")
        verb, handle = route
        method = scope["method"]
        if method != verb and not (verb == "GET" and method == "HEAD"):
            return refusal(405, "BAD_REQUEST", f"This path answers {verb} only.", allow=verb)
        return await handle(scope, receive)

    async def _invocations(self, scope: Scope, receive: Receive) -> Answer | Events:
        answer = await self._score(scope, receive)
        return answer if isinstance(answer, Events) else self.counted(answer)

    def counted(self, answer: Answer) -> Answer:
        """Counts the answer to a request for a prediction."""
        self.load.answers[answer.status] += 1
        return answer

    async def _score(self, scope: Scope, receive: Receive) -> Answer | Events:
        content_type = media.content_type(scope["headers"])
        if isinstance(content_type, Answer):
            return content_type
        body = await self.body(scope, receive)
        if isinstance(body, Answer):
            return body
        if self.pool.ready and self.dispatcher.full():
            return self.dispatcher.turn_away()
        work = self._work(content_type, body)
        if isinstance(work, Answer):
            return work
        if not self.pool.ready:
            return self.turned_away()
        if work.streamed:
            stream = await self.dispatcher.stream(content_type, body)
            return stream if isinstance(stream, Answer) else Events(events(stream, lambda piece: piece, _told))
        return await self.dispatcher.score(work.content_type, work.body)

    def at_the_door(self, plain: express.Plain) -> Answer | None:
        """The refusal of whatever request comes now; None while there is room, or when the long way has to say why."""
        if not self.dispatcher.full() or not self.pool.ready or self.streams:
            return None
        if self.load.refused % LOOKS_EVERY == 0:
            self.pool.look()  # thousands to refuse must not keep an idle worker from its next call
        return self.counted(self._worded(plain, self.dispatcher.turn_away()))

    def submit(self, plain: express.Plain, waiting: Sized) -> Call | Answer | None:
        """Hands a request in without a coroutine: `waiting` gets its answer unless it is refused here and now.

        None: not a case for the short way (streams, refusals of the request itself, a pod that is not ready). A call
        that was taken ends with `let_go`, and counts as many bytes as `waiting` is told.
        """
        if not self.pool.ready or self.streams:
            return None
        body = media.decoded(plain.fields, plain.body) if plain.packed else plain.body
        if isinstance(body, Answer) or not self.has_room(len(body)):
            return None
        told: Waiting = waiting
        if plain.path == "/invocations":
            work = self._work(plain.content_type, body.removeprefix(codecs.BOM_UTF8))
            if isinstance(work, Answer):
                return None
            content_type, data = work.content_type, work.body
        else:
            asked = self.inference.asked(plain.fields, body)
            if isinstance(asked, Answer):
                return None
            content_type, data = asked.work
            told = Told(self.inference, asked.request, waiting)
        call = self.dispatcher.admit(content_type, data, told)
        if isinstance(call, Answer):
            return self.counted(self._worded(plain, call))
        waiting.size = len(body)
        self.held_bytes += len(body)
        return call

    @staticmethod
    def _worded(plain: express.Plain, answer: Answer) -> Answer:
        return answer if plain.path == "/invocations" else dialect(answer)

    def let_go(self, size: int) -> None:
        """A body of the short way is no longer needed."""
        self.held_bytes -= size

    def _work(self, content_type: str, body: bytes) -> "Work | Answer":
        """What goes to the worker, a table or tensor of numbers as raw doubles and everything else as it came; or the
        refusal of the body."""
        if content_type != media.JSON:
            return Work(content_type, body)
        packer = self.packer
        packed = packer.text(body)
        if packed is not None:
            return Work(*packed)  # as deep as its shape, hence not too deep
        document = media.parse_json(body)
        if isinstance(document, Answer):
            return document
        deep = media.too_deep(body)
        packed = packer.document(document) if deep is None else None
        if packed is not None:
            return Work(*packed)
        streamed = self.streams and type(document) is dict and document.get("stream") is True
        return deep or Work(content_type, body, streamed)

    @property
    def packer(self) -> packing.Packer:
        """Packs for the model that the workers have described."""
        described = self.pool.description
        if described is not self._described:
            self._described, self._packer = described, packing.Packer(described or {})
        return self._packer

    @property
    def serving(self) -> bool:
        """Whether the model is ready and the pod stays."""
        return self.pool.ready and not self.draining

    @property
    def streams(self) -> bool:
        """Whether the model can answer in pieces."""
        return self.pool.description is not None and bool(self.pool.description["streams"])

    async def body(self, scope: Scope, receive: Receive) -> bytes | Answer:
        """The request's body, decoded and within its limits, or the refusal.

        Bodies count against the pod's memory from before they are read until their request is answered: a queue that
        is bounded in requests alone could hold 16 MiB for each.
        """
        length = media.header(scope["headers"], b"content-length")
        expected = int(length) if length is not None and length.isdigit() else media.UNKNOWN_LENGTH
        if expected <= media.BODY_LIMIT and not self.has_room(expected):
            return self.crowded_out()
        self.hold(scope, min(expected, media.BODY_LIMIT))
        body = await read_body(scope, receive)
        if not isinstance(body, Answer):
            body = media.decoded(scope["headers"], body)
        self.hold(scope, 0 if isinstance(body, Answer) else len(body))
        return body

    def has_room(self, size: int) -> bool:
        """Whether the pod's memory has room for a body of so many bytes."""
        return self.held_bytes + size <= self.most_held_bytes

    def crowded_out(self) -> Answer:
        """Counts and refuses a request for which there is no room."""
        return self.dispatcher.turn_away()

    def hold(self, request: MutableMapping[str, Any], size: int) -> None:
        """Counts so many bytes for a request, instead of what was counted for it before."""
        self.held_bytes += size - request.get(_HELD, 0)
        request[_HELD] = size

    async def _ping(self, scope: Scope, receive: Receive) -> Answer:
        if not self.pool.ready and not self.draining and self.failure is None:
            await self.start.awaited(scope.get("query_string", b""))
        if self.draining:
            return refusal(503, "TEMPORARILY_UNAVAILABLE", "The pod is draining.", retry_after_seconds=1)
        if not self.pool.ready:
            return self.not_ready()
        return Answer(200, b"\n")

    async def _version(self, scope: Scope, receive: Receive) -> Answer:
        if self.pool.description is None:
            return self.not_ready()
        return Answer(200, str(self.pool.description["mlflow_version"]).encode(), (JSON_HEADER,))

    def not_ready(self) -> Answer:
        """503 with the reason."""
        message = self.failure or self._progress.sentence
        return refusal(503, "TEMPORARILY_UNAVAILABLE", message, retry_after_seconds=5)

    def turned_away(self) -> Answer:
        """The same, to a request for a prediction, which is counted."""
        self.load.arrived += 1
        self.load.refused += 1
        return self.not_ready()

    def _failed(self, reason: str) -> None:
        if self.failure is not None:
            return
        self.failure = reason
        self.start.failed()
        tell_reason(reason, self.settings.termination_log)
        loop = asyncio.get_running_loop()
        loop.call_later(self.settings.failure_hold_seconds, self._on_fatal, reason)

    async def _lifespan(self, receive: Receive, send: Send) -> None:
        while True:
            message = await receive()
            if message["type"] == "lifespan.startup":
                await self.pool.start()
                try:
                    await self.rpc.start()  # its library is imported while the first worker starts
                except BaseException:
                    self.pool.kill()  # nobody would be there for it
                    raise
                self._sweeper = asyncio.create_task(self._sweep())
                gc.freeze()  # collections need not walk what was imported
                gc.set_threshold(GARBAGE_OBJECTS)
                await send({"type": "lifespan.startup.complete"})
            else:
                if self._sweeper is not None:
                    self._sweeper.cancel()
                await self.rpc.left()
                await self.pool.stop()
                await send({"type": "lifespan.shutdown.complete"})
                return

    async def _sweep(self) -> None:
        tended = 0.0
        while True:
            await asyncio.sleep(_WATCH_SECONDS if self.load.queued else _SWEEP_SECONDS)
            now = time.monotonic()
            try:
                self.dispatcher.watch()
                self.dispatcher.expire()
                if now - tended > _TEND_SECONDS:
                    tended = now
                    self.pool.tend(now)
                    self._progress.look(ready=self.pool.ready)
            except Exception:  # the front must not go unattended
                log.exception("looking after the workers failed")


def _told(answer: Answer) -> object:
    return orjson.loads(answer.body)
