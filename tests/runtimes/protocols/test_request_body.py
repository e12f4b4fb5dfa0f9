"""What the front refuses before a model sees it, and how it says so."""

import gzip
import json
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headrace.runtimes.protocols import request_body
from headrace.runtimes.protocols.errors import Failure


def refused(result: object) -> tuple[int, str]:
    assert isinstance(result, Failure)
    return result.http_status, result.message


@pytest.mark.parametrize(
    "given_type",
    ["application/json", "Application/JSON", "application/json; charset=UTF-8", 'text/csv;charset="utf-8"'],
)
def test_supported_types_are_taken_in_any_case(given_type: str) -> None:
    found = request_body.content_type(given_type.encode())

    assert found in (request_body.JSON, request_body.CSV)


@pytest.mark.parametrize(
    "given_type",
    [None, "", " ", "nonsense", "application/json; something=something", "application/json; charset=latin1",
     "application/octet-stream"],
)  # fmt: skip
def test_other_types_are_415(given_type: str | None) -> None:
    field = None if given_type is None else given_type.encode()

    assert refused(request_body.content_type(field))[0] == 415


def test_gzip_is_unpacked() -> None:
    assert request_body.decoded(b"gzip", gzip.compress(b"{}")) == b"{}"


def test_deflate_is_unpacked() -> None:
    assert request_body.decoded(b"deflate", zlib.compress(b"{}")) == b"{}"


def test_a_byte_order_mark_is_no_part_of_the_document() -> None:
    assert request_body.decoded(None, b"\xef\xbb\xbf{}") == b"{}"
    assert request_body.decoded(b"gzip", gzip.compress(b"\xef\xbb\xbf{}")) == b"{}"


def test_a_gzip_bomb_stops_at_the_limit() -> None:
    bomb = gzip.compress(b"0" * (request_body.BODY_LIMIT * 4))

    assert refused(request_body.decoded(b"gzip", bomb))[0] == 413


@pytest.mark.parametrize("body", [b"{}", gzip.compress(b"{}")[:-3], gzip.compress(b"{}") + b"x"])
def test_broken_gzip_is_400(body: bytes) -> None:
    assert refused(request_body.decoded(b"gzip", body))[0] == 400


def test_an_unknown_encoding_is_415() -> None:
    assert refused(request_body.decoded(b"zzz", b"{}"))[0] == 415


@pytest.mark.parametrize(
    "body",
    [b"", b"not json", b'{"a":', b'{"a": NaN}', b'{"a": Infinity}', b'{"a": 1e400}', b'{"a": ' + b"9" * 5000 + b"}",
     b'{"a": "\xff"}', '{"a": 1}'.encode("utf-16"), b'{"a": "\\ud800"}', b"[" * 100_000 + b"]" * 100_000],
)  # fmt: skip
def test_what_is_not_strict_json_is_400_without_repeating_it(body: bytes) -> None:
    fault = request_body.json_fault(body)

    status, message = refused(fault)
    assert status == 400
    assert len(message) < 200


def test_64_levels_are_the_limit() -> None:
    assert request_body.json_fault(b"[" * 64 + b"]" * 64) is None
    assert refused(request_body.json_fault(b"[" * 65 + b"]" * 65))[0] == 400
    assert request_body.json_fault(json.dumps([[]] * 1000).encode()) is None


@given(st.recursive(st.none() | st.booleans() | st.floats(allow_nan=False, allow_infinity=False) | st.text(
    alphabet=st.characters(exclude_categories=["Cs"])), lambda inner: st.lists(inner, max_size=3)))  # fmt: skip
def test_whatever_json_writes_is_taken(document: object) -> None:
    assert request_body.json_fault(json.dumps(document).encode()) is None
