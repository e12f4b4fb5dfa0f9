"""An answer in pieces, on its way from a worker to whoever listens."""

import asyncio
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING, Protocol

from headrace.runtimes.front.answers import Answer

if TYPE_CHECKING:
    from headrace.runtimes.front.dispatch import Call


class Dispatcher(Protocol):
    """What a stream needs of the queue it came from."""

    def abandon(self, call: "Call") -> None:
        """Told that nobody listens any more."""


class Stream:
    """A streamed answer: its pieces, then how it ended."""

    def __init__(
        self, dispatcher: Dispatcher, call: "Call", first: bytes | None, answer: "asyncio.Future[Answer]"
    ) -> None:
        self._dispatcher = dispatcher
        self._call = call
        self._first = first
        self._answer = answer

    async def pieces(self) -> AsyncIterator[bytes]:
        """JSON documents in order; a listener that stops early is reported to the worker."""
        call, piece = self._call, self._first
        assert call.pieces is not None
        try:
            while piece is not None:
                yield piece
                piece = await call.pieces.get()
        except (asyncio.CancelledError, GeneratorExit):
            self._dispatcher.abandon(call)
            raise

    async def ending(self) -> Answer:
        """200, or what went wrong after the first piece."""
        return await self._answer
