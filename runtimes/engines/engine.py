"""The engine as a backend: requests go to it one by one as it would schedule them itself, and what it answers comes
back as it is, or as a failure in no protocol's words."""

import asyncio
import json
import logging
import time
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

from headrace.runtimes.calls import Batch, Listener, Outcome
from headrace.runtimes.engines import translation
from headrace.runtimes.engines.client import Client, EngineLost, Response
from headrace.runtimes.engines.streams import Streams
from headrace.runtimes.engines.supervisor import Supervisor
from headrace.runtimes.pod.settings import ROTATION_SECONDS
from headrace.runtimes.protocols.answers import Answer, Events, Headers
from headrace.runtimes.protocols.errors import Failure, Reason
from headrace.runtimes.protocols.open_inference import EXTENSIONS, JSON_LENGTH_HEADER

log = logging.getLogger("headrace.engine")

MOST_AT_ONCE: Final = 1 << 16
"""Requests that an engine takes at once: the concurrency limit is the queue's."""
STREAMS_END_SECONDS: Final = 3.0
"""Before the grace is over: streams that still run are ended with an error rather than cut."""
DESCRIBE_SECONDS: Final = 10.0
METRICS_SECONDS: Final = 2.0
_PASSED_BACK: Final = (b"content-type", JSON_LENGTH_HEADER.encode())
LOST: Final = Failure(
    Reason.INTERNAL,
    "The model's engine ended, or hung up, while it worked on this request. It is replaced when it has ended.",
)


@dataclass(frozen=True, slots=True)
class EngineRequest:
    """What an engine gets of a request."""

    path: str
    headers: Headers
    body: bytes
    method: str = "POST"
    translated: bool = False
    """Whether its caller speaks another protocol: the engine's refusals come back as failures, not as they are."""


class Engine:
    """One engine, as the queue and the routes see it (`calls.Backend`, `calls.Worker`)."""

    schedules = True
    merges = False

    def __init__(self, supervisor: Supervisor, listener: Listener, *, timeout_seconds: float) -> None:
        self.supervisor = supervisor
        self.workers = [self]
        self._listener = listener
        self._timeout_seconds = timeout_seconds
        self._streams = Streams()
        self._tasks: dict[Batch, asyncio.Task[None]] = {}
        self._relayed: dict[Batch, Response] = {}
        self._described: dict[str, Any] | None = None
        self.binary = False
        """Whether an engine of the Open Inference Protocol takes raw tensors; known once it was `described`."""

    @property
    def ready(self) -> bool:
        """Whether the engine says that it can serve."""
        return self.supervisor.ready

    @property
    def ready_workers(self) -> int:
        """1 while the engine can serve."""
        return int(self.supervisor.ready)

    def width(self) -> int:
        """No limit of its own."""
        return MOST_AT_ONCE

    def free(self) -> int:
        """No limit of its own."""
        return MOST_AT_ONCE

    def given_up(self) -> int:
        """None: an engine that hangs is replaced with its calls."""
        return 0

    def room(self) -> float:
        """Not known of an engine."""
        return 0.0

    def crowded(self, now: float) -> bool:
        """It takes all that it is given."""
        return False

    def relaxed(self) -> None:
        """Nothing waits."""

    def look(self) -> None:
        """Its answers are read by tasks of their own."""

    def figures(self) -> Sequence[tuple[str, str, float | None]]:
        """None of the front's: its own metrics are passed on as they are."""
        return ()

    async def start(self) -> None:
        """Starts the engine, or adopts the one of a former front."""
        await self.supervisor.start()

    async def stop(self) -> None:
        """Ends streams with an error, and the engine."""
        self._streams.cut()
        await self.supervisor.stop()

    def kill(self) -> None:
        """Ends the engine at once."""
        self.supervisor.kill()

    def tend(self, now: float) -> None:
        """The supervisor has a task of its own."""

    def leaving(self, grace_seconds: float) -> None:
        """The pod ends in so many seconds: streams that still run then get an ending before."""
        left = max(min(ROTATION_SECONDS, grace_seconds / 4), grace_seconds - STREAMS_END_SECONDS)
        asyncio.get_running_loop().call_later(left, self._streams.cut)

    def take(self, batch: Batch) -> None:
        """Asks the engine; its answer, or the whole of a stream, ends the batch."""
        self._tasks[batch] = asyncio.get_running_loop().create_task(self._run(batch))

    def cancel(self, batch: Batch) -> None:
        """Hangs up, so that the engine stops working on it."""
        task, response = self._tasks.get(batch), self._relayed.get(batch)
        if task is not None:
            task.cancel()
        elif response is not None:
            response.break_off()
            self._relay_ended(batch)  # whoever was to read it may never have begun

    async def _run(self, batch: Batch) -> None:
        call = batch.calls[0]
        outcome: Outcome = LOST
        try:
            response = await self._asked(call.work)
            if _streams(response):
                self._relayed[batch] = response
                call.settle(Events(self._relay(batch, response)))
                return
            outcome = await _whole(response, call.work)
        except (EngineLost, asyncio.CancelledError):  # cancelled: its caller is gone, or has been answered
            outcome = LOST
        except Exception:
            log.exception("a request to the engine failed inside the front")
        finally:
            del self._tasks[batch]
            if batch not in self._relayed:
                self._listener.finished(batch, [outcome], None)

    async def _relay(self, batch: Batch, response: Response) -> AsyncIterator[bytes]:
        """A stream holds its place until its last piece."""
        deadline = asyncio.get_running_loop().time() + batch.calls[0].deadline - time.monotonic()
        try:
            async for piece in self._streams.relayed(response, deadline=deadline):
                yield piece
        finally:
            self._relay_ended(batch)

    def _relay_ended(self, batch: Batch) -> None:
        if self._relayed.pop(batch, None) is not None:
            self._listener.finished(batch, [LOST], None)  # its caller has had its answer

    async def asked(self, request: EngineRequest) -> Outcome:
        """The answer to a question about the model, which takes no place from requests for predictions."""
        try:
            async with asyncio.timeout(self._timeout_seconds):
                return await _whole(await self._asked(request), request)
        except (EngineLost, TimeoutError):
            return LOST

    async def _asked(self, request: EngineRequest) -> Response:
        return await self.supervisor.client.request(
            request.method, request.path, headers=request.headers, body=request.body
        )

    async def described(self, model: str) -> dict[str, Any] | Failure:
        """What an engine of the Open Inference Protocol says of its model, asked once."""
        if self._described is None:
            try:
                self._described = json.loads(await self._got(f"/v2/models/{model}"))
                self.binary = set(EXTENSIONS) <= set(json.loads(await self._got("/v2")).get("extensions", ()))
            except (EngineLost, TimeoutError, ValueError):
                return LOST
        return self._described

    async def _got(self, path: str) -> bytes:
        response = await self.supervisor.client.request("GET", path, seconds=DESCRIBE_SECONDS)
        try:
            return await response.body()
        finally:
            response.close()

    async def metrics(self) -> bytes:
        """The engine's own metrics, as it words them; nothing when it gives none."""
        address = self.supervisor.metrics_address()
        if address is None:
            return b""
        port, path = address
        try:
            async with asyncio.timeout(METRICS_SECONDS):
                response = await Client(port).request("GET", path, headers=((b"connection", b"close"),))
                try:
                    body = await response.body()
                finally:
                    response.close()
        except (EngineLost, TimeoutError):
            return b""
        if response.status != 200:
            return b""
        return body if body.endswith(b"\n") or not body else body + b"\n"


def _streams(response: Response) -> bool:
    return response.status == 200 and (response.header(b"content-type") or b"").startswith(b"text/event-stream")


async def _whole(response: Response, request: EngineRequest) -> Outcome:
    """The engine's answer; its refusals as it words them, or as failures; its own faults always as failures."""
    try:
        body = await response.body()
    finally:
        response.close()
    translated = request.translated
    if response.status >= 500 and response.status not in (503, 504):
        log.error("the engine answered %d to %s: %s", response.status, request.path, body[:2000])
        translated = True
    if translated and response.status != 200:
        return translation.to_failure(response.status, body)
    return Answer(response.status, body, tuple(pair for pair in response.headers if pair[0] in _PASSED_BACK))
