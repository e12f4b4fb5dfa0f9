"""Connections of the load client: prepared bytes out, statuses in, HTTP/1.1 or gRPC, with TLS or without.

One loop over epoll does nothing else, as the client has the cores of what it measures.
"""

import select
import socket
import ssl
import struct
from collections.abc import Iterator, Sequence
from typing import Final

_READ_BYTES: Final = 65536
_LATER: Final = (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError)
"""The kernel or the cipher has nothing, or no room, now."""
_HEADERS, _DATA, _SETTINGS, _PING, _GOAWAY, _RESET, _WINDOW = 1, 0, 4, 6, 7, 3, 8
_END_STREAM, _END_HEADERS, _ACK = 1, 4, 1
_MOST: Final = (1 << 31) - 1 - 65535
"""Added to what the server may send on a connection at first; no run sends so much."""
_PREFACE: Final = (
    b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
    + struct.pack("!I", 6)[1:] + bytes((_SETTINGS, 0)) + bytes(4) + struct.pack("!HI", 1, 0)
    + struct.pack("!I", 4)[1:] + bytes((_WINDOW, 0)) + bytes(4) + struct.pack("!I", _MOST)
)  # fmt: skip
"""Its setting: the server keeps no table of headers, so that each answer can be read by itself."""
_WELL: Final = (b"\x0bgrpc-status\x010", b"\x88\x9a\xca\xc8\xb2\x124\xda\x8f\x010")
"""The trailer `grpc-status: 0`, its name as it is or in Huffman's code (RFC 7541, 5.2), as Envoy writes it."""


class Connection:
    """One keep-alive connection of HTTP/1.1 with at most one request on its way."""

    __slots__ = ("_answer", "_unsent", "closed", "connections", "number", "since", "socket", "uses")

    protocol = "http/1.1"

    def __init__(self, connections: "Connections") -> None:
        self.connections = connections
        self.socket = socket.create_connection(connections.address, timeout=20)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if connections.tls is not None:
            self.socket = connections.tls.wrap_socket(self.socket, server_hostname=connections.address[0])
        self.socket.setblocking(False)
        self.closed = False
        self.since = 0.0
        """When its request was sent, or was due."""
        self.number = -1
        """Of the request on its way."""
        self.uses = 0
        """Requests sent on it."""
        self._answer = b""
        self._unsent = b""

    def send(self, parts: Sequence[bytes]) -> None:
        """Writes a request's parts one by one; what the kernel has no room for follows when it has."""
        self.uses += 1
        for at, part in enumerate(parts):
            if not self._write(part):
                self._unsent += b"".join(parts[at + 1 :])
                break

    def _write(self, data: bytes) -> bool:
        try:
            sent = self.socket.send(data)
        except _LATER:
            sent = 0
        except OSError:
            return True  # the answer that does not come tells
        if sent == len(data):
            return True
        self._unsent = data[sent:]
        self.connections.epoll.modify(self.socket, select.EPOLLIN | select.EPOLLOUT)
        return False

    def send_rest(self) -> None:
        """Sends what did not fit."""
        rest, self._unsent = self._unsent, b""
        if self._write(rest):
            self.connections.epoll.modify(self.socket, select.EPOLLIN)

    def receive(self) -> int | None:
        """The status of a whole answer, 0 when the connection closed instead; None until there is either."""
        try:
            data = self.socket.recv(_READ_BYTES)
        except _LATER:
            return None
        except OSError:
            data = b""
        status = self._whole(self._answer + data if self._answer else data) if data else 0
        if status == 0:
            self.close()
        return status

    def _whole(self, data: bytes) -> int | None:
        end = data.find(b"\r\n\r\n")
        if end >= 0:
            head = data[:end].lower()
            at = head.find(b"\r\ncontent-length:")
            if at >= 0:
                whole = len(data) >= end + 4 + int(head[at + 17 :].split(b"\r", 1)[0])
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


class RpcConnection(Connection):
    """One connection of HTTP/2 with at most one call of gRPC on its way: a caller's own library costs more CPU than the
    server that is measured. A part of a request is a call's frames, between which the stream's number stands."""

    __slots__ = ("_stream",)

    protocol = "h2"

    def __init__(self, connections: "Connections") -> None:
        super().__init__(connections)
        self._stream = -1
        self._write(_PREFACE)

    def send(self, parts: Sequence[bytes]) -> None:
        """Sends a call on a stream of its own, whole."""
        self.uses += 1
        self._stream += 2
        self._write(struct.pack("!I", self._stream).join(parts))

    def _whole(self, data: bytes) -> int | None:
        """200 for a call that ended well, 500 for another that ended; 0 where the server ends the connection."""
        at, told, status = 0, b"", None
        while len(data) - at >= 9:
            size = int.from_bytes(data[at : at + 3], "big")
            if len(data) - at < 9 + size:
                break
            kind, flags = data[at + 3], data[at + 4]
            if kind == _HEADERS and flags & _END_STREAM:
                status = 200 if any(well in data[at + 9 : at + 9 + size] for well in _WELL) else 500
            elif kind == _SETTINGS and not flags & _ACK:
                told += b"\0\0\0" + bytes((_SETTINGS, _ACK)) + bytes(4)
            elif kind == _PING and not flags & _ACK:
                told += b"\0\0\x08" + bytes((_PING, _ACK)) + bytes(4) + data[at + 9 : at + 17]
            elif kind in (_RESET, _GOAWAY):
                status = 0
            at += 9 + size
        self._answer = data[at:]
        if told and not self.closed:
            self._write(told)
        return status


def call(host: str, path: str, message: bytes, headers: Sequence[tuple[str, str]], *, secure: bool) -> list[bytes]:
    """A call of gRPC as parts between which the stream's number stands."""

    def frame(kind: int, flags: int, payload: bytes) -> tuple[bytes, bytes]:
        return struct.pack("!I", len(payload))[1:] + bytes((kind, flags)), payload

    scheme = "https" if secure else "http"
    told = [(":method", "POST"), (":scheme", scheme), (":path", path), (":authority", host), ("te", "trailers")]
    block = b"".join(_literal(name, value) for name, value in (*told, ("content-type", "application/grpc"), *headers))
    head = frame(_HEADERS, _END_HEADERS, block)
    data = frame(_DATA, _END_STREAM, b"\0" + struct.pack("!I", len(message)) + message)
    return [head[0], head[1] + data[0], data[1]]


def _literal(name: str, value: str) -> bytes:
    """A header that no table remembers (RFC 7541, 6.2.2)."""
    return b"\x00" + _text(name.lower().encode()) + _text(value.encode())


def _text(text: bytes) -> bytes:
    """A string of HPACK: its length in 7 bits and then by 7 bits a byte, and itself without Huffman's code."""
    if len(text) < 127:
        return bytes((len(text),)) + text
    more, size = [], len(text) - 127
    while size >= 128:
        more.append(size % 128 + 128)
        size //= 128
    return bytes((127, *more, size)) + text


class Connections:
    """All connections to one server, and who has something to say."""

    def __init__(
        self, host: str, port: int, *, ca_file: str | None = None, kind: type[Connection] = Connection
    ) -> None:
        """`ca_file`: the authority that a server with TLS is held to; None: no TLS."""
        self.address = (host, port)
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

    def answered(self, most_seconds: float) -> Iterator[tuple[Connection, int]]:
        """Connections whose answer came meanwhile, with its status; waits at most so long for a first one."""
        for descriptor, events in self.epoll.poll(max(0.0, most_seconds), 256):
            connection = self.by_descriptor.get(descriptor)
            if connection is None:
                continue
            if events & select.EPOLLOUT:
                connection.send_rest()
            if events & ~select.EPOLLOUT:
                status = connection.receive()
                if status is not None:
                    yield connection, status
