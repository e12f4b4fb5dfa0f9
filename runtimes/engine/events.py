"""Server-sent events on their way through the front: what the engine sends, and an ending that says how it ended."""

import asyncio
from collections.abc import AsyncIterator

from headrace.runtimes.engine.client import EngineLost, Response

DONE = b"data: [DONE]"


async def relayed(response: Response, *, cut: asyncio.Event, deadline: float, error: bytes) -> AsyncIterator[bytes]:
    """The engine's bytes. A stream that breaks off, is cut or takes too long gets `error` as its last event.

    A clean end of the connection without [DONE] would look to clients like a complete answer. `deadline` is in the
    event loop's time.
    """
    tail = b""
    pieces = response.pieces()
    stop = asyncio.ensure_future(cut.wait())
    try:
        while True:
            following = asyncio.ensure_future(anext(pieces, b""))
            left = max(0.0, deadline - asyncio.get_running_loop().time())
            try:
                await asyncio.wait({following, stop}, timeout=left, return_when=asyncio.FIRST_COMPLETED)
            finally:
                if not following.done():
                    following.cancel()
            if following.cancelled() or not following.done():
                break  # cut, or late
            try:
                piece = following.result()
            except EngineLost:
                break
            if not piece:
                break
            tail = (tail + piece)[-64:]
            yield piece
        if tail.rstrip().endswith(DONE):
            return
        yield (b"" if tail.endswith((b"\n\n", b"\r\n\r\n")) or not tail else b"\n\n") + b"data: " + error + b"\n\n"
    finally:
        stop.cancel()
        response.close()
