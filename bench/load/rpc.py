"""Calls of gRPC on the load client's connections: HTTP/2 frames prepared in advance, and answers cut by their trailers.

A caller's own library costs more CPU than the server that is measured, and shares its cores.
"""

import struct
from collections.abc import Sequence
from typing import Final

from bench.load.connection import LOST, Connection, Connections

_DATA, _HEADERS, _RESET, _SETTINGS, _PING, _GOAWAY, _WINDOW = 0, 1, 3, 4, 6, 7, 8
_END_STREAM, _ACK, _END_HEADERS = 1, 1, 4
_MOST: Final = (1 << 31) - 1 - 65535
"""Added to what the server may send on a connection at first; no run sends so much."""
_PREFACE: Final = (
    b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
    + struct.pack("!I", 6)[1:] + bytes((_SETTINGS, 0)) + bytes(4) + struct.pack("!HI", 1, 0)
    + struct.pack("!I", 4)[1:] + bytes((_WINDOW, 0)) + bytes(4) + struct.pack("!I", _MOST)
)  # fmt: skip
"""Its setting: the server keeps no table of headers, so that each answer can be read by itself."""
_number: Final = struct.Struct("!I").pack
_WELL, _WELL_PACKED = b"\x0bgrpc-status\x010", b"\x88\x9a\xca\xc8\xb2\x124\xda\x8f\x010"
"""The trailer `grpc-status: 0`, its name as it is or in Huffman's code (RFC 7541, 5.2), as Envoy writes it."""


class RpcConnection(Connection):
    """One connection of HTTP/2 with at most one call on its way, whose parts are a call's frames, between which the
    stream's number stands."""

    __slots__ = ("_stream",)

    protocol = "h2"

    def __init__(self, connections: Connections) -> None:
        super().__init__(connections)
        self._stream = -1
        self._write(_PREFACE)

    def ask(self, due: float, now: float) -> None:
        """Sends the call on a stream of its own, whole."""
        self.due, self.left = due, now
        self.uses += 1
        self._stream += 2
        self._write(_number(self._stream).join(self.connections.parts))

    def _whole(self, data: bytes) -> int | None:
        """200 for a call that ended well, 500 for another that ended; LOST where the server ends the connection."""
        at, told, status = 0, b"", None
        while len(data) - at >= 9:
            size = int.from_bytes(data[at : at + 3], "big")
            if len(data) - at < 9 + size:
                break
            kind, flags = data[at + 3], data[at + 4]
            if kind == _HEADERS and flags & _END_STREAM:
                block = data[at + 9 : at + 9 + size]
                status = 200 if _WELL in block or _WELL_PACKED in block else 500
            elif kind == _SETTINGS and not flags & _ACK:
                told += b"\0\0\0" + bytes((_SETTINGS, _ACK)) + bytes(4)
            elif kind == _PING and not flags & _ACK:
                told += b"\0\0\x08" + bytes((_PING, _ACK)) + bytes(4) + data[at + 9 : at + 17]
            elif kind in (_RESET, _GOAWAY):
                status = LOST
            at += 9 + size
        self._answer = data[at:]
        if told:
            self._write(told)
        return status


def call(
    host: str, path: str, message: bytes, headers: Sequence[tuple[str, str]] = (), *, secure: bool = False
) -> list[bytes]:
    """A call as parts between which the stream's number stands."""

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
