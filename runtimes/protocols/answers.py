"""What leaves the pod for one request: a whole answer, or server-sent events. Pure."""

from collections.abc import AsyncIterator
from typing import Final, NamedTuple

JSON_HEADER: Final = (b"content-type", b"application/json")

Headers = tuple[tuple[bytes, bytes], ...]


class Answer(NamedTuple):
    """A complete HTTP answer, in the dialect of its caller."""

    status: int
    body: bytes
    headers: Headers = (JSON_HEADER,)
    trailers: Headers = ()
    """Fields after the body; an answer that has some is sent in chunks."""


class Events(NamedTuple):
    """An answer of server-sent events."""

    lines: AsyncIterator[bytes]
    """Pieces of the body, each whole events. Whoever stops reading closes the iterator, which stops the model."""
