"""gRPC's framing of one message."""

import gzip
import struct
import zlib

import pytest

from headrace.runtimes.protocols import grpc
from headrace.runtimes.protocols.errors import Failure, Reason
from headrace.runtimes.protocols.request_body import BODY_LIMIT


def framed(message: bytes, *, compressed: int = 0) -> bytes:
    return struct.pack(">BI", compressed, len(message)) + message


def test_a_message_comes_out_as_it_went_in() -> None:
    answer = grpc.answer(b"hello")

    assert grpc.message_of(answer.body, None) == b"hello"
    assert answer.trailers == ((b"grpc-status", b"0"),)


@pytest.mark.parametrize(("encoding", "pack"), [(b"gzip", gzip.compress), (b"deflate", zlib.compress)])
def test_a_compressed_message_is_unpacked(encoding: bytes, pack: object) -> None:
    assert callable(pack)
    assert grpc.message_of(framed(pack(b"hello"), compressed=1), encoding) == b"hello"
    assert grpc.message_of(framed(b"hello"), encoding) == b"hello"  # each message says whether it is compressed


@pytest.mark.parametrize(
    ("body", "encoding", "reason"),
    [
        (b"", None, Reason.BAD_REQUEST),
        (b"\0\0", None, Reason.BAD_REQUEST),
        (framed(b"hello")[:-1], None, Reason.BAD_REQUEST),
        (framed(b"a") + framed(b"b"), None, Reason.BAD_REQUEST),
        (framed(b"a", compressed=2), None, Reason.BAD_REQUEST),
        (framed(b"a", compressed=1), b"zstd", Reason.NOT_IMPLEMENTED),
        (framed(b"a", compressed=1), b"gzip", Reason.BAD_REQUEST),
        (framed(gzip.compress(bytes(BODY_LIMIT + 1)), compressed=1), b"gzip", Reason.TOO_LARGE),
    ],
    ids=["nothing", "half a prefix", "half a message", "two", "a flag of nobody", "unknown", "not packed", "a bomb"],
)
def test_what_is_no_message_is_refused(body: bytes, encoding: bytes | None, reason: Reason) -> None:
    found = grpc.message_of(body, encoding)

    assert isinstance(found, Failure)
    assert found.reason is reason


@pytest.mark.parametrize(
    ("field", "seconds"),
    [
        (b"5S", 5.0),
        (b"250m", 0.25),
        (b"1H", 3600.0),
        (b"100u", 1e-4),
        (None, None),
        (b"soon", None),
        (b"123456789S", None),
    ],
)
def test_a_deadline_is_read_in_every_unit(field: bytes | None, seconds: float | None) -> None:
    assert grpc.timeout_seconds(field) == (None if seconds is None else pytest.approx(seconds))
