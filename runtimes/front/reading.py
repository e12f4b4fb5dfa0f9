"""Reads the body of a request from its caller, within the limit."""

from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from headrace.runtimes.front import media
from headrace.runtimes.front.answers import Answer

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]


class Disconnected(Exception):
    """The client went away before its body was complete."""


async def read_body(scope: Scope, receive: Receive) -> bytes | Answer:
    """The whole request body, or 413 as soon as it is known to be too large."""
    length = media.header(scope["headers"], b"content-length")
    if length is not None and length.isdigit() and int(length) > media.BODY_LIMIT:
        return media.too_large()
    parts: list[bytes] = []
    size = 0
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise Disconnected
        parts.append(message.get("body", b""))
        size += len(parts[-1])
        if size > media.BODY_LIMIT:
            return media.too_large()
        if not message.get("more_body", False):
            return parts[0] if len(parts) == 1 else b"".join(parts)
