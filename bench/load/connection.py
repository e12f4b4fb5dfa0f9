"""Connections of the load client: prepared bytes out, statuses in, with TLS or without.

One loop over epoll does nothing else: the server shares the cores, so that every microsecond here is one that it does
not have.
"""

import select
import socket
import ssl
import struct
from collections.abc import Iterator, Sequence
from typing import Final

LOST: Final = 0
"""Status of a request whose connection ended before its answer."""
OPENING_SECONDS: Final = 20
"""A connection that is not open by then has failed."""
_READ_BYTES: Final = 65536
_LATER: Final = (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError)
"""The kernel or the cipher has nothing, or no room, now."""


class Connection:
    """One keep-alive connection of HTTP/1.1 with at most one request on its way."""

    __slots__ = ("_answer", "_unsent", "closed", "connections", "due", "left", "socket", "uses")

    protocol = "http/1.1"

    def __init__(self, connections: "Connections") -> None:
        self.connections = connections
        self.socket = socket.socket()
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, struct.pack("ll", OPENING_SECONDS, 0))
        self.socket.connect(connections.address)
        if connections.tls is not None:
            self.socket.settimeout(OPENING_SECONDS)
            self.socket = connections.tls.wrap_socket(self.socket, server_hostname=connections.host)
        self.socket.setblocking(False)
        self.closed = False
        self.due = self.left = 0.0
        """When its request should have been sent, and when it was."""
        self.uses = 0
        """Requests sent on it."""
        self._answer = b""
        """What has come of an answer that is not whole."""
        self._unsent = b""

    def ask(self, due: float, now: float) -> None:
        """Sends the request once more, or its first part if the others leave apart."""
        connections = self.connections
        self.due, self.left = due, now
        self.uses += 1
        self._write(connections.first)
        if connections.rest:
            connections.following.append(self)
            if not connections.apart:
                connections.follow()

    def follow(self) -> None:
        """Sends the other parts, each by itself."""
        for part in self.connections.rest:
            if self._unsent:
                self._unsent += part
            else:
                self._write(part)

    def _write(self, data: bytes) -> None:
        """Writes at once; what the kernel has no room for follows when it has."""
        try:
            sent = self.socket.send(data)
        except _LATER:
            sent = 0
        except OSError:
            return  # the answer that does not come tells
        if sent < len(data):
            self._unsent = data[sent:]
            self.connections.epoll.modify(self.socket, select.EPOLLIN | select.EPOLLOUT)

    def send_unsent(self) -> None:
        """Sends what did not fit."""
        unsent, self._unsent = self._unsent, b""
        self._write(unsent)
        if not self._unsent:
            self.connections.epoll.modify(self.socket, select.EPOLLIN)

    def receive(self) -> int | None:
        """The status of a whole answer, LOST when the connection ended instead; None until there is either."""
        try:
            data = self.socket.recv(_READ_BYTES)
        except _LATER:
            return None
        except OSError:
            data = b""
        status = self._whole(self._answer + data if self._answer else data) if data else LOST
        if status == LOST:
            self.close()
        return status

    def _whole(self, data: bytes) -> int | None:
        """The status of the answer that `data` ends; None, and `data` is kept, while more has to come."""
        end = data.find(b"\r\n\r\n")
        if end >= 0:
            at = data.find(b"\r\ncontent-length:", 0, end)
            if at < 0:
                at = data[:end].lower().find(b"\r\ncontent-length:")
            if at >= 0:
                whole = len(data) >= end + 4 + int(data[at + 17 : data.find(b"\r", at + 17)])
            else:
                whole = data.endswith(b"0\r\n\r\n")
            if whole:
                self._answer = b""
                return int(data[9:12])
        self._answer = data
        return None

    def close(self) -> None:
        """Ends it; epoll forgets it by itself."""
        if not self.closed:
            self.closed = True
            del self.connections.by_descriptor[self.socket.fileno()]
            self.socket.close()


class Connections:
    """All connections to one server, what they ask, and who has something to say."""

    def __init__(
        self,
        host: str,
        port: int,
        parts: Sequence[bytes],
        *,
        apart: bool = False,
        ca_file: str | None = None,
        kind: type[Connection] = Connection,
    ) -> None:
        """`ca_file`: the authority that a server with TLS is held to; None: no TLS."""
        self.host = host
        self.address = (socket.gethostbyname(host), port)
        self.parts = parts
        """What a client writes, piece by piece."""
        self.first, self.rest = parts[0], parts[1:]
        self.apart = apart
        """Whether the rest leaves when all other connections have been seen to, so that a server which is quick enough
        reads the first part alone."""
        self.following: list[Connection] = []
        self.tls: ssl.SSLContext | None = None
        if ca_file is not None:
            self.tls = ssl.create_default_context(cafile=ca_file)
            self.tls.set_alpn_protocols([kind.protocol])
        self.epoll = select.epoll()
        self.by_descriptor: dict[int, Connection] = {}
        self._kind = kind

    def open(self) -> Connection:
        """One more connection, its handshake done."""
        connection = self._kind(self)
        descriptor = connection.socket.fileno()
        self.by_descriptor[descriptor] = connection
        self.epoll.register(descriptor, select.EPOLLIN)
        return connection

    def follow(self) -> None:
        """Sends the rest of all requests that are begun."""
        for connection in self.following:
            connection.follow()
        self.following.clear()

    def answered(self, most_seconds: float) -> Iterator[tuple[Connection, int]]:
        """Connections whose answer came meanwhile, with its status; waits at most so long for a first one."""
        if self.following:
            self.follow()
        for descriptor, events in self.epoll.poll(most_seconds, 256):
            connection = self.by_descriptor.get(descriptor)
            if connection is None:
                continue
            if events & select.EPOLLOUT:
                connection.send_unsent()
            if events & ~select.EPOLLOUT:
                status = connection.receive()
                if status is not None:
                    yield connection, status
