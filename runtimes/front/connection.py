"""A caller's connection: gunicorn's, with a short way for the plainest requests and refusals in JSON.

A request that comes in several pieces (head and body apart, as `requests` writes them, or in chunks) is kept until it
is whole. What does not come, comes in too many pieces or turns out to be anything else goes to gunicorn as it came.
"""

import asyncio
import json
import logging
from collections.abc import MutableMapping
from typing import Any

from gunicorn.asgi import protocol as gunicorn_protocol  # type: ignore[import-untyped]

from headrace.runtimes.front import express
from headrace.runtimes.front.answers import Answer
from headrace.runtimes.front.app import Front
from headrace.runtimes.front.dispatch import Call

log = logging.getLogger("headrace.front")

_MOST_HELD_BYTES = 256 * 1024
"""Bytes read behind a request that is being answered before reading pauses; gunicorn's own bound."""


_MOST_PIECES = 16
"""Reads of one request that are looked at again; a body of more pieces is gunicorn's."""
_REST_SECONDS = 1.0
"""How long the rest of a request is waited for here; gunicorn waits longer, and its application ends the wait."""


class _Version:
    """What gunicorn asks a request when it writes the head of its answer."""

    version = (1, 1)


_HTTP_1_1 = _Version()


class FrontProtocol(gunicorn_protocol.ASGIProtocol):  # type: ignore[misc] # gunicorn has no types
    """A connection.

    While a request of the short way is answered, gunicorn's own loop for the connection waits for its next request and
    knows nothing of it; bytes that arrive meanwhile are kept from its parser until the answer is written. The short way
    leads into the front's queue, or, where an engine serves the model, to the application.
    """

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Remembers the connection, for the drain."""
        self.worker.protocols.add(self)
        self._opened = self._answered = self.worker.loop.time()
        self._fed = 0
        """Which request of this connection gunicorn's parser has been given bytes of, last."""
        self._turn: Turn | Application | None = None
        """The request that is answered the short way now."""
        self._held = b""
        self._pieces: list[bytes] = []
        """What has come of a request of the short way that is not whole."""
        self._came = self._wanted = 0
        """Bytes of it that have come, and that it has; 0 where its end will say so."""
        self._counted: dict[str, Any] = {}
        """What these bytes count for in the pod's memory."""
        self._rest_timer: asyncio.TimerHandle | None = None
        self._response_buffer: bytes | None = None
        self._chunked = self._last = False
        """Whether the application's answer has no length, and whether the connection ends with it."""
        address = transport.get_extra_info("sockname")
        self._admin = bool(address) and address[1] == self.worker.front.settings.admin_port
        super().connection_made(transport)

    def data_received(self, data: bytes) -> None:
        """A whole plain request is answered from here; anything else goes to gunicorn's parser."""
        if self._turn is not None:
            self._held += data
            if len(self._held) > _MOST_HELD_BYTES:
                self._pause_reading()
            return
        if self._pieces:
            self._pieces.append(data)
            self._came += len(data)
            if self._came < self._wanted and len(self._pieces) < _MOST_PIECES:
                return
            data = b"".join(self._pieces)
        if self._between_requests():
            found = express.recognise(data, self.worker.front.plain_lines)
            if isinstance(found, express.Begun):
                if self._keep(data, found):
                    return
            elif found is not None:
                self._forget()
                if self._taken(found):
                    return
        self._forget()
        super().data_received(data)

    def _taken(self, plain: express.Plain) -> bool:
        """Answers a whole request from here; whether it does."""
        front = self.worker.front
        if not isinstance(front, Front):
            self._turn = Application(self, plain)
            return True
        refused = front.at_the_door(plain)  # before any work is done for it: this is what overload is
        if refused is not None:
            self._write(refused, plain.identity)
            return True
        turn = Turn(self, plain.identity)
        taken = front.submit(plain, turn)
        if isinstance(taken, Answer):
            self._write(taken, plain.identity)
            return True
        if taken is not None:
            turn.call = taken
            self._turn = turn
        return taken is not None

    def _keep(self, data: bytes, begun: express.Begun) -> bool:
        """Keeps the beginning of a request until the rest comes; whether there is room for it."""
        front, pieces = self.worker.front, max(1, len(self._pieces))
        size = max(len(data), begun.wanted)
        if size > _MOST_HELD_BYTES or pieces >= _MOST_PIECES or not front.has_room(size):
            return False
        front.hold(self._counted, size)
        if not self._pieces:
            self._pieces, self._came = [data], len(data)
            self._rest_timer = self.worker.loop.call_later(_REST_SECONDS, self._give_up)
        self._wanted = begun.wanted
        return True

    def _forget(self) -> None:
        """Nothing is kept of a request any more."""
        if self._rest_timer is not None:
            self._rest_timer.cancel()
            self._rest_timer = None
            self._pieces, self._came = [], 0
            self.worker.front.hold(self._counted, 0)

    def _give_up(self) -> None:
        """The rest of a request does not come: gunicorn has what came."""
        data = b"".join(self._pieces)
        self._forget()
        super().data_received(data)

    def _between_requests(self) -> bool:
        """Whether the parser holds no byte, nothing waits to be written and the connection stays open."""
        return (
            self._awaiting_request
            and self._fed < self.req_count
            and not self._admin
            and not self._closed
            and not self._flow_control.write_paused
            and not self.worker.front.draining
        )

    def _feed_callback_parser(self, data: bytes) -> bool:
        # Bytes that come while a request is served belong to it or to the next: the next counts as begun.
        self._fed = self.req_count if self._awaiting_request else self.req_count + 1
        try:
            return bool(super()._feed_callback_parser(data))
        except ValueError:  # a Content-Length of more digits than Python reads
            self._send_error_response(400, "")
            self._close_transport()
            return False

    def answered(self, turn: "Turn", answer: Answer) -> None:
        """Writes the answer of the short way and goes on with what came meanwhile."""
        self._turn = None
        self.worker.front.let_go(turn.size)
        self._write(self.worker.front.counted(answer), turn.identity)
        self._go_on()

    def _write(self, answer: Answer, identity: bytes) -> None:
        tail = gunicorn_protocol._CACHED_SERVER_HEADER + gunicorn_protocol._get_cached_date_header()
        if self._closes:
            tail += b"Connection: close\r\n"
        status_line = gunicorn_protocol._get_cached_status_line((1, 1), answer.status)
        self._safe_write(express.written(status_line, answer, identity, self.worker.front.common, tail))
        self._ended(closes=self._closes)

    @property
    def _closes(self) -> bool:
        """Whether an answer that is written now is the connection's last."""
        return bool(self.worker.front.draining or not self.worker.alive)

    def _ended(self, *, closes: bool) -> None:
        """An answer of the short way is written."""
        self._answered = self.worker.loop.time()
        if closes:
            super()._keepalive_timeout()
        elif self._keepalive_handle is None:
            self._arm_keepalive_timer()

    def _go_on(self) -> None:
        if self._held and not self._closed:
            held, self._held = self._held, b""
            self._resume_reading()
            self.data_received(held)

    async def send(self, message: MutableMapping[str, Any]) -> None:
        """What the application says to a request of the short way, as ASGI has it."""
        if self._closed:
            return
        if message["type"] == "http.response.start":
            names = [name for name, _ in message["headers"]]
            self._chunked = b"content-length" not in names
            headers = [*message["headers"], (b"transfer-encoding", b"chunked")] if self._chunked else message["headers"]
            self._last = self._closes
            self._send_response_start(message["status"], headers, _HTTP_1_1, close=self._last)
            return
        body, last = message["body"], not message.get("more_body", False)
        if body:
            self._send_body(body, self._chunked, last)
        elif last:
            self._safe_write((self._response_buffer or b"") + (b"0\r\n\r\n" if self._chunked else b""))
            self._response_buffer = None
        if self._flow_control.write_paused:
            await self._flow_control.drain()

    def finished(self, *, whole: bool) -> None:
        """The application has answered a request of the short way, or broken off."""
        self._turn = None
        if not whole:
            self._close_transport()
            return
        self._ended(closes=self._last)
        self._go_on()

    def _keepalive_timeout(self) -> None:
        """Idle since gunicorn's last request; closes unless the short way was used since."""
        self._keepalive_handle = None
        busy = self._turn is not None or self._rest_timer is not None
        idle = self.worker.loop.time() - self._answered
        if busy or idle < self._keepalive - 0.01:
            left = self._keepalive if busy else self._keepalive - idle
            self._keepalive_handle = self.worker.loop.call_later(left, self._keepalive_timeout)
        else:
            super()._keepalive_timeout()

    def connection_lost(self, exc: Exception | None) -> None:
        """Forgets the connection; a request that is answered the short way gives up its place."""
        self.worker.protocols.discard(self)
        self._forget()
        turn, self._turn, self._held = self._turn, None, b""
        if turn is not None:
            turn.leave(self.worker.front)
        super().connection_lost(exc)

    def close_if_idle(self) -> None:
        """Closes a connection that waits for its next request, as its keep-alive timer would.

        One that has just been opened gets a second for its first request, which is probably on its way.
        """
        if self._rest_timer is not None:
            self._give_up()  # begun: gunicorn answers it before the connection ends
            return
        fresh = self._answered == self._opened and self.req_count <= 1 and self.worker.loop.time() - self._opened < 1.0
        if self._awaiting_request and self._callback_parser is not None and self._turn is None and not fresh:
            super()._keepalive_timeout()

    def _will_close(self, request: Any, response_requires_close: bool) -> bool:
        # While draining, every answer says "Connection: close", so that clients move on by themselves.
        return bool(self.worker.front.draining or super()._will_close(request, response_requires_close))

    def _send_error_response(self, status: int, message: str, extra_headers: Any = ()) -> None:
        # The parser's message may quote the request: a fixed sentence instead, and JSON.
        code = "BAD_REQUEST" if status < 500 else "NOT_IMPLEMENTED"
        texts = {414: "The request line is too long.", 431: "The request headers are too large or too many."}
        body = {"error_code": code, "message": texts.get(status, "The request is not valid HTTP.")}
        payload = json.dumps(body).encode()
        head = (
            f"HTTP/1.1 {status} {self._get_reason_phrase(status)}\r\n"
            f"Content-Type: application/json\r\nContent-Length: {len(payload)}\r\nConnection: close\r\n\r\n"
        )
        self._safe_write(head.encode("latin-1") + payload)


class Turn:
    """A request on the short way: where its answer goes."""

    __slots__ = ("_answered", "_connection", "call", "identity", "size")

    def __init__(self, connection: FrontProtocol, identity: bytes) -> None:
        self._connection = connection
        self._answered = False
        self.identity = identity
        self.size = 0
        """Bytes of its body, unpacked, which count against the pod's memory."""
        self.call: Call | None = None

    def done(self) -> bool:
        """Whether the answer has come."""
        return self._answered

    def set_result(self, answer: Answer) -> None:
        """Takes the answer."""
        self._answered = True
        self._connection.answered(self, answer)

    def leave(self, front: Front) -> None:
        """The caller is gone: no answer is wanted any more."""
        self._answered = True
        if self.call is not None:
            front.dispatcher.abandon(self.call)
        front.let_go(self.size)


class Application:
    """A request on the short way to the application, which answers it as any other."""

    __slots__ = ("_connection", "_plain", "_read", "_task")

    def __init__(self, connection: FrontProtocol, plain: express.Plain) -> None:
        self._connection, self._plain = connection, plain
        self._read = False
        self._task = connection.worker.loop.create_task(self._run())

    def leave(self, front: Front) -> None:
        """The caller is gone: no answer is wanted any more."""
        del front
        self._task.cancel()

    async def _run(self) -> None:
        plain, whole = self._plain, False
        identity = ((express.REQUEST_ID, plain.identity),) if plain.identity else ()
        scope = {
            "type": "http",
            "http_version": "1.1",
            "method": "POST",
            "path": plain.path,
            "headers": (*plain.fields, *identity, (b"content-length", b"%d" % len(plain.body))),
            "server": None,
        }
        try:
            await self._connection.app(scope, self._receive, self._connection.send)
            whole = True
        except Exception:
            log.exception("an answer was broken off")
        finally:
            self._connection.finished(whole=whole)

    async def _receive(self) -> dict[str, Any]:
        if self._read:
            await asyncio.get_running_loop().create_future()  # the caller's leaving cancels the task
        self._read = True
        return {"type": "http.request", "body": self._plain.body, "more_body": False}
