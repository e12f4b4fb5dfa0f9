"""HTTP/1.1 to an engine on the loopback: requests with whole bodies, answers in pieces, connections kept.

The front's environment holds no HTTP client on purpose (every package in it is in every image), and an engine on the
loopback needs neither TLS, proxies, cookies nor redirects; answers are read by the parser that reads callers' requests.
A piece of a stream costs one waking of whoever reads it, as thousands of them come in a second: no task, no timer and
no other event for each.
"""

# mypy: disable-error-code="import-untyped"
# httptools carries no types.

import asyncio
import select
from collections import deque
from collections.abc import AsyncIterator, Iterable
from typing import Any, Final, cast

import httptools

_MOST_UNREAD_BYTES: Final = 256 * 1024
"""What is received before it is read."""
_LONGEST_HEAD: Final = 256 * 1024

Headers = Iterable[tuple[bytes, bytes]]


class EngineLost(Exception):
    """The engine closed the connection, or none can be made, before the answer was complete."""


class _Connection(asyncio.Protocol):
    """A connection to the engine, for one request at a time."""

    def __init__(self) -> None:
        self._parser: Any = httptools.HttpResponseParser(self)
        self._transport: asyncio.Transport
        self._reader: asyncio.Future[None] | None = None
        self._paused = False
        self.lost = False
        self.used = False
        """Whether anything has come that nobody asked for, or the present answer has begun."""
        self._begin()

    def _begin(self) -> None:
        self.status = 0
        """Of the present answer; 0 until its head has come."""
        self.headers: list[tuple[bytes, bytes]] = []
        self.pieces: deque[bytes] = deque()
        """What came of its body and is not read yet: chunks whole, so that no event is torn."""
        self.whole = False
        """Whether all of it has come."""
        self._unread = self._head_bytes = 0
        self._chunk: list[bytes] = []
        self._chunked = self._bounded = False

    def is_fresh(self) -> bool:
        """Whether the engine has neither closed the connection nor sent what nobody asked for; asks the kernel, which
        may know what no event has told yet."""
        if self.lost or self.used:
            return False
        waiting = select.poll()
        waiting.register(self._transport.get_extra_info("socket").fileno(), select.POLLIN)
        return not waiting.poll(0)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """The connection stands."""
        self._transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        """Some more of the answer."""
        self.used = True
        if self.status == 0:
            self._head_bytes += len(data)
        try:
            if self.whole:
                raise httptools.HttpParserError("bytes behind the answer")
            self._parser.feed_data(data)
            if self.status == 0 and self._head_bytes > _LONGEST_HEAD:
                raise httptools.HttpParserError("the head is too long")
        except (httptools.HttpParserError, httptools.HttpParserUpgrade):
            self.lost = True
            self._transport.close()
        if self._reader is not None:
            self._wake()
        elif self._unread > _MOST_UNREAD_BYTES and not self._paused:
            self._paused = True
            self._transport.pause_reading()

    def connection_lost(self, exc: Exception | None) -> None:
        """No more will come. A body that has no length ends so."""
        if self.status >= 200 and not self._bounded and exc is None:
            self.whole = True
        self.lost = True
        self._wake()

    def on_header(self, name: bytes, value: bytes) -> None:
        """The parser has read a header, or a trailer, which nobody asks for."""
        if self.status < 200:
            self.headers.append((name.lower(), value))

    def on_headers_complete(self) -> None:
        """The parser has read a head, of an answer or of a mere "100 Continue"."""
        status = self._parser.get_status_code()
        if status < 200:
            self.headers.clear()
            return
        names = {name for name, _ in self.headers}
        self._chunked = b"transfer-encoding" in names
        self._bounded = self._chunked or b"content-length" in names or status in (204, 304)
        self.status = status

    def on_body(self, body: bytes) -> None:
        """The parser has read some of the body."""
        self._unread += len(body)
        (self._chunk if self._chunked else self.pieces).append(body)

    def on_chunk_complete(self) -> None:
        """The parser has read the end of a chunk."""
        if self._chunk:
            self.pieces.append(self._chunk[0] if len(self._chunk) == 1 else b"".join(self._chunk))
            self._chunk.clear()

    def on_message_complete(self) -> None:
        """The parser has read the end of an answer."""
        self.whole = self.status >= 200

    def send(self, message: bytes) -> None:
        """Begins a request."""
        self._begin()
        self.used = False
        self._transport.write(message)

    async def more(self) -> None:
        """Returns when something has come since the last piece was taken, or the connection ended."""
        if self._paused:
            self._paused = False
            self._transport.resume_reading()
        self._reader = asyncio.get_running_loop().create_future()
        try:
            await self._reader
        finally:
            self._reader = None

    def taken(self) -> bytes:
        """The next piece."""
        piece = self.pieces.popleft()
        self._unread -= len(piece)
        return piece

    def close(self) -> None:
        """Ends the connection, which stops the engine's work."""
        self._transport.close()

    def _wake(self) -> None:
        if self._reader is not None and not self._reader.done():
            self._reader.set_result(None)


class Response:
    """An answer whose body is still to be read. To be closed, which cancels what the engine still does for it."""

    def __init__(self, client: "Client", connection: _Connection) -> None:
        self._client, self._connection = client, connection
        self.status = connection.status
        self.headers = tuple(connection.headers)

    def header(self, name: bytes) -> bytes | None:
        """The first header of that (lower-case) name."""
        return next((value for key, value in self.headers if key == name), None)

    async def pieces(self) -> AsyncIterator[bytes]:
        """The body as it comes; EngineLost when it ends before it is complete."""
        connection = self._connection
        while True:
            while connection.pieces:
                yield connection.taken()
            if connection.whole:
                return
            if connection.lost:
                raise EngineLost
            await connection.more()

    async def body(self) -> bytes:
        """All of the body."""
        return b"".join([piece async for piece in self.pieces()])

    def break_off(self) -> None:
        """Whoever reads the answer gets EngineLost after what has come."""
        self._connection.close()

    def close(self) -> None:
        """Keeps the connection when all was read, else cuts it."""
        connection = self._connection
        kept = connection.whole and not connection.lost and not connection.pieces
        if kept and (self.header(b"connection") or b"").lower() != b"close":
            self._client.keep(connection)
        else:
            connection.close()


class Client:
    """Connections to one engine."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._idle: deque[_Connection] = deque()

    async def request(
        self, method: str, path: str, *, headers: Headers = (), body: bytes = b"", seconds: float | None = None
    ) -> Response:
        """Sends a request, once, and reads the head of its answer, within `seconds` (TimeoutError), else EngineLost.

        An engine that takes a request and dies may have begun with it, so no request is sent again. A kept connection
        that the engine has closed in the meantime is found out before.
        """
        lines = [f"{method} {path} HTTP/1.1".encode(), b"host: 127.0.0.1", b"content-length: %d" % len(body)]
        lines += [key + b": " + value for key, value in headers]
        message = b"\r\n".join(lines) + b"\r\n\r\n" + body
        async with asyncio.timeout(seconds):
            while self._idle:
                connection = self._idle.pop()
                if connection.is_fresh():
                    return await self._exchange(connection, message)
                connection.close()
            loop = asyncio.get_running_loop()
            try:
                _, connection = await loop.create_connection(_Connection, "127.0.0.1", self._port)
            except OSError as error:
                raise EngineLost from error
            return await self._exchange(connection, message)

    async def _exchange(self, connection: _Connection, message: bytes) -> Response:
        try:
            connection.send(message)
            while connection.status == 0:
                if connection.lost:
                    raise EngineLost
                await connection.more()
            return Response(self, connection)
        except BaseException:  # lost, cancelled or timed out: the engine is to stop
            connection.close()
            raise

    def keep(self, connection: _Connection) -> None:
        """Takes a connection back: as many as requests ran at once, until the engine closes them."""
        while self._idle and self._idle[0].lost:
            self._idle.popleft()
        connection.used = False
        self._idle.append(connection)

    def close(self) -> None:
        """Closes what is kept."""
        while self._idle:
            self._idle.pop().close()
