"""What the front refuses before a model sees it, and how it says so."""

import gzip
import json
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headrace.runtimes.front import media
from headrace.runtimes.front.answers import Answer


def refused(result: object) -> tuple[int, str]:
    assert isinstance(result, Answer)
    body = json.loads(result.body)
    return result.status, body["message"]


@pytest.mark.parametrize(
    "given_type",
    ["application/json", "Application/JSON", "application/json; charset=UTF-8", 'text/csv;charset="utf-8"'],
)
def test_supported_types_are_taken_in_any_case(given_type: str) -> None:
    found = media.content_type([(b"content-type", given_type.encode())])

    assert found in (media.JSON, media.CSV)


@pytest.mark.parametrize(
    "given_type",
    [None, "", " ", "nonsense", "application/json; something=something", "application/json; charset=latin1",
     "application/octet-stream"],
)  # fmt: skip
def test_other_types_are_415(given_type: str | None) -> None:
    headers = [] if given_type is None else [(b"content-type", given_type.encode())]

    assert refused(media.content_type(headers))[0] == 415


def test_gzip_is_unpacked() -> None:
    assert media.decoded([(b"content-encoding", b"gzip")], gzip.compress(b"{}")) == b"{}"


def test_deflate_is_unpacked() -> None:
    assert media.decoded([(b"content-encoding", b"deflate")], zlib.compress(b"{}")) == b"{}"


def test_a_byte_order_mark_is_no_part_of_the_document() -> None:
    assert media.decoded([], b"\xef\xbb\xbf{}") == b"{}"
    assert media.decoded([(b"content-encoding", b"gzip")], gzip.compress(b"\xef\xbb\xbf{}")) == b"{}"


def test_a_gzip_bomb_stops_at_the_limit() -> None:
    bomb = gzip.compress(b"0" * (media.BODY_LIMIT * 4))

    assert refused(media.decoded([(b"content-encoding", b"gzip")], bomb))[0] == 413


@pytest.mark.parametrize("body", [b"{}", gzip.compress(b"{}")[:-3], gzip.compress(b"{}") + b"x"])
def test_broken_gzip_is_400(body: bytes) -> None:
    assert refused(media.decoded([(b"content-encoding", b"gzip")], body))[0] == 400


def test_an_unknown_encoding_is_415() -> None:
    assert refused(media.decoded([(b"content-encoding", b"zzz")], b"{}"))[0] == 415


@pytest.mark.parametrize(
    "body",
    [b"", b"not json", b'{"a":', b'{"a": NaN}', b'{"a": Infinity}', b'{"a": 1e400}', b'{"a": ' + b"9" * 5000 + b"}",
     b'{"a": "\xff"}', '{"a": 1}'.encode("utf-16"), b'{"a": "\\ud800"}', b"[" * 100_000 + b"]" * 100_000],
)  # fmt: skip
def test_what_is_not_strict_json_is_400_without_repeating_it(body: bytes) -> None:
    fault = media.json_fault(body)

    status, message = refused(fault)
    assert status == 400
    assert len(message) < 200


def test_64_levels_are_the_limit() -> None:
    assert media.json_fault(b"[" * 64 + b"]" * 64) is None
    assert refused(media.json_fault(b"[" * 65 + b"]" * 65))[0] == 400
    assert media.json_fault(json.dumps([[]] * 1000).encode()) is None


@given(st.recursive(st.none() | st.booleans() | st.floats(allow_nan=False, allow_infinity=False) | st.text(
    alphabet=st.characters(exclude_categories=["Cs"])), lambda inner: st.lists(inner, max_size=3)))  # fmt: skip
def test_whatever_json_writes_is_taken(document: object) -> None:
    assert media.json_fault(json.dumps(document).encode()) is None
