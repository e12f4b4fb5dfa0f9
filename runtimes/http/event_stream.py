"""Server-sent events of a model of ours that answers in pieces, for MLflow's and OpenAI's callers."""

from collections.abc import AsyncIterator, Callable
from typing import Any

from headrace.contract.errors import PermanentError
from headrace.runtimes.calls import Stream
from headrace.runtimes.protocols import errors, result_json
from headrace.runtimes.protocols.answers import Events
from headrace.runtimes.protocols.errors import Dialect, Failure


def events(stream: Stream, dialect: Dialect, piece: Callable[[Any], Any] = lambda document: document) -> Events:
    """The answer to a caller of `dialect`; `piece` shapes each document."""
    return Events(_lines(stream, dialect, piece))


async def _lines(stream: Stream, dialect: Dialect, piece: Callable[[Any], Any]) -> AsyncIterator[bytes]:
    """Lines of `data:` only, ended by [DONE]: clients of MLflow fail on comments and on other fields.

    A failure after the first piece is a last line with the error, and no [DONE]: the stream never just stops.
    """
    async for document in stream.pieces():
        try:
            told = result_json.written(piece(result_json.read(document)))
        except PermanentError as error:
            yield b"data: " + errors.worded(errors.of_result(error), dialect).body + b"\n\n"
            return
        yield b"data: " + told + b"\n\n"
    ending = await stream.ending()
    if isinstance(ending, Failure):
        yield b"data: " + errors.worded(ending, dialect).body + b"\n\n"
    else:
        yield b"data: [DONE]\n\n"
