"""Recognises the plainest request for a prediction, whole in one read, and writes its answer: no parser, no task.

gunicorn's way costs some 90 µs a request (its parser in Python, two tasks, a coroutine and two messages), more than all
else that is done for it; see docs/decisions/0305. Only what can be nothing else is taken: the exact request line, names
and values of the plainest characters, no name twice, none that changes how a request is framed or understood, and the
body complete by Content-Length with nothing behind it. Everything else, every refusal of HTTP included, is gunicorn's.

A caller sends the same head again and again but for its request id, so that what a head says is remembered without it.
"""

import functools
import random
import re
from typing import Final, NamedTuple

from headrace.contract import names
from headrace.runtimes.front import media
from headrace.runtimes.front.answers import Answer

_VERSION: Final = b" HTTP/1.1\r\n"
INVOCATIONS: Final = b"POST /invocations" + _VERSION
"""The request line of MLflow's protocol."""
OPENAI: Final = tuple(
    b"POST " + path + _VERSION
    for path in (b"/v1/chat/completions", b"/v1/completions", b"/v1/embeddings", b"/v1/responses")
)
"""Those of OpenAI's."""
_LONGEST_HEAD: Final = 4096
_HEAD: Final = re.compile(rb"(?:[A-Za-z][A-Za-z0-9-]{0,63}: ?[!-~](?:[ -~]*[!-~])?\r\n){3,60}\Z")
_OTHERS_BUSINESS: Final = frozenset(
    (
        b"connection",
        b"content-encoding",
        b"expect",
        b"http2-settings",
        b"keep-alive",
        b"proxy-connection",
        b"te",
        b"trailer",
        b"transfer-encoding",
        b"upgrade",
    )
)
"""Headers that change how a request is framed, understood or answered; `Connection: keep-alive` changes nothing."""
_TYPES: Final = {
    b"application/json": media.JSON,
    b"application/json; charset=utf-8": media.JSON,
    b"text/csv": media.CSV,
}
REQUEST_ID: Final = names.REQUEST_ID_HEADER.encode()
_IDENTITY: Final = re.compile(rb"[!-~]{1,128}")


class Plain(NamedTuple):
    """A request for a prediction, of the plainest kind."""

    content_type: str
    identity: bytes
    """The caller's request id; empty when it gave none that is usable."""
    body: bytes
    path: str
    fields: tuple[tuple[bytes, bytes], ...]
    """Its headers as ASGI has them, the request id aside."""


class _Head(NamedTuple):
    """What a head says, its request id aside."""

    content_type: str
    length: int
    fields: tuple[tuple[bytes, bytes], ...]


_ID_LINE: Final = b"\r\n%s: " % REQUEST_ID
_MOST_KNOWN: Final = 256
"""Heads remembered, of at most _LONGEST_HEAD bytes each."""
_known: dict[bytes, _Head] = {}


def recognise(data: bytes, request_lines: tuple[bytes, ...] = (INVOCATIONS,)) -> Plain | None:
    """The request, when `data` is exactly one of the plainest kind; None for gunicorn to look at it."""
    if not data.startswith(request_lines):
        return None
    first = data.find(b"\r")
    end = data.find(b"\r\n\r\n", first, _LONGEST_HEAD)
    if end < 0:
        return None
    lines = whole = data[first:end]
    identity = b""
    at = whole.find(_ID_LINE)
    if at >= 0:
        last = whole.find(b"\r", at + 2)
        last = len(whole) if last < 0 else last
        identity = whole[at + len(_ID_LINE) : last]
        if _IDENTITY.fullmatch(identity):
            lines = whole[:at] + whole[last:]
    head = _known.get(lines)
    if head is None:
        read = _read(whole[2:] + b"\r\n")
        if read is None:
            return None
        head, identity, other_id = read
        if lines is not whole or not other_id:
            # Remembered lines hold no id themselves, so that with the one that was cut out there is never a second.
            if len(_known) >= _MOST_KNOWN:
                _known.clear()
            _known[lines] = head
    if head.length != len(data) - end - 4:
        return None
    path = data[5 : first + 2 - len(_VERSION)].decode()
    return Plain(head.content_type, identity, data[end + 4 :], path, head.fields)


def _read(head: bytes) -> tuple[_Head, bytes, bool] | None:
    """A head's lines, each ended: what they say, the request id that is usable, and whether there is any id."""
    if _HEAD.match(head) is None:
        return None
    lines = head[:-2].split(b"\r\n")
    fields = {}
    for line in lines:
        name, _, value = line.partition(b":")
        fields[name.lower()] = value.lstrip()
    if len(fields) != len(lines) or b"host" not in fields:
        return None
    if fields.pop(b"connection", b"keep-alive").lower() != b"keep-alive":
        return None
    if not _OTHERS_BUSINESS.isdisjoint(fields):
        return None
    length = fields.get(b"content-length", b"")
    if not length.isdigit() or len(length) > 8:
        return None
    content_type = _TYPES.get(fields.get(b"content-type", b""))
    if content_type is None:
        return None
    identity = fields.pop(REQUEST_ID, None)
    usable = identity if identity is not None and _IDENTITY.fullmatch(identity) else b""
    return _Head(content_type, int(length), tuple(fields.items())), usable, identity is not None


def written(
    status_line: bytes, answer: Answer, identity: bytes, common: tuple[tuple[bytes, bytes], ...], tail: bytes
) -> bytes:
    """The bytes of an answer: what the long way sends, in the same order. `tail`: headers of the server, each ended."""
    # A new id must be unique, not hard to guess.
    identity = identity or b"%032x" % random.getrandbits(128)
    before, after = _around(status_line, answer.headers, len(answer.body), common, tail)
    return b"".join((before, identity, after, answer.body))


@functools.lru_cache(maxsize=64)  # alike for a second, until the date changes
def _around(
    status_line: bytes,
    headers: tuple[tuple[bytes, bytes], ...],
    length: int,
    common: tuple[tuple[bytes, bytes], ...],
    tail: bytes,
) -> tuple[bytes, bytes]:
    """What comes before and after the request id in the head of an answer."""
    own = b"".join([b"%s: %s\r\n" % pair for pair in headers])
    shared = b"".join([b"%s: %s\r\n" % pair for pair in common])
    before = b"%s%scontent-length: %d\r\n%s: " % (status_line, own, length, REQUEST_ID)
    return before, b"\r\n%s%s\r\n" % (shared, tail)
