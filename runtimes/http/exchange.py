"""One request and its answer. Every answer of every protocol leaves the pod through `Exchange`, whole or streamed."""

import asyncio
import functools
import logging
import random
import re
import time
from collections.abc import Callable, Coroutine, Mapping
from http import HTTPStatus
from typing import Any, Final, NamedTuple, Protocol

from headrace.contract import log_line, names
from headrace.runtimes.calls import Call, Outcome
from headrace.runtimes.protocols import errors
from headrace.runtimes.protocols.answers import Answer, Events, Headers
from headrace.runtimes.protocols.errors import Dialect, Failure
from headrace.runtimes.queue.memory import MemoryAccount
from headrace.runtimes.queue.request_metrics import RequestMetrics

log = logging.getLogger("headrace.front")

_REQUEST_ID: Final = names.REQUEST_ID_HEADER.encode()
_IDENTITY: Final = re.compile(rb"[!-~]{1,128}")
_TRACEPARENT: Final = re.compile(rb"[0-9a-f]{2}-([0-9a-f]{32})-([0-9a-f]{16})-[0-9a-f]{2}.*")
"""Of W3C Trace Context: version, trace, span, flags."""
_EVENT_STREAM: Final = ((b"content-type", b"text/event-stream"), (b"cache-control", b"no-store"))
MOST_RECORDED_BYTES: Final = 4 * 1024 * 1024
"""Of a stream: a longer one is recorded up to the piece with which it has so many."""


class RecordedCall(NamedTuple):
    """When a request waited and its model was called, in seconds since the head of the request had come."""

    queued: float
    started: float
    """When the batch that it was in began."""
    ended: float
    seconds: float | None
    """The model's own; None where the backend does not tell."""
    requests: int
    """Requests in the batch."""


class Record(NamedTuple):
    """What can be kept of one exchange."""

    predicts: bool
    """Whether it asked for a prediction."""
    method: str
    path: str
    headers: Headers
    """The request's, names in lower case; among them who calls (`x-headrace-subject`), where the proxy says so."""
    body: bytes
    """The request's, without its content encoding where its protocol read it."""
    identity: str
    """Request id, the caller's or our own; empty where no answer was sent."""
    status: int
    """HTTP status of the outcome; of gRPC, the one that HTTP would have; 499: the caller left before the answer."""
    answer: bytes
    """Body of the answer, streamed pieces one after the other, up to MOST_RECORDED_BYTES; empty of a stream where the
    shell keeps no answers."""
    arrived: float
    """When the head of the request had come, in seconds since the epoch."""
    seconds: float
    """From then until the last byte of the answer was written."""
    version: str
    """The version of the model that served; empty where the pod was told none."""
    call: RecordedCall | None = None
    """None where the model was not called, or its protocol does not tell when."""


class Shell(Protocol):
    """What an exchange needs of the server around it."""

    memory: MemoryAccount
    metrics: RequestMetrics
    common: Headers
    """Headers of every answer, besides its request id."""
    version: str
    draining: bool
    """Whether every answer is its connection's last."""
    date_line: bytes
    """The header Date, as it is now."""
    on_record: Callable[[Record], None] | None
    """Called with each exchange that has ended; None: nothing is kept."""
    keeps_answers: bool
    """Whether `on_record` wants the pieces of a streamed answer; whole answers it has anyway."""
    on_fault: "Callable[[Exchange], None] | None"
    """Called with each exchange that asked for a prediction and got none; None: nobody is told."""
    abandon: Callable[[Call], None]
    """Told that nobody waits for a call any more."""


class Writer(Protocol):
    """The connection that an answer leaves through."""

    def write(self, data: bytes) -> None:
        """Sends bytes, or keeps them until they can be sent."""

    async def drained(self) -> None:
        """Returns when few bytes are kept."""

    def answered(self, *, closes: bool) -> None:
        """The answer is written; `closes`: nothing follows on this connection."""

    def abort(self) -> None:
        """Ends the connection in the middle of an answer."""

    def peer(self) -> tuple[Any, ...] | None:
        """The caller's socket address; None where it is not known."""


class Exchange:
    """A request whose head has come, until its answer has left or its caller has."""

    __slots__ = (
        "_held", "_identity", "_shell", "_writer", "arrived", "body", "call", "counts", "dialect", "ended", "fields",
        "headers", "keep_alive", "method", "path", "query", "recorded", "status", "task", "version_1_0",
    )  # fmt: skip

    def __init__(
        self, shell: Shell, writer: Writer, *, method: str, path: str, query: bytes, headers: Headers,
        fields: Mapping[bytes, bytes], version_1_0: bool = False,
    ) -> None:  # fmt: skip
        """`headers`: names in lower case, in order; `fields`: the first value of each."""
        self._shell, self._writer = shell, writer
        self.method, self.path, self.query, self.headers, self.fields = method, path, query, headers, fields
        self.version_1_0 = version_1_0
        self.body = b""
        self.keep_alive = True
        self.dialect = Dialect.MLFLOW
        self.counts = False
        """Whether it asks for a prediction, so that its answer is counted."""
        self.arrived = time.monotonic()
        self.call: Call | None = None
        """What waits or runs for it in the queue."""
        self.task: asyncio.Task[None] | None = None
        """What prepares or streams its answer."""
        self.ended = False
        self.status = 0
        self.recorded: list[bytes] = []
        """Streamed pieces, while records are kept."""
        self._held = 0
        self._identity = b""

    def takes_memory(self, size: int) -> bool:
        """Counts so many bytes more for it, if the pod's memory has room for them."""
        taken = self._shell.memory.takes(size)
        self._held += size if taken else 0
        return taken

    def hold(self, size: int) -> None:
        """It takes so many bytes from now on, instead of what was counted for it before."""
        self._shell.memory.change(self._held, size)
        self._held = size

    @property
    def peer(self) -> tuple[Any, ...] | None:
        """The caller's socket address; None where it is not known."""
        return self._writer.peer()

    def run(self, work: Coroutine[Any, Any, Outcome]) -> None:
        """Answers with what a coroutine comes to, which is cancelled when the caller leaves."""
        self.task = asyncio.get_running_loop().create_task(self._run(work))

    async def _run(self, work: Coroutine[Any, Any, Outcome]) -> None:
        log_line.ABOUT.set(self.named)  # of this task alone
        outcome: Outcome = errors.FAILED_INSIDE
        try:
            outcome = await work
        except Exception:
            log.exception("a request failed inside the front")
        self.task = None
        self.set_result(outcome)

    def done(self) -> bool:
        """Whether the outcome has come, or nobody waits for one."""
        return self.status != 0 or self.ended

    def set_result(self, outcome: Outcome, /) -> None:
        """Sends the outcome to the caller, once."""
        if type(outcome) is Failure:
            self.status = outcome.http_status
            self._answer(errors.worded(outcome, self.dialect))
        elif type(outcome) is Events:
            self.status = 200
            self.task = asyncio.get_running_loop().create_task(self._stream(outcome))
        elif type(outcome) is Answer:
            self.status = outcome.status
            self._answer(outcome)

    def _answer(self, answer: Answer) -> None:
        closes = self._closes()
        if answer.trailers and not self.version_1_0:
            before, after = self._head(
                answer.status, (*answer.headers, (b"transfer-encoding", b"chunked")), None, closes
            )
            trailers = b"".join([b"%s: %s\r\n" % field for field in answer.trailers])
            chunk = b"%x\r\n%s\r\n" % (len(answer.body), answer.body) if answer.body else b""
            body = b"%s0\r\n%s\r\n" % (chunk, trailers)
        else:
            before, after = self._head(answer.status, answer.headers, len(answer.body), closes)
            body = b"" if self.method == "HEAD" else answer.body
        identity = self.identity()
        self._keep(identity, answer.body)
        self._writer.write(b"".join((before, identity, after, body)))
        self._end(closes=closes)

    async def _stream(self, events: Events) -> None:
        log_line.ABOUT.set(self.named)
        closes, writer = self._closes() or self.version_1_0, self._writer
        kept = MOST_RECORDED_BYTES if self._shell.keeps_answers else 0
        framing = () if self.version_1_0 else ((b"transfer-encoding", b"chunked"),)
        before, after = self._head(200, (*_EVENT_STREAM, *framing), None, closes)
        identity = self.identity()
        unsent = b"".join((before, identity, after))
        try:
            async for piece in events.lines:
                if piece:
                    framed = piece if self.version_1_0 else b"%x\r\n%s\r\n" % (len(piece), piece)
                    writer.write(unsent + framed)
                    unsent = b""
                    if kept > 0:
                        kept -= len(piece)
                        self.recorded.append(piece)
                    await writer.drained()
        except Exception:
            log.exception("an answer was broken off")
            writer.abort()
            return
        self._keep(identity, b"".join(self.recorded))
        writer.write(unsent if self.version_1_0 else unsent + b"0\r\n\r\n")
        self.task = None
        self._end(closes=closes)

    def _closes(self) -> bool:
        return self._shell.draining or not self.keep_alive

    def _head(self, status: int, headers: Headers, length: int | None, closes: bool) -> tuple[bytes, bytes]:
        shell = self._shell
        tail = shell.date_line
        if closes:
            tail += b"connection: close\r\n"
        elif self.version_1_0:
            tail += b"connection: keep-alive\r\n"
        return _around_identity(status, headers, length, shell.common, tail)

    def identity(self) -> bytes:
        """The caller's request id where it is usable, else one of our own: unique, not hard to guess."""
        if not self._identity:
            given = self.fields.get(_REQUEST_ID)
            usable = given is not None and _IDENTITY.fullmatch(given)
            self._identity = given if given is not None and usable else b"%032x" % random.getrandbits(128)
        return self._identity

    def named(self) -> Mapping[str, str]:
        """Its request id and, of a trace that it is in, the ids of trace and span, as fields of a line in the log."""
        known = {log_line.REQUEST_ID: self.identity().decode()}
        found = _TRACEPARENT.fullmatch(self.fields.get(b"traceparent", b""))
        if found is not None:
            known |= {log_line.TRACE_ID: found[1].decode(), log_line.SPAN_ID: found[2].decode()}
        return known

    def _keep(self, identity: bytes, answer: bytes) -> None:
        """The answer is about to leave: the one place where its record is taken.

        Before its last bytes and not after: a process that is killed between the two has answered what nobody recorded.
        """
        if self._shell.on_record is not None:
            self._record(self._shell.on_record, identity, answer)

    def _end(self, *, closes: bool) -> None:
        """The answer has left."""
        self.ended = True
        self.call = None  # which refers to this exchange: both are freed now, and not by a collection of garbage
        if self._held:
            self.hold(0)
        if self.counts:
            self._shell.metrics.answers[self.status] += 1
            if self.status >= 400 and self._shell.on_fault is not None:
                self._shell.on_fault(self)
        self._writer.answered(closes=closes)

    def left(self) -> None:
        """The caller is gone: what waits for it gives up its place, and what runs is told."""
        if self.ended:
            return
        self.ended = True
        if self.call is not None:
            self._shell.abandon(self.call)
            self.call = None
        if self.task is not None:
            self.task.cancel()
        self.hold(0)
        self.status = 499
        if self.counts and self._shell.on_fault is not None:
            self._shell.on_fault(self)
        if self._shell.on_record is not None:
            self._record(self._shell.on_record, b"", b"".join(self.recorded))

    def _record(self, take: Callable[[Record], None], identity: bytes, answer: bytes) -> None:
        seconds = time.monotonic() - self.arrived
        record = Record(
            predicts=self.counts, method=self.method, path=self.path, headers=self.headers, body=self.body,
            identity=identity.decode(), status=self.status, answer=answer, arrived=time.time() - seconds,
            seconds=seconds, version=self._shell.version, call=self._called(),
        )  # fmt: skip
        try:
            take(record)
        except Exception:  # a request is answered whether or not its record is kept
            log.exception("a record was lost")

    def _called(self) -> RecordedCall | None:
        call, began = self.call, self.arrived
        if call is None or call.times is None:
            return None
        started, ended, seconds, requests = call.times
        return RecordedCall(call.arrived - began, started - began, ended - began, seconds, requests)


@functools.lru_cache(maxsize=64)  # alike for a second, until the date changes
def _around_identity(
    status: int, headers: Headers, length: int | None, common: Headers, tail: bytes
) -> tuple[bytes, bytes]:
    """What comes before and after the request id in the head of an answer."""
    own = b"".join([b"%s: %s\r\n" % field for field in headers])
    shared = b"".join([b"%s: %s\r\n" % field for field in common])
    framing = b"" if length is None else b"content-length: %d\r\n" % length
    return b"%s%s%s%s: " % (_status_line(status), own, framing, _REQUEST_ID), b"\r\n%s%s\r\n" % (shared, tail)


@functools.lru_cache(maxsize=64)
def _status_line(status: int) -> bytes:
    try:
        phrase = HTTPStatus(status).phrase
    except ValueError:
        phrase = "Unknown"
    return f"HTTP/1.1 {status} {phrase}\r\n".encode()
