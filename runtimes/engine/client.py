"""HTTP/1.1 to an engine on the loopback: requests with whole bodies, answers in pieces, connections kept.

The front's environment holds no HTTP client on purpose (every package in it is in every image), and an engine on the
loopback needs neither TLS, proxies, cookies nor redirects.
"""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Iterable

MOST_IDLE = 64
"""Connections kept for the next request."""
_LONGEST_LINE = 256 * 1024

Headers = Iterable[tuple[bytes, bytes]]


class EngineLost(Exception):
    """The engine closed the connection, or none can be made, before the answer was complete."""


class Response:
    """An answer whose body is still to be read. To be closed, which cancels what the engine still does for it."""

    def __init__(
        self,
        client: "Client",
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        *,
        status: int,
        head: Headers,
    ) -> None:
        self._client, self._reader, self._writer = client, reader, writer
        self.status = status
        self.headers = tuple(head)
        self._whole = False
        self.handed_on = False
        """Whether somebody else closes it."""

    def header(self, name: bytes) -> bytes | None:
        """The first header of that (lower-case) name."""
        return next((value for key, value in self.headers if key == name), None)

    async def pieces(self) -> AsyncIterator[bytes]:
        """The body as it comes; EngineLost when it ends before it is complete."""
        length = self.header(b"content-length")
        try:
            if self.status in (204, 304):
                pass
            elif b"chunked" in (self.header(b"transfer-encoding") or b"").lower():
                async for piece in self._chunks():
                    yield piece
            elif length is not None:
                left = int(length)
                while left:
                    piece = await self._reader.read(min(left, 65536))
                    if not piece:
                        raise EngineLost
                    left -= len(piece)
                    yield piece
            else:  # until the engine closes
                while piece := await self._reader.read(65536):
                    yield piece
                return
        except (OSError, ValueError, asyncio.IncompleteReadError, asyncio.LimitOverrunError) as error:
            raise EngineLost from error
        self._whole = True

    async def _chunks(self) -> AsyncIterator[bytes]:
        while True:
            size = int((await self._reader.readuntil(b"\r\n")).split(b";")[0], 16)
            if size == 0:
                while await self._reader.readuntil(b"\r\n") != b"\r\n":  # trailers
                    pass
                return
            piece = await self._reader.readexactly(size + 2)
            yield piece[:-2]

    async def body(self) -> bytes:
        """All of the body."""
        return b"".join([piece async for piece in self.pieces()])

    def close(self) -> None:
        """Keeps the connection when all was read, else cuts it."""
        if self._whole and (self.header(b"connection") or b"").lower() != b"close":
            self._client.keep(self._reader, self._writer)
        else:
            self._writer.close()


class Client:
    """Connections to one engine."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._idle: deque[tuple[asyncio.StreamReader, asyncio.StreamWriter]] = deque()

    async def request(
        self, method: str, path: str, *, headers: Headers = (), body: bytes = b"", seconds: float | None = None
    ) -> Response:
        """Sends a request and reads the head of its answer, within `seconds` (TimeoutError), else EngineLost.

        A kept connection may have been closed by the engine in the meantime: then, and only then, it is sent again.
        """
        lines = [f"{method} {path} HTTP/1.1".encode(), b"host: 127.0.0.1", f"content-length: {len(body)}".encode()]
        lines += [key + b": " + value for key, value in headers]
        message = b"\r\n".join(lines) + b"\r\n\r\n" + body
        async with asyncio.timeout(seconds):
            while self._idle:
                reader, writer = self._idle.pop()
                if reader.at_eof() or writer.is_closing():
                    writer.close()
                    continue
                try:
                    return await self._exchange(reader, writer, message)
                except EngineLost as error:
                    if not isinstance(error.__cause__, asyncio.IncompleteReadError | OSError):
                        raise
                    partial = getattr(error.__cause__, "partial", b"")
                    if partial:
                        raise
            try:
                reader, writer = await asyncio.open_connection("127.0.0.1", self._port, limit=_LONGEST_LINE)
            except OSError as error:
                raise EngineLost from error
            return await self._exchange(reader, writer, message)

    async def _exchange(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, message: bytes) -> Response:
        try:
            writer.write(message)
            await writer.drain()
            while True:
                first, *rest = (await reader.readuntil(b"\r\n\r\n")).split(b"\r\n")
                status = int(first.split(b" ", 2)[1])
                if status >= 200:
                    break
            pairs = [line.partition(b":") for line in rest if line]
            head = [(name.strip().lower(), value.strip()) for name, _, value in pairs]
            return Response(self, reader, writer, status=status, head=head)
        except (OSError, ValueError, IndexError, asyncio.IncompleteReadError, asyncio.LimitOverrunError) as error:
            writer.close()
            raise EngineLost from error
        except BaseException:  # cancelled or timed out: the engine is to stop
            writer.close()
            raise

    def keep(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Takes a connection back."""
        if len(self._idle) < MOST_IDLE:
            self._idle.append((reader, writer))
        else:
            writer.close()

    def close(self) -> None:
        """Closes what is kept."""
        while self._idle:
            self._idle.pop()[1].close()
