"""A closed loop of one of the forms in `bench.bodies`: `python -m bench.runtime.form_load`, as `bench.runtime.load`.

What a client writes apart is written apart: the rest of a request leaves when all other connections have been seen to,
so that a server which is quick enough reads its head alone. gRPC is HTTP/2 frames prepared in advance: a caller's own
library costs more CPU than the server that is measured, and shares its cores. Here a call is two frames that differ
from the last one's in the stream's number, and an answer ends where its trailers do.
"""

import base64
import json
import struct
import sys
import time
from typing import Any, Final

from bench.runtime.load import LAST_ANSWERS_SECONDS, Connection, Connections, Tally, told

_DATA, _HEADERS, _RST_STREAM, _SETTINGS, _PING, _GOAWAY = 0, 1, 3, 4, 6, 7
_END_STREAM, _ACK, _END_HEADERS = 1, 1, 4
_WINDOW: Final = (1 << 31) - 1 - 65535
"""Added to what the server may send on a connection at first; no run sends so much."""
_NO_TABLE: Final = struct.pack("!HI", 1, 0)
"""The server may not refer to headers that it sent before: each answer can be read by itself."""
_PREFACE: Final = (
    b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
    + struct.pack("!I", 6)[1:] + bytes((_SETTINGS, 0)) + bytes(4) + _NO_TABLE
    + struct.pack("!I", 4)[1:] + bytes((8, 0)) + bytes(4) + struct.pack("!I", _WINDOW)
)  # fmt: skip
_OK: Final = b"grpc-status\x010"


class WrittenConnection(Connection):
    """One connection of HTTP/1.1 whose requests are written in one piece or in several."""

    __slots__ = ()

    def begin(self, parts: list[bytes], since: float) -> bool:
        """Sends a request's first part; whether others follow."""
        self.send(parts[0], since)
        return len(parts) > 1

    def follow(self, parts: list[bytes]) -> None:
        """Sends the others, each by itself."""
        for part in parts[1:]:
            if not self.closed:
                self.send(part, self.since)


def _frame(kind: int, flags: int, payload: bytes) -> tuple[bytes, bytes]:
    """A frame's bytes before and after its stream's number."""
    return struct.pack("!I", len(payload))[1:] + bytes((kind, flags)), payload


def _literal(name: str, value: str) -> bytes:
    """A header that no table remembers."""
    return b"\x00" + bytes((len(name),)) + name.encode() + bytes((len(value),)) + value.encode()


def frames(host: str, path: str, message: bytes) -> list[bytes]:
    """A call as parts between which the stream's number stands."""
    headers = [(":method", "POST"), (":scheme", "http"), (":path", path), (":authority", host), ("te", "trailers")]
    headers.append(("content-type", "application/grpc"))
    head = _frame(_HEADERS, _END_HEADERS, b"".join(_literal(*header) for header in headers))
    data = _frame(_DATA, _END_STREAM, b"\0" + struct.pack("!I", len(message)) + message)
    return [head[0], head[1] + data[0], data[1]]


class RpcConnection(WrittenConnection):
    """One connection with at most one call on its way."""

    __slots__ = ("_stream",)

    def __init__(self, connections: "Connections[Any]") -> None:
        super().__init__(connections)
        self._stream = -1
        self.socket.setblocking(True)
        self.socket.sendall(_PREFACE)
        self.socket.setblocking(False)

    def begin(self, parts: list[bytes], since: float) -> bool:
        """Sends a call on a stream of its own, whole."""
        self._stream += 2
        self.send(struct.pack("!I", self._stream).join(parts), since)
        return False

    def whole(self, data: bytes) -> int | None:
        """200 for a call that ended well, 500 for another that ended; 0 where the server ends the connection."""
        at, told, status = 0, b"", None
        while len(data) - at >= 9:
            size = int.from_bytes(data[at : at + 3], "big")
            if len(data) - at < 9 + size:
                break
            kind, flags = data[at + 3], data[at + 4]
            if kind == _HEADERS and flags & _END_STREAM:
                status = 200 if _OK in data[at + 9 : at + 9 + size] else 500
            elif kind == _SETTINGS and not flags & _ACK:
                told += b"\0\0\0" + bytes((_SETTINGS, _ACK)) + bytes(4)
            elif kind == _PING and not flags & _ACK:
                told += b"\0\0\x08" + bytes((_PING, _ACK)) + bytes(4) + data[at + 9 : at + 17]
            elif kind in (_RST_STREAM, _GOAWAY):
                status = 0
            at += 9 + size
        self.rest = data[at:]
        if told:
            self.socket.send(told)
        return status


def closed_loop(job: dict[str, Any]) -> Tally:
    """Each connection sends its next request when it has its answer."""
    host, port = job["host"], job["port"]
    message = job.get("message")
    if message is None:
        parts = [base64.b64decode(part) for part in job["writes"]]
    else:
        parts = frames(f"{host}:{port}", job["path"], base64.b64decode(message))
    connections = Connections(host, port, WrittenConnection if message is None else RpcConnection)
    opened = [connections.open() for _ in range(job["connections"])]
    tally = Tally()
    begin = time.perf_counter() + job["warm_up_seconds"]
    stop = begin + job["seconds"]
    following = [connection for connection in opened if connection.begin(parts, time.perf_counter())]
    while connections.by_descriptor and time.perf_counter() < stop + LAST_ANSWERS_SECONDS:
        for connection in following:
            connection.follow(parts)
        following.clear()
        for connection, status in connections.answered(1.0):
            now = time.perf_counter()
            if connection.since >= begin:
                if status:
                    tally.add(status, now - connection.since)
                else:
                    tally.broken += 1
            if now >= stop:
                if not connection.closed:
                    connection.close()
                continue
            asking = connections.open() if connection.closed else connection
            if asking.begin(parts, now):
                following.append(asking)
    tally.broken += len(connections.by_descriptor)
    return tally


if __name__ == "__main__":
    given = json.load(sys.stdin)
    print(json.dumps(told(given, lambda: closed_loop(given))))
