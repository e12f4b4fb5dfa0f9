"""gRPC's framing of one message, as it travels over HTTP/1.1 between the load balancer and a pod. Pure.

A unary call is a POST whose body is one length-prefixed message; its answer is one such message and the status as a
trailer, or the status alone in the headers (https://github.com/grpc/grpc/blob/master/doc/PROTOCOL-HTTP2.md). Nothing of
that needs HTTP/2, which ends at the balancer.
"""

import re
import struct
from typing import Final

from headrace.runtimes.protocols import request_body
from headrace.runtimes.protocols.answers import Answer
from headrace.runtimes.protocols.errors import Failure, Reason

CONTENT_TYPE: Final = "application/grpc"
PREFIX: Final = struct.Struct(">BI")
"""Whether the message is compressed, and its length in bytes."""
_TIMEOUT: Final = re.compile(rb"(\d{1,8})([HMSmun])")
_UNITS: Final = {b"H": 3600.0, b"M": 60.0, b"S": 1.0, b"m": 1e-3, b"u": 1e-6, b"n": 1e-9}
_OK: Final = ((b"grpc-status", b"0"),)
_HEADERS: Final = ((b"content-type", b"application/grpc"),)


def message_of(body: bytes, encoding: bytes | None) -> bytes | Failure:
    """The message of a request's body. `encoding`: the header grpc-encoding."""
    if not body:
        return Failure(Reason.BAD_REQUEST, "The call ended without a request.")
    if len(body) < PREFIX.size:
        return Failure(Reason.BAD_REQUEST, "The request is not a length-prefixed message.")
    compressed, length = PREFIX.unpack_from(body)
    if length != len(body) - PREFIX.size or compressed > 1:
        return Failure(Reason.BAD_REQUEST, "The request must be one length-prefixed message and nothing else.")
    message = body[PREFIX.size :]
    if not compressed:
        return message
    name = (encoding or b"identity").decode("latin-1").lower()
    if name not in ("gzip", "deflate"):
        return Failure(Reason.NOT_IMPLEMENTED, "A compressed message must be compressed by gzip or deflate.")
    return request_body.unpacked(name, message)


def answer(message: bytes) -> Answer:
    """The answer of a call that succeeded."""
    return Answer(200, PREFIX.pack(0, len(message)) + message, _HEADERS, _OK)


def timeout_seconds(field: bytes | None) -> float | None:
    """The caller's own limit, by the header grpc-timeout; None where there is none."""
    found = _TIMEOUT.fullmatch(field) if field is not None else None
    return None if found is None else int(found[1]) * _UNITS[found[2]]
