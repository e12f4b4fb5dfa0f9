"""A caller's connection: HTTP/1.1 read by llhttp, requests answered in the order in which they came.

llhttp (httptools) decides what is HTTP, strictly: bare line feeds, a Content-Length beside chunks or twice, folded
lines and blanks before colons are refused, so that no proxy in front can see other requests in the same bytes.
"""

# mypy: disable-error-code="import-untyped"
# httptools carries no types.

import asyncio
import functools
import logging
from collections import deque
from collections.abc import Callable
from typing import Any, Protocol, cast
from urllib.parse import unquote

import httptools

from headrace.runtimes.http import limits
from headrace.runtimes.http.exchange import Exchange, Shell
from headrace.runtimes.protocols import errors
from headrace.runtimes.protocols.answers import Answer, Headers
from headrace.runtimes.protocols.errors import Dialect, Failure
from headrace.runtimes.protocols.request_body import BODY_LIMIT, TOO_LARGE, UNKNOWN_LENGTH

log = logging.getLogger("headrace.front")


@functools.lru_cache(maxsize=256)  # callers send the same few again and again
def _path_of(url: bytes) -> tuple[str, bytes]:
    """Decoded path and raw query."""
    path, _, query = url.partition(b"?")
    text = path.decode("latin-1")
    return unquote(text) if "%" in text else text, query


class Server(Shell, Protocol):
    """What a connection needs of the server around it."""

    memory_refusal: Callable[[], Failure]
    """Counts and words the refusal of a body for which the pod's memory has no room."""
    connections: "set[Connection]"
    now: int
    """Seconds that the server has run, whole ones."""


class Connection(asyncio.Protocol):
    """A connection, and the parser that calls its `on_` methods from within `feed_data`."""

    def __init__(
        self,
        server: Server,
        handle: Callable[[Exchange, Failure | None], None],
        *,
        allowed: Callable[[str], str | None] = lambda path: None,
    ) -> None:
        """`handle` answers an exchange, now or later; `allowed` tells the methods that a path answers."""
        self._server, self._handle, self._allowed = server, handle, allowed
        self._transport: asyncio.Transport
        self._parser: Any = httptools.HttpRequestParser(self)
        self._url = b""
        self._headers: list[tuple[bytes, bytes]] = []
        self._head_bytes = 0
        """Of the head that is being read, from earlier reads; 0 between requests and while a body is read."""
        self._reading: Exchange | None = None
        """The exchange whose body is being read."""
        self._body: list[bytes] = []
        self._body_bytes = self._counted_bytes = self._rest_bytes = 0
        """Of the body so far; of it, counted against the pod's memory; read since its head, chunk sizes included."""
        self._refused: Failure | None = None
        """Why the request that is being read is not handled; its body is thrown away."""
        self._fault: Failure | None = None
        """Why the parser stopped."""
        self._complete: deque[tuple[Exchange, Failure | None]] = deque()
        """Requests that have come whole and wait for their turn."""
        self._current: Exchange | None = None
        """The exchange that is being answered."""
        self._ahead: list[bytes] = []
        self._ahead_bytes = 0
        self._given_bytes = 0
        """Bytes that the parser was given last."""
        self._advancing = self._ending = self._paused = False
        self._writable: asyncio.Future[None] | None = None
        """Waited for while the caller does not read its answers."""
        self._opened = self._heard = server.now
        self._used = False
        """Whether a request has come."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """A caller has connected."""
        self._transport = cast(asyncio.Transport, transport)  # uvloop's does not derive from asyncio's
        self._server.connections.add(self)

    def data_received(self, data: bytes) -> None:
        """Reads what has come, or keeps it while a request is being answered."""
        self._heard = self._server.now
        if self._ending:
            return
        waits = self._current is not None or self._writable is not None
        if not (waits or self._ahead or self._complete) and len(data) <= limits.SLICE:
            self._parse(data)
            self._advance()
            return
        self._ahead.append(data)
        self._ahead_bytes += len(data)
        if not waits:
            self._advance()
        if self._ahead_bytes > limits.MOST_AHEAD_BYTES and not (self._paused or self._ending):
            self._paused = True
            self._transport.pause_reading()

    def _parse(self, data: bytes) -> None:
        """Gives bytes to the parser; requests that are whole by then are in `_complete`."""
        self._given_bytes = len(data)
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade:
            self._ahead.clear()  # the request is answered as any other, and the connection ends
        except httptools.HttpParserInvalidMethodError:
            self._stop(self._unknown_method(data))
        except httptools.HttpParserError:
            self._stop(self._fault or limits.NOT_HTTP)
        else:
            if self._reading is not None:
                self._rest_bytes += len(data)
                framing = self._rest_bytes - self._body_bytes
                if framing > limits.LONGEST_HEAD + limits.MOST_FRAMING * min(
                    self._body_bytes, limits.MOST_FRAMED_BYTES
                ):
                    self._stop(TOO_LARGE)
            elif self._head_bytes:
                self._head_bytes += len(data)
                if self._head_bytes > limits.LONGEST_HEAD:
                    self._stop(limits.LARGE_HEAD)

    def _unknown_method(self, data: bytes) -> Failure:
        """What to answer to a method that is none of HTTP's: other methods where the path answers some."""
        begun = self._head_bytes > 1 or bool(self._complete)  # else `data` begins with the request's first line
        found = None if begun else limits.REQUEST_LINE.match(data)
        allow = self._allowed(found[1].partition(b"?")[0].decode("latin-1")) if found is not None else None
        return limits.NOT_HTTP if allow is None else errors.wrong_method(allow)

    def _stop(self, fault: Failure) -> None:
        """No more can be read. Whole requests before are answered first, and the fault is the last answer."""
        self._fault = fault
        self._ahead.clear()
        exchange, self._reading = self._reading, None
        if exchange is not None:
            exchange.keep_alive = False
            self._complete.append((exchange, fault))

    def on_message_begin(self) -> None:
        """The parser has seen the first byte of a request."""
        self._used = True
        self._head_bytes = 1

    def on_url(self, url: bytes) -> None:
        """The parser has read the URL, or some of it."""
        self._url += url

    def on_header(self, name: bytes, value: bytes) -> None:
        """The parser has read a header, or a trailer, which means nothing here."""
        if self._reading is None:
            self._headers.append((name.lower(), value))

    def on_headers_complete(self) -> None:
        """The parser has read a head: decides whether the body is wanted."""
        url, headers, server, parser = self._url, tuple(self._headers), self._server, self._parser
        if len(headers) > limits.MOST_FIELDS or self._head_bytes + self._given_bytes > limits.LONGEST_FIELD:
            self._check_lengths(url, headers)
        self._url, self._headers, self._head_bytes = b"", [], 0
        fields = dict(headers)
        if len(fields) != len(headers):
            fields = dict(reversed(headers))
            if sum(name == b"host" for name, _ in headers) > 1:
                self._refuse_to_read(limits.TWO_HOSTS)
        version = parser.get_http_version()
        if version not in ("1.1", "1.0"):
            self._refuse_to_read(limits.NOT_HTTP)
        path, query = _path_of(url)
        exchange = Exchange(
            server, self, method=parser.get_method().decode(), path=path, query=query, headers=headers, fields=fields,
            version_1_0=version == "1.0",
        )  # fmt: skip
        self._reading = exchange
        if b"host" not in fields and version == "1.1":
            self._refused = limits.NO_HOST
        length = fields.get(b"content-length")
        expected = 0
        if length is not None:
            expected = int(length)
            if expected > BODY_LIMIT:
                self._refuse_to_read(TOO_LARGE)
        elif b"transfer-encoding" in fields:
            expected = UNKNOWN_LENGTH
            if fields[b"transfer-encoding"].lower() != b"chunked":
                self._refuse_to_read(limits.UNKNOWN_CODING)
        if expected:
            if parser.should_upgrade():
                self._refuse_to_read(limits.NO_UPGRADE)
            self._count(exchange, expected)
            if b"expect" in fields and fields[b"expect"].lower() == b"100-continue" and version == "1.1":
                if self._refused is not None:
                    self._refuse_to_read(self._refused)
                if not self._complete:  # else it would come before answers to others; callers stop waiting for it
                    self._transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")

    def _check_lengths(self, url: bytes, headers: Headers) -> None:
        """Refuses a head with a field that is too long, or with too many."""
        if len(url) > limits.LONGEST_FIELD:
            self._refuse_to_read(limits.LONG_URL)
        if len(headers) > limits.MOST_FIELDS or any(
            len(name) + len(value) > limits.LONGEST_FIELD for name, value in headers
        ):
            self._refuse_to_read(limits.LARGE_HEAD)

    def _refuse_to_read(self, failure: Failure) -> None:
        """Stops the parser: it is not certain where the request ends, or its body is not worth reading."""
        self._fault = failure
        raise ValueError(failure.message)

    def _count(self, exchange: Exchange, size: int) -> None:
        """Counts so many bytes against the pod's memory, or has the request refused."""
        if self._refused is None and not exchange.takes_memory(size):
            self._refused = self._server.memory_refusal()
            if size > limits.MOST_DISCARDED_BYTES:
                self._refuse_to_read(self._refused)
        else:
            self._counted_bytes += size

    def on_body(self, body: bytes) -> None:
        """The parser has read some of the body."""
        exchange = self._reading
        if exchange is None:
            return
        self._body_bytes += len(body)
        if self._body_bytes > BODY_LIMIT:
            self._refuse_to_read(TOO_LARGE)
        if self._body_bytes > self._counted_bytes:
            self._count(exchange, UNKNOWN_LENGTH)
        if self._refused is None:
            self._body.append(body)

    def on_message_complete(self) -> None:
        """The parser has read the end of a request."""
        exchange, parts = self._reading, self._body
        if exchange is None:
            return
        if parts:
            exchange.body = parts[0] if len(parts) == 1 else b"".join(parts)
            self._body = []
        if not self._parser.should_keep_alive():
            exchange.keep_alive = False
        if self._parser.should_upgrade():
            exchange.keep_alive = False
            if exchange.fields.get(b"upgrade", b"").lower() == b"websocket":
                self._refused = limits.NO_WEBSOCKETS
        self._complete.append((exchange, self._refused))
        self._reading = self._refused = None
        self._body_bytes = self._counted_bytes = self._rest_bytes = 0

    def _advance(self) -> None:
        """Has whole requests answered, one after the other, and reads on when none is left."""
        if self._advancing:
            return
        self._advancing = True
        complete = self._complete
        while self._current is None and not self._ending and self._writable is None:
            if complete:
                exchange, refused = complete.popleft()
                self._current = exchange
                self._handle(exchange, refused)
            elif self._fault is not None:
                self._say_fault(self._fault)
            elif self._ahead:
                self._parse_ahead()
            else:
                break
        self._advancing = False
        if self._paused and self._ahead_bytes <= limits.MOST_AHEAD_BYTES and not self._ending:
            self._paused = False
            self._transport.resume_reading()

    def _parse_ahead(self) -> None:
        data = self._ahead[0] if len(self._ahead) == 1 else b"".join(self._ahead)
        self._ahead, self._ahead_bytes = [], 0
        if len(data) > limits.SLICE:
            self._ahead, self._ahead_bytes = [data[limits.SLICE :]], len(data) - limits.SLICE
        self._parse(data[: limits.SLICE])

    def _say_fault(self, fault: Failure) -> None:
        """Answers what is no request, in JSON and without quoting it."""
        answer: Answer = errors.worded(fault, Dialect.MLFLOW)
        head = [b"HTTP/1.1 %d Refused\r\n" % answer.status, self._server.date_line]
        head += [b"%s: %s\r\n" % field for field in answer.headers]
        head += [b"content-length: %d\r\nconnection: close\r\n\r\n" % len(answer.body)]
        self._transport.write(b"".join(head) + answer.body)
        self._linger()

    def write(self, data: bytes) -> None:
        """Sends bytes of an answer."""
        self._transport.write(data)

    async def drained(self) -> None:
        """Returns when the caller has read most of what was written."""
        if self._writable is not None:
            await self._writable

    def answered(self, *, closes: bool) -> None:
        """The present answer is written: the next request is seen to."""
        self._current = None
        self._heard = self._server.now
        if not closes:
            self._advance()
        elif self._fault is not None or self._ahead:
            self._linger()
        else:
            self._ending = True
            self._transport.close()

    def peer(self) -> tuple[Any, ...] | None:
        """The caller's socket address; None where it is not known."""
        found: tuple[Any, ...] | None = self._transport.get_extra_info("peername")
        return found

    def abort(self) -> None:
        """Breaks an answer off: its caller must not take it for a whole one."""
        self._ending = True
        self._transport.abort()

    def _linger(self) -> None:
        """Ends the connection once the caller has had time to read the answer."""
        self._ending = True
        if self._paused:
            self._paused = False
            self._transport.resume_reading()
        if self._transport.can_write_eof():
            self._transport.write_eof()
        asyncio.get_running_loop().call_later(limits.LINGER_SECONDS, self._transport.close)

    def pause_writing(self) -> None:
        """The caller does not read: no further request of it is answered, and streams wait."""
        self._writable = asyncio.get_running_loop().create_future()

    def resume_writing(self) -> None:
        """The caller reads again."""
        if self._writable is not None and not self._writable.done():
            self._writable.set_result(None)
        self._writable = None
        self._advance()

    def connection_lost(self, exc: Exception | None) -> None:
        """The caller is gone: its exchange gives up its place."""
        self._ending = True
        self._server.connections.discard(self)
        if self._writable is not None and not self._writable.done():
            self._writable.cancel()
        for exchange in (self._current, self._reading, *(waiting for waiting, _ in self._complete)):
            if exchange is not None:
                exchange.left()
        self._current = self._reading = None
        self._complete.clear()
        self._ahead.clear()

    @property
    def idle(self) -> bool:
        """Whether no request of it is being read or answered."""
        begun = self._current or self._reading or self._complete or self._head_bytes or self._ahead or self._ending
        return not begun

    def sweep(self) -> None:
        """Ends the connection after too long a silence; to be called every second."""
        if self._current is not None or self._ending or self._server.now - self._heard < limits.IDLE_SECONDS:
            return
        if self.idle:
            self._ending = True
            self._transport.close()
        else:
            self._stop(limits.UNFINISHED)
            self._advance()

    def close_if_idle(self) -> None:
        """Ends a connection that waits for its next request, which then goes elsewhere."""
        fresh = not self._used and self._server.now - self._opened <= limits.FRESH_SECONDS
        if self.idle and not fresh:
            self._ending = True
            self._transport.close()
