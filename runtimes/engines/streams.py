"""Server-sent events on their way through the front: what the engine sends, and an ending that says how it ended."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import suppress

from headrace.runtimes.engines.client import EngineLost, Response
from headrace.runtimes.protocols.errors import Failure, Reason, openai_error

DONE = b"data: [DONE]"
_BROKEN_OFF = json.dumps(
    openai_error(Failure(Reason.INTERNAL, "The model's engine stopped before its answer was complete."))
).encode()


class Streams:
    """The streams that run."""

    def __init__(self) -> None:
        self._running: set[Response] = set()
        self._cut = False

    def cut(self) -> None:
        """Ends all of them, and those that still come, because the pod ends."""
        self._cut = True
        for response in self._running:
            response.break_off()

    async def relayed(self, response: Response, *, deadline: float) -> AsyncIterator[bytes]:
        """The engine's bytes. A stream that breaks off, is cut or takes too long gets an error as its last event.

        A clean end of the connection without [DONE] would look to clients like a complete answer. `deadline` is in the
        event loop's time.
        """
        tail = b""
        self._running.add(response)
        late = asyncio.get_running_loop().call_at(deadline, response.break_off)
        if self._cut:
            response.break_off()
        try:
            with suppress(EngineLost):
                async for piece in response.pieces():
                    tail = (tail + piece)[-64:]
                    yield piece
            if tail.rstrip().endswith(DONE):
                return
            yield (
                (b"" if tail.endswith((b"\n\n", b"\r\n\r\n")) or not tail else b"\n\n")
                + b"data: "
                + _BROKEN_OFF
                + b"\n\n"
            )
        finally:
            late.cancel()
            self._running.discard(response)
            response.close()
