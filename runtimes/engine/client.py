"""HTTP/1.1 to an engine on the loopback: requests with whole bodies, answers in pieces, connections kept.

The front's environment holds no HTTP client on purpose (every package in it is in every image), and an engine on the
loopback needs neither TLS, proxies, cookies nor redirects. A piece of a stream costs one waking of whoever reads it, as
thousands of them come in a second: no task, no timer and no other event for each.
"""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Iterable, Sequence
from typing import cast

_MOST_UNREAD_BYTES = 256 * 1024
"""What is received before it is read, and the longest head."""

Headers = Iterable[tuple[bytes, bytes]]


class EngineLost(Exception):
    """The engine closed the connection, or none can be made, before the answer was complete."""


class _Connection(asyncio.Protocol):
    """Bytes to and from the engine, of one request at a time."""

    def __init__(self) -> None:
        self.received = bytearray()
        """What came and is not read yet."""
        self.heard = False
        """Whether the engine has begun to answer the present request."""
        self.lost = False
        self._transport: asyncio.Transport
        self._paused = False
        self._reader: asyncio.Future[None] | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """The connection stands."""
        self._transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        """Some more of the answer."""
        self.heard = True
        self.received += data
        if self._reader is not None:
            self._wake()
        elif len(self.received) > _MOST_UNREAD_BYTES and not self._paused:
            self._paused = True
            self._transport.pause_reading()

    def connection_lost(self, exc: Exception | None) -> None:
        """No more will come."""
        self.lost = True
        self._wake()

    def send(self, message: bytes) -> None:
        """Begins a request."""
        self.heard = False
        self._transport.write(message)

    async def more(self) -> None:
        """Returns when more was received; EngineLost when no more will be."""
        if self.lost:
            raise EngineLost
        if self._paused:
            self._paused = False
            self._transport.resume_reading()
        before = len(self.received)
        self._reader = asyncio.get_running_loop().create_future()
        try:
            await self._reader
        finally:
            self._reader = None
        if len(self.received) == before:
            raise EngineLost

    async def until(self, ending: bytes) -> int:
        """Where `ending` is in what was received; ValueError when it is too far off."""
        while (at := self.received.find(ending)) < 0:
            if len(self.received) > _MOST_UNREAD_BYTES:
                raise ValueError
            await self.more()
        return at

    def taken(self, length: int) -> bytes:
        """The next bytes of what was received."""
        piece = bytes(self.received[:length])
        del self.received[:length]
        return piece

    def close(self) -> None:
        """Ends the connection, which stops the engine's work."""
        self._transport.close()

    def _wake(self) -> None:
        if self._reader is not None and not self._reader.done():
            self._reader.set_result(None)


class Response:
    """An answer whose body is still to be read. To be closed, which cancels what the engine still does for it."""

    def __init__(
        self, client: "Client", connection: _Connection, status: int, headers: Sequence[tuple[bytes, bytes]]
    ) -> None:
        self._client, self._connection = client, connection
        self.status = status
        self.headers = headers
        self._whole = False

    def header(self, name: bytes) -> bytes | None:
        """The first header of that (lower-case) name."""
        return next((value for key, value in self.headers if key == name), None)

    async def pieces(self) -> AsyncIterator[bytes]:
        """The body as it comes; EngineLost when it ends before it is complete."""
        connection, length = self._connection, self.header(b"content-length")
        try:
            if self.status in (204, 304):
                pass
            elif b"chunked" in (self.header(b"transfer-encoding") or b"").lower():
                async for piece in self._chunks():
                    yield piece
            elif length is not None:
                left = int(length)
                while left:
                    if not connection.received:
                        await connection.more()
                    piece = connection.taken(left)
                    left -= len(piece)
                    yield piece
            else:  # until the engine closes
                while connection.received or not connection.lost:
                    if connection.received:
                        yield connection.taken(len(connection.received))
                        continue
                    try:
                        await connection.more()
                    except EngineLost:
                        return
                return
        except ValueError as error:
            raise EngineLost from error
        self._whole = True

    async def _chunks(self) -> AsyncIterator[bytes]:
        """Each chunk whole: a stream that breaks off has no half event before its ending."""
        connection = self._connection
        while True:
            line = await connection.until(b"\r\n")
            size = int(connection.received[:line].split(b";")[0], 16)
            if size < 0:
                raise ValueError
            del connection.received[: line + 2]
            if size == 0:
                while await connection.until(b"\r\n"):  # trailers
                    del connection.received[: await connection.until(b"\r\n") + 2]
                del connection.received[:2]
                return
            while len(connection.received) < size + 2:
                await connection.more()
            piece = connection.taken(size)
            del connection.received[:2]
            yield piece

    async def body(self) -> bytes:
        """All of the body."""
        return b"".join([piece async for piece in self.pieces()])

    def break_off(self) -> None:
        """Whoever reads the answer gets EngineLost after what has come."""
        self._connection.close()

    def close(self) -> None:
        """Keeps the connection when all was read, else cuts it."""
        if self._whole and (self.header(b"connection") or b"").lower() != b"close":
            self._client.keep(self._connection)
        else:
            self._connection.close()


class Client:
    """Connections to one engine."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._idle: deque[_Connection] = deque()

    async def request(
        self, method: str, path: str, *, headers: Headers = (), body: bytes = b"", seconds: float | None = None
    ) -> Response:
        """Sends a request and reads the head of its answer, within `seconds` (TimeoutError), else EngineLost.

        A kept connection may have been closed by the engine in the meantime: then, and only then, it is sent again.
        """
        lines = [f"{method} {path} HTTP/1.1".encode(), b"host: 127.0.0.1", b"content-length: %d" % len(body)]
        lines += [key + b": " + value for key, value in headers]
        message = b"\r\n".join(lines) + b"\r\n\r\n" + body
        async with asyncio.timeout(seconds):
            while self._idle:
                connection = self._idle.pop()
                if connection.lost or connection.received:
                    connection.close()
                    continue
                try:
                    return await self._exchange(connection, message)
                except EngineLost:
                    if connection.heard:
                        raise
            loop = asyncio.get_running_loop()
            try:
                _, connection = await loop.create_connection(_Connection, "127.0.0.1", self._port)
            except OSError as error:
                raise EngineLost from error
            return await self._exchange(connection, message)

    async def _exchange(self, connection: _Connection, message: bytes) -> Response:
        try:
            connection.send(message)
            status = 0
            while status < 200:
                end = await connection.until(b"\r\n\r\n")
                first, *rest = connection.taken(end + 4).split(b"\r\n")
                status = int(first.split(b" ", 2)[1])
            pairs = [line.partition(b":") for line in rest if line]
            return Response(
                self, connection, status, [(name.strip().lower(), value.strip()) for name, _, value in pairs]
            )
        except (ValueError, IndexError) as error:
            connection.close()
            raise EngineLost from error
        except BaseException:  # lost, cancelled or timed out: the engine is to stop
            connection.close()
            raise

    def keep(self, connection: _Connection) -> None:
        """Takes a connection back: as many as requests ran at once, until the engine closes them."""
        while self._idle and self._idle[0].lost:
            self._idle.popleft()
        self._idle.append(connection)

    def close(self) -> None:
        """Closes what is kept."""
        while self._idle:
            self._idle.pop().close()
