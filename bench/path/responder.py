"""A pod that costs next to nothing, so that what is measured is the way to it: `python -m bench.path.responder PORT`.

Answers every request with the same bytes. One process and no thread besides; it reads no more than a length.
"""

import asyncio
import sys
from typing import Final, cast

import uvloop

_BODY: Final = b'{"predictions": [0]}'
_ANSWER: Final = (
    b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n" % len(_BODY)
) + _BODY


class Responder(asyncio.Protocol):
    """One connection, kept, with one request at a time on it."""

    def __init__(self) -> None:
        self._transport: asyncio.WriteTransport
        self._pending = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.WriteTransport", transport)  # uvloop's is no subclass

    def data_received(self, data: bytes) -> None:
        self._pending += data
        end = self._pending.find(b"\r\n\r\n")
        if end < 0:
            return
        head = self._pending[:end].lower()
        at = head.find(b"content-length:")
        length = int(head[at + 15 : head.find(b"\r", at) if head.find(b"\r", at) > 0 else end]) if at >= 0 else 0
        if len(self._pending) >= end + 4 + length:
            self._pending = b""
            self._transport.write(_ANSWER)


async def serve(port: int) -> None:
    """Until the process is ended."""
    server = await asyncio.get_running_loop().create_server(Responder, "127.0.0.1", port, backlog=512)
    print("ready", flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    uvloop.run(serve(int(sys.argv[1])))
