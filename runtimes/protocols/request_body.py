"""What a request says its body is: content type and encoding, read as RFC 9110 has them, and the body's limits."""

import codecs
import functools
import re
import zlib
from typing import Any, Final

import orjson

from headrace.runtimes.protocols.errors import Failure, Reason

JSON = "application/json"
CSV = "text/csv"
PARQUET = "application/vnd.apache.parquet"
SUPPORTED = (CSV, JSON, PARQUET)

BODY_LIMIT = 16 * 1024 * 1024
"""Bytes of a request body, decompressed: what the reference platform takes."""
UNKNOWN_LENGTH = 1024 * 1024
"""What a body without Content-Length is taken for until it is read."""
DEPTH_LIMIT = 64
"""Levels of nesting in a JSON body; MLflow's parser answers 500 at a depth of 100,000."""


TOO_LARGE: Final = Failure(
    Reason.TOO_LARGE, f"The request body is larger than {BODY_LIMIT} bytes; send fewer rows at a time."
)


def _unsupported(message: str) -> Failure:
    return Failure(Reason.UNSUPPORTED_TYPE, message)


@functools.lru_cache(maxsize=256)  # callers send the same few again and again
def content_type(field: bytes | None) -> str | Failure:
    """The media type in lower case, or the failure that says what would do. `field`: the header Content-Type."""
    given = None if field is None else field.decode("latin-1")
    types = f"This predictor only supports the following content types: {list(SUPPORTED)}."
    if given is None or not given.strip():
        return _unsupported(f"{types} The request has no Content-Type.")
    media, *parameters = [part.strip() for part in given.split(";")]
    for parameter in parameters:
        name, _, value = parameter.partition("=")
        if name.lower() != "charset":
            return _unsupported("Unrecognized content type parameter; only charset=utf-8 is known.")
        if value.strip('"').lower() != "utf-8":
            return _unsupported("The scoring server only supports UTF-8")
    if media.lower() not in SUPPORTED:
        return _unsupported(types)
    return media.lower()


def decoded(encoding: bytes | None, body: bytes, *, marked: bool = False) -> bytes | Failure:
    """The body without its content encoding and, unless `marked`, without a byte order mark; at most BODY_LIMIT bytes.

    `encoding`: the header Content-Encoding.
    """
    plain = body if encoding is None else unpacked(encoding.decode("latin-1").strip().lower(), body)
    return plain if isinstance(plain, Failure) or marked else unmarked(plain)


def unmarked(text: bytes) -> bytes:
    """A text without the byte order mark that it may begin with."""
    return text.removeprefix(codecs.BOM_UTF8)


_FORMATS: Final = {"gzip": 31, "x-gzip": 31, "deflate": 15}
"""zlib's number for the format of each content encoding."""


def unpacked(encoding: str, body: bytes) -> bytes | Failure:
    """The bytes that a content encoding packs, at most BODY_LIMIT of them."""
    if encoding == "identity":
        return body
    if encoding not in _FORMATS:
        return _unsupported("Content-Encoding must be gzip, deflate or identity.")
    inflater = zlib.decompressobj(wbits=_FORMATS[encoding])
    try:
        plain = inflater.decompress(body, BODY_LIMIT + 1)
    except zlib.error:
        return Failure(Reason.BAD_REQUEST, f"Invalid input. The body is not {encoding}, which Content-Encoding says.")
    if len(plain) > BODY_LIMIT:
        return TOO_LARGE
    if not inflater.eof or inflater.unused_data:
        return Failure(Reason.BAD_REQUEST, "Invalid input. The packed body is cut short or followed by other bytes.")
    return plain


def parse_json(body: bytes) -> Any | Failure:
    """The document of strict JSON, or the refusal of what is not (NaN, Infinity, numbers beyond a double, lone
    surrogates, not UTF-8). MLflow's parser takes the first three, and then writes invalid JSON itself.
    """
    try:
        return orjson.loads(body)
    except orjson.JSONDecodeError as error:
        return Failure(
            Reason.BAD_REQUEST,
            f"Invalid input. Ensure that input is a valid JSON formatted string. Error: {error}",
        )


def too_deep(body: bytes) -> Failure | None:
    """The refusal of valid JSON that is nested too deep."""
    if body.count(b"[") + body.count(b"{") > DEPTH_LIMIT and _deeper_than(body, DEPTH_LIMIT):
        return Failure(Reason.BAD_REQUEST, f"Invalid input. The JSON is nested more than {DEPTH_LIMIT} levels deep.")
    return None


def json_fault(body: bytes) -> Failure | None:
    """The refusal of a body that is not JSON or is nested too deep, if there is one."""
    document = parse_json(body)
    return document if isinstance(document, Failure) else too_deep(body)


_STRINGS = re.compile(rb'"(?:[^"\\]|\\.)*"')
_BRACES_TO_BRACKETS = bytes.maketrans(b"{}", b"[]")
_NOT_BRACKETS = bytes(set(range(256)) - set(b"[]{}"))


def _deeper_than(body: bytes, limit: int) -> bool:
    """Of valid JSON; each pass takes away the innermost level, all in C: 64 passes of a few brackets, not a walk."""
    # Without escapes, every other piece between quotes is outside of strings: ten times faster than the pattern.
    outside = _STRINGS.sub(b"", body) if b"\\" in body else b"".join(body.split(b'"')[::2])
    brackets = outside.translate(_BRACES_TO_BRACKETS, _NOT_BRACKETS)
    for _ in range(limit):
        if not brackets:
            return False
        brackets = brackets.replace(b"[]", b"")
    return bool(brackets)
