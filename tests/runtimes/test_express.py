"""The short way: which bytes are the plainest request, and which are gunicorn's to judge."""

import pytest

from headrace.runtimes.front import express
from headrace.runtimes.front.answers import Answer

BODY = b'{"inputs": [1]}'


def request(*lines: bytes, body: bytes = BODY, length: bytes | None = None) -> bytes:
    length = b"%d" % len(body) if length is None else length
    head = [b"POST /invocations HTTP/1.1", b"Host: model", b"Content-Length: " + length, *lines]
    return b"\r\n".join([*head, b"", body])


JSON = b"Content-Type: application/json"


def test_a_plain_request_is_recognised_with_its_id_and_body() -> None:
    data = request(JSON, b"X-Request-Id: abc-1", b"accept: */*", b"Connection: keep-alive", b"user-agent: a/1 (b; c)")

    fields = (
        (b"host", b"model"),
        (b"content-length", b"15"),
        (b"content-type", b"application/json"),
        (b"accept", b"*/*"),
        (b"user-agent", b"a/1 (b; c)"),
    )
    assert express.recognise(data) == express.Plain("application/json", b"abc-1", BODY, "/invocations", fields)


def test_only_the_paths_that_are_asked_for_are_recognised() -> None:
    data = request(JSON).replace(b"/invocations", b"/v1/completions")
    found = express.recognise(data, (express.INVOCATIONS, *express.OPENAI))

    assert express.recognise(data) is None
    assert express.recognise(request(JSON), express.OPENAI) is None
    assert found is not None
    assert (found.path, found.body) == ("/v1/completions", BODY)
    assert express.recognise(data.replace(b"/v1/completions", b"/v1/completions?a=b"), express.OPENAI) is None


def test_csv_and_an_explicit_charset_are_plain_too() -> None:
    csv = express.recognise(request(b"content-type: text/csv", body=b"a\n1\n"))
    assert csv is not None
    assert csv[:3] == ("text/csv", b"", b"a\n1\n")
    assert express.recognise(request(b"content-type: application/json; charset=utf-8")) is not None


def test_a_request_id_that_is_not_usable_counts_as_none() -> None:
    found = express.recognise(request(JSON, b"x-request-id: " + b"a" * 129))

    assert found is not None
    assert found.identity == b""


def test_a_head_that_was_read_before_is_known_whatever_its_id_and_body() -> None:
    first = express.recognise(request(b"x-request-id: one", JSON))
    again = express.recognise(request(JSON, b"x-request-id: two", body=b'{"inputs": [2]}'))
    without = express.recognise(request(JSON))

    assert [found and found.identity for found in (first, again, without)] == [b"one", b"two", b""]
    assert again is not None
    assert again.body == b'{"inputs": [2]}'


@pytest.mark.parametrize("name", [b"X-Request-Id", b"x-request-id"])
def test_two_ids_are_never_one_though_the_rest_of_the_head_is_known(name: bytes) -> None:
    assert express.recognise(request(JSON)) is not None
    assert express.recognise(request(JSON, name + b": one")) is not None

    assert express.recognise(request(JSON, name + b": one", b"x-request-id: two")) is None
    assert express.recognise(request(JSON, b"x-request-id: one", name + b": two")) is None


def test_a_known_head_with_another_length_is_left_to_gunicorn() -> None:
    assert express.recognise(request(JSON)) is not None

    assert express.recognise(request(JSON) + b" ") is None
    assert express.recognise(request(JSON, b"x-request-id: a\rb: c")) is None


def test_no_more_heads_are_remembered_than_there_is_room_for() -> None:
    for number in range(2000):
        assert express.recognise(request(JSON, b"x-number: %d" % number)) is not None

    assert len(express._known) <= express._MOST_KNOWN


@pytest.mark.parametrize(
    "data",
    [
        request(JSON) + b"P",
        request(JSON)[:-1],
        request(JSON, length=b"+15"),
        request(JSON, length=b"0x0f"),
        request(JSON, b"content-length: 15"),
        request(JSON, b"Transfer-Encoding: chunked"),
        request(JSON, b"Transfer-Encoding : chunked"),
        request(JSON, b"transfer_encoding: chunked"),
        request(JSON, b"Expect: 100-continue"),
        request(JSON, b"Upgrade: h2c"),
        request(JSON, b"Connection: close"),
        request(JSON, b"Connection: keep-alive, Upgrade"),
        request(JSON, b"Content-Encoding: gzip"),
        request(JSON, b"TE: trailers"),
        request(JSON, b"host: other"),
        request(JSON, b"a: b\n c"),
        request(JSON, b"a: b\r"),
        request(JSON, b" folded: x"),
        request(JSON, b"a: \x00"),
        request(JSON, b"a: \xe9"),
        request(JSON, b"a:"),
        request(JSON, JSON),
        request(JSON, *[b"h%d: x" % at for at in range(61)]),
        request(JSON, b"long: " + b"x" * 4096),
        request(b"Content-Type: application/json; charset=latin-1"),
        request(b"Content-Type: text/plain"),
        request(),
        request(JSON).replace(b"Host: model\r\n", b""),
        request(JSON).replace(b"HTTP/1.1", b"HTTP/1.0"),
        request(JSON).replace(b"/invocations", b"/invocations/"),
        request(JSON).replace(b"POST", b"PUT"),
        request(JSON).replace(b"\r\n", b"\n"),
        b"",
    ],
)
def test_whatever_could_mean_anything_else_is_left_to_gunicorn(data: bytes) -> None:
    assert express.recognise(data) is None


def test_an_answer_is_written_with_its_length_its_id_and_the_headers_of_every_answer() -> None:
    wanted = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 2\r\nx-request-id: i\r\n"

    assert (
        express.written(
            b"HTTP/1.1 200 OK\r\n", Answer(200, b"{}"), b"i", ((b"served-model-name", b"v7"),), b"Date: d\r\n"
        )
        == wanted + b"served-model-name: v7\r\nDate: d\r\n\r\n{}"
    )


def test_an_answer_without_a_callers_id_gets_one_of_its_own() -> None:
    first, second = (express.written(b"", Answer(200, b""), b"", (), b"") for _ in range(2))

    assert first != second
