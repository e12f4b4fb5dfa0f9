"""Frame: one record as bytes, in the ring and in segments alike, so that what is drained is written as it is.

    length of the rest of the frame, CRC-32 of it | sequence | length of meta, of request, of response | these three

A torn or overwritten frame does not match its CRC.
"""

import struct
import zlib
from collections.abc import Iterator, Sequence
from typing import Any, Final, NamedTuple

import orjson

HEAD: Final = struct.Struct("<II")
"""Length of the rest in bytes, and its CRC-32."""
_BODY: Final = struct.Struct("<QIII")
LONGEST: Final = 16 * 1024 * 1024
"""Bytes of a frame; a length beyond it is no length."""


class Meta(NamedTuple):
    """What is known of a request beside its payloads."""

    identity: str
    """The request's id."""
    path: str
    status: int
    arrived: float
    """When its head had come, in seconds since the epoch."""
    seconds: float
    """From then until its answer left."""
    version: str
    requester: str | None
    client_request_id: str | None
    """By header; in the body where this is None."""
    trace_id: str | None
    content_type: str
    """Of the request."""
    json_length: int | None
    """Of a request with binary tensors behind its JSON: bytes of the JSON."""
    sampling_fraction: float
    error_codes: list[str]
    is_text: bool
    """Whether both payloads are the texts that the row gets, and not the bytes of the protocol."""
    parent_span: str | None = None
    """Id of the span that the request came from; None without a trace."""
    is_sampled: bool = False
    """Whether the trace has the spans of a request that neither failed nor was slow."""
    call: Sequence[Any] | None = None
    """When it waited, and when its model was called: the fields of `http.exchange.RecordedCall`."""


class Frame(NamedTuple):
    """One record."""

    sequence: int
    """Number of the record in its pod, from 1; greater than those of all before."""
    meta: Meta
    request: bytes | None
    """None: not kept, for the reason in `meta.error_codes`."""
    response: bytes | None


_ABSENT: Final = 0xFFFFFFFF
"""Length of a payload that is None."""


def encoded(frame: Frame) -> bytes:
    """The bytes of a frame."""
    meta = orjson.dumps(tuple(frame.meta), default=tuple)  # orjson takes no tuple that has names
    request = b"" if frame.request is None else frame.request
    response = b"" if frame.response is None else frame.response
    lengths = (
        len(meta),
        _ABSENT if frame.request is None else len(request),
        _ABSENT if frame.response is None else len(response),
    )
    body = b"".join((_BODY.pack(frame.sequence, *lengths), meta, request, response))
    return HEAD.pack(len(body), zlib.crc32(body)) + body


def wrapped(sequence: int, payload: bytes) -> bytes:
    """The bytes of a frame that has a payload and nothing else: a line of a log."""
    body = _BODY.pack(sequence, 0, len(payload), _ABSENT) + payload
    return HEAD.pack(len(body), zlib.crc32(body)) + body


def unwrapped(body: bytes) -> bytes:
    """The payload of the bytes behind the head of such a frame."""
    return body[_BODY.size :]


def decoded(body: bytes) -> Frame:
    """The frame of the bytes behind a head that matched. ValueError where a writer of another release made it."""
    sequence, meta_length, *lengths = _BODY.unpack_from(body)
    at = _BODY.size + meta_length
    meta: Any = orjson.loads(body[_BODY.size : at])
    payloads: list[bytes | None] = []
    for length in lengths:
        payloads.append(None if length == _ABSENT else bytes(body[at : at + length]))
        at += 0 if length == _ABSENT else length
    if len(meta) != len(Meta._fields) or at != len(body):
        raise ValueError(f"frame {sequence} is not of this release")
    return Frame(sequence, Meta(*meta), *payloads)


def sequence_of(body: bytes) -> int:
    """The sequence of a frame by the bytes behind its head."""
    return int(_BODY.unpack_from(body)[0])


class Found(NamedTuple):
    """A whole frame in a file."""

    body: bytes
    """The bytes behind its head."""
    end: int
    """Where the next frame begins."""


def frames_in(data: bytes, begin: int = 0) -> Iterator[Found]:
    """The whole frames from `begin` on, until a torn one or the end."""
    at = begin
    while at + HEAD.size <= len(data):
        length, checksum = HEAD.unpack_from(data, at)
        end = at + HEAD.size + length
        if not _BODY.size <= length <= LONGEST or end > len(data):
            return
        body = data[at + HEAD.size : end]
        if zlib.crc32(body) != checksum:
            return
        yield Found(body, end)
        at = end
