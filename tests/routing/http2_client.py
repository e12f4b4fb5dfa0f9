"""Http2Client: one request over HTTP/2, frame by frame, so that a test says when each piece is sent."""

import socket
import ssl
from typing import Any


def frame(kind: int, flags: int, stream: int, payload: bytes) -> bytes:
    return len(payload).to_bytes(3, "big") + bytes([kind, flags]) + stream.to_bytes(4, "big") + payload


def literal(name: str, value: str) -> bytes:
    """A header field without indexing, as HPACK writes it."""
    return b"\x00" + _text(name) + _text(value)


def _text(text: str) -> bytes:
    data, size = text.encode(), len(text)
    if size < 127:
        return bytes([size]) + data
    rest, prefix = size - 127, b"\x7f"
    while rest >= 128:
        prefix, rest = prefix + bytes([rest % 128 + 128]), rest // 128
    return prefix + bytes([rest]) + data


def connect(platform: Any) -> ssl.SSLSocket:
    """A connection that has said hello in HTTP/2 and nothing else."""
    context = ssl.create_default_context(cafile=str(platform.ca_file))
    context.set_alpn_protocols(["h2"])
    plain = socket.create_connection(("127.0.0.1", platform.options.pop_port), timeout=15)
    connection = context.wrap_socket(plain, server_hostname="localhost")
    assert connection.selected_alpn_protocol() == "h2"
    connection.sendall(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + frame(4, 0, 0, b""))
    return connection


class Http2Client:
    """A client that keeps to the windows it is given, and notes what it is answered."""

    STREAM = 1

    def __init__(self, platform: Any) -> None:
        self._socket = connect(platform)
        self._windows = {0: 65535, self.STREAM: 65535}
        self._initial = 65535
        self._data = b""
        self.status: int | None = None
        self.body = b""
        self.reset: int | None = None
        """The code of RST_STREAM, once it came."""
        self.ended = False

    def begin(
        self, path: str, *, method: str = "POST", token: str = "", length: int | None = None, grpc: str = ""
    ) -> None:
        """Sends the head; with `grpc`, of a call to the endpoint of this name."""
        fields = {":method": method, ":scheme": "https", ":authority": "localhost", ":path": path}
        fields |= {"content-type": "application/grpc" if grpc else "application/json"}
        fields |= {"headrace-endpoint": grpc} if grpc else {}
        fields |= {"authorization": f"Bearer {token}"} if token else {}
        fields |= {} if length is None else {"content-length": str(length)}
        block = b"".join(literal(name, value) for name, value in fields.items())
        self._socket.sendall(frame(1, 4, self.STREAM, block))

    def send(self, data: bytes, *, last: bool = False) -> None:
        """Sends all of it, in as many frames as the windows ask for; gives up where the stream has ended."""
        rest = memoryview(data)
        while rest and not self._over():
            size = min(len(rest), 16384, *self._windows.values())
            if size <= 0:
                self._read()
                continue
            end = last and size == len(rest)
            self._socket.sendall(frame(0, int(end), self.STREAM, bytes(rest[:size])))
            for window in self._windows:
                self._windows[window] -= size
            rest = rest[size:]

    def received(self) -> bool:
        """Whether an answer has begun. The proxy has seen what was sent before: it answers a PING in order."""
        self._socket.sendall(frame(6, 0, 0, b"in order"))
        self._pong = False
        while not self._pong and not self._over():
            self._read()
        return self.status is not None or self.reset is not None

    def until_ended(self) -> None:
        """Until the answer has ended, and what the proxy sent right after it was read."""
        while not self._over():
            self._read()
        if self.reset is None:
            self.received_after_end()

    def received_after_end(self) -> None:
        self._socket.sendall(frame(6, 0, 0, b"in order"))
        self._pong = False
        while not self._pong:
            self._read()

    def _over(self) -> bool:
        return self.ended or self.reset is not None

    def _read(self) -> None:
        while len(self._data) < 9 or len(self._data) < 9 + int.from_bytes(self._data[:3], "big"):
            chunk = self._socket.recv(65536)
            assert chunk, "the proxy closed the connection"
            self._data += chunk
        size = int.from_bytes(self._data[:3], "big")
        kind, flags = self._data[3], self._data[4]
        stream, payload = int.from_bytes(self._data[5:9], "big"), self._data[9 : 9 + size]
        self._data = self._data[9 + size :]
        self._handle(kind, flags, stream, payload)

    def _handle(self, kind: int, flags: int, stream: int, payload: bytes) -> None:
        if kind == 0:
            self.body += payload
        elif kind == 1:
            self.status = _status(payload)
        elif kind == 3:
            self.reset = int.from_bytes(payload, "big")
        elif kind == 4 and not flags & 1:
            for at in range(0, len(payload), 6):
                if payload[at : at + 2] == b"\x00\x04":
                    initial = int.from_bytes(payload[at + 2 : at + 6], "big")
                    self._windows[self.STREAM] += initial - self._initial
                    self._initial = initial
            self._socket.sendall(frame(4, 1, 0, b""))
        elif kind == 6 and flags & 1:
            self._pong = True
        elif kind == 8 and stream in self._windows:
            self._windows[stream] += int.from_bytes(payload, "big")
        if kind in (0, 1) and flags & 1:
            self.ended = True


def _status(block: bytes) -> int:
    """The status of an answer's first header field: by HPACK's static table, or in digits, maybe Huffman-coded."""
    known = {0x88: 200, 0x89: 204, 0x8A: 206, 0x8B: 304, 0x8C: 400, 0x8D: 404, 0x8E: 500}
    while block[0] & 0xE0 == 0x20:  # a change of the table's size
        block = block[1:]
    if block[0] in known:
        return known[block[0]]
    assert block[0] in (0x48, 0x08), block[:4].hex()
    size, huffman = block[1] & 0x7F, block[1] & 0x80
    data = block[2 : 2 + size]
    return int(_digits(data) if huffman else data)


def _digits(data: bytes) -> str:
    """Three digits in HPACK's Huffman code: 0 to 2 are five bits from 00000, 3 to 9 are six bits from 011001."""
    bits, found = "".join(f"{byte:08b}" for byte in data), ""
    while len(found) < 3:
        short = int(bits[:5], 2)
        length, digit = (5, short) if short < 3 else (6, int(bits[:6], 2) - 0b011001 + 3)
        found, bits = found + str(digit), bits[length:]
    return found
