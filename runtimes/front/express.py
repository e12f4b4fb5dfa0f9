"""Recognises the plainest requests for a prediction and writes their answers: no parser, no task.

gunicorn's way costs some 90 µs a request (its parser in Python, two tasks, a coroutine and two messages), more than all
else that is done for it; see docs/decisions/0305. Only what can be nothing else is taken: the exact request line, names
and values of the plainest characters, no name twice, none that changes how a request is understood but the two that say
how its body is framed or packed, and nothing behind that body. What has not come whole is looked at again later.
Everything else, every refusal of HTTP included, is gunicorn's.

A caller sends the same head again and again but for its request id and its length, so that what a head says is
remembered without them.
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
        b"expect",
        b"http2-settings",
        b"keep-alive",
        b"proxy-connection",
        b"te",
        b"trailer",
        b"upgrade",
    )
)
"""Headers that change how a request is framed, understood or answered; `Connection: keep-alive` changes nothing."""
REQUEST_ID: Final = names.REQUEST_ID_HEADER.encode()
_PLAIN_PATH: Final = re.compile(r"[A-Za-z0-9._/~-]+")
_IDENTITY: Final = re.compile(rb"[!-~]{1,128}")


OPEN_INFERENCE: Final = b"POST /v2/"
"""How request lines of the Open Inference Protocol begin, whose bodies need no type."""


def inference_lines(model: str, version: str) -> tuple[bytes, ...]:
    """The request lines of inference in that protocol; none for a name that a path would have to encode."""
    paths = [f"/v2/models/{model}/infer", *([f"/v2/models/{model}/versions/{version}/infer"] if version else [])]
    return tuple(b"POST " + path.encode() + _VERSION for path in paths if _PLAIN_PATH.fullmatch(path))


class Plain(NamedTuple):
    """A request for a prediction, of the plainest kind."""

    content_type: str
    """Empty where the path asks for none and none is known."""
    identity: bytes
    """The caller's request id; empty when it gave none that is usable."""
    body: bytes
    """As it was sent, but for chunks."""
    path: str
    fields: tuple[tuple[bytes, bytes], ...]
    """Its headers as ASGI has them, but for request id, length and chunks."""
    packed: bool = False
    """Whether its headers say that the body is packed (`Content-Encoding`)."""


class Begun(NamedTuple):
    """The beginning of one."""

    wanted: int
    """Bytes of all of it; 0 where its end will say so."""


class _Head(NamedTuple):
    """What a head says, its request id aside."""

    content_type: str
    length: int
    """Of the body; _LENGTH_APART or _CHUNKED."""
    packed: bool
    fields: tuple[tuple[bytes, bytes], ...]


_LENGTH_APART, _CHUNKED = -1, -2
_ID_LINE: Final = b"\r\n%s: " % REQUEST_ID
_LENGTH_LINES: Final = (b"\r\ncontent-length: ", b"\r\nContent-Length: ")
_ENCODINGS: Final = frozenset((b"gzip", b"x-gzip", b"deflate", b"identity"))
_MOST_KNOWN: Final = 256
"""Heads remembered, of at most _LONGEST_HEAD bytes each."""
_known: dict[bytes, _Head] = {}
_MOST_CHUNKS: Final = 64
_CHUNK_SIZE: Final = re.compile(rb"[0-9A-Fa-f]{1,8}")


def recognise(data: bytes, request_lines: tuple[bytes, ...] = (INVOCATIONS,)) -> Plain | Begun | None:
    """The request, when `data` is exactly one of the plainest kind or begins one; None for gunicorn to look at it."""
    if not data.startswith(request_lines):
        return None
    first = data.find(b"\r")
    end = data.find(b"\r\n\r\n", first, _LONGEST_HEAD)
    if end < 0:
        return None
    whole = data[first:end]
    lines, identity = _without(whole, _ID_LINE)
    if identity is None:
        identity = b""
    elif not _IDENTITY.fullmatch(identity):
        lines, identity = whole, b""
    lines, length = _without(lines, *_LENGTH_LINES)
    if length is not None and not (length.isdigit() and len(length) <= 8):
        return None
    head = _known.get(lines)
    if head is None:
        read = _read(whole[2:] + b"\r\n", length_apart=length is not None)
        if read is None:
            return None
        head, identity, other_id = read
        if not other_id or (_ID_LINE in whole and _ID_LINE not in lines):
            # Remembered lines hold no id themselves, so that with the one that was cut out there is never a second.
            if len(_known) >= _MOST_KNOWN:
                _known.clear()
            _known[lines] = head
    if (head.length == _LENGTH_APART) != (length is not None):
        return None  # a length more, or less, than the remembered lines say of themselves
    if not head.content_type and not data.startswith(OPEN_INFERENCE):
        return None
    start = end + 4
    if head.length == _CHUNKED:
        body = _unchunked(data, start)
        if body is None or isinstance(body, Begun):
            return body
    else:
        wanted = start + (head.length if length is None else int(length))
        if len(data) != wanted:
            return Begun(wanted) if len(data) < wanted else None
        body = data[start:]
    path = data[5 : first + 2 - len(_VERSION)].decode()
    return Plain(head.content_type, identity, body, path, head.fields, head.packed)


def _without(lines: bytes, *names: bytes) -> tuple[bytes, bytes | None]:
    """A head's lines, each begun by its break, without the first that begins so, and that line's value."""
    for name in names:
        at = lines.find(name)
        if at >= 0:
            last = lines.find(b"\r", at + 2)
            last = len(lines) if last < 0 else last
            return lines[:at] + lines[last:], lines[at + len(name) : last]
    return lines, None


def _unchunked(data: bytes, at: int) -> bytes | Begun | None:
    """The body whose chunks begin there and end with `data`; no extension, no trailer."""
    parts: list[bytes] = []
    while len(parts) < _MOST_CHUNKS:
        end = data.find(b"\r\n", at, at + 10)
        if end < 0:
            return Begun(0) if len(data) - at < 10 else None
        if not _CHUNK_SIZE.fullmatch(data, at, end):
            return None
        size = int(data[at:end], 16)
        start, stop = end + 2, end + 2 + size
        ending = data[stop : stop + 2]
        if len(ending) < 2:
            return Begun(0) if b"\r\n".startswith(ending) else None
        if ending != b"\r\n":
            return None
        if size == 0:
            return b"".join(parts) if len(data) == stop + 2 else None
        parts.append(data[start:stop])
        at = stop + 2
    return None


def _read(head: bytes, *, length_apart: bool) -> tuple[_Head, bytes, bool] | None:
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
    if b"transfer-encoding" in fields:
        if fields.pop(b"transfer-encoding") != b"chunked" or b"content-length" in fields:
            return None
        size = _CHUNKED
    else:
        length = fields.get(b"content-length", b"")
        if not length.isdigit() or len(length) > 8:
            return None
        size = _LENGTH_APART if length_apart else int(length)
        del fields[b"content-length"]
    encoding = fields.get(b"content-encoding")
    if encoding is not None and encoding.lower() not in _ENCODINGS:
        return None
    known = media.content_type(fields.items())
    content_type = known if isinstance(known, str) else ""
    identity = fields.pop(REQUEST_ID, None)
    usable = identity if identity is not None and _IDENTITY.fullmatch(identity) else b""
    return _Head(content_type, size, encoding is not None, tuple(fields.items())), usable, identity is not None


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
