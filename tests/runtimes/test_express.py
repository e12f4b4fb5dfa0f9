"""The short way: which bytes are the plainest request, and which are gunicorn's to judge."""

import pytest

from headrace.runtimes.front import express
from headrace.runtimes.front.answers import Answer

BODY = b'{"inputs": [1]}'
JSON = b"Content-Type: application/json"


def request(*lines: bytes, body: bytes = BODY, length: bytes | None = None) -> bytes:
    length = b"%d" % len(body) if length is None else length
    head = [b"POST /invocations HTTP/1.1", b"Host: model", b"Content-Length: " + length, *lines]
    return b"\r\n".join([*head, b"", body])


def test_a_plain_request_is_recognised_with_its_id_and_body() -> None:
    data = request(JSON, b"X-Request-Id: abc-1", b"accept: */*", b"Connection: keep-alive", b"user-agent: a/1 (b; c)")

    fields = (
        (b"host", b"model"),
        (b"content-type", b"application/json"),
        (b"accept", b"*/*"),
        (b"user-agent", b"a/1 (b; c)"),
    )
    assert express.recognise(data) == express.Plain("application/json", b"abc-1", BODY, "/invocations", fields)


def test_only_the_paths_that_are_asked_for_are_recognised() -> None:
    data = request(JSON).replace(b"/invocations", b"/v1/completions")
    found = plain(data, express.INVOCATIONS, *express.OPENAI)

    assert express.recognise(data) is None
    assert express.recognise(request(JSON), express.OPENAI) is None
    assert (found.path, found.body) == ("/v1/completions", BODY)
    assert express.recognise(data.replace(b"/v1/completions", b"/v1/completions?a=b"), express.OPENAI) is None


def test_csv_and_an_explicit_charset_are_plain_too() -> None:
    csv = plain(request(b"content-type: text/csv", body=b"a\n1\n"))
    assert csv[:3] == ("text/csv", b"", b"a\n1\n")
    assert express.recognise(request(b"content-type: application/json; charset=utf-8")) is not None


def plain(data: bytes, *lines: bytes) -> express.Plain:
    """The request that must be recognised."""
    found = express.recognise(data, lines or (express.INVOCATIONS,))
    assert isinstance(found, express.Plain), found
    return found


def chunked(*chunks: bytes, head: bytes = b"Transfer-Encoding: chunked") -> bytes:
    lines = [b"POST /invocations HTTP/1.1", b"Host: model", JSON, head, b"", b""]
    return b"\r\n".join(lines) + b"".join(b"%x\r\n%b\r\n" % (len(chunk), chunk) for chunk in (*chunks, b""))


def test_a_request_whose_end_has_not_come_is_begun_and_says_how_long_it_will_be() -> None:
    data = request(JSON)
    head = data.index(b"\r\n\r\n") + 4

    assert {express.recognise(data[:end]) for end in range(head, len(data))} == {express.Begun(len(data))}
    assert {express.recognise(data[:end]) for end in range(head)} == {None}


@pytest.mark.parametrize(
    "chunks", [(BODY,), (b"",), (BODY[:3], BODY[3:]), tuple(BODY[at : at + 1] for at in range(15))]
)
def test_chunks_are_put_together_and_until_the_last_the_request_is_begun(chunks: tuple[bytes, ...]) -> None:
    data = chunked(*[chunk for chunk in chunks if chunk])
    head = data.index(b"\r\n\r\n") + 4

    assert plain(data).body == b"".join(chunks)
    assert {express.recognise(data[:end]) for end in range(head, len(data))} == {express.Begun(0)}


@pytest.mark.parametrize(
    "data",
    [
        chunked(BODY) + b"P",
        chunked(BODY).replace(b"f\r\n", b"+f\r\n"),
        chunked(BODY).replace(b"f\r\n", b"0xf\r\n"),
        chunked(BODY).replace(b"f\r\n", b" f\r\n"),
        chunked(BODY).replace(b"f\r\n", b"f;a=b\r\n"),
        chunked(BODY).replace(b"f\r\n", b"e\r\n"),
        chunked(BODY).replace(b"f\r\n", b"10\r\n"),
        chunked(BODY).replace(b"f\r\n", b"00000000f\r\n"),
        chunked(BODY).replace(b"f\r\n", b"\r\n"),
        chunked(BODY)[:-2] + b"a: b\r\n\r\n",
        chunked(*[b"x"] * 65),
        chunked(BODY, head=b"Transfer-Encoding: chunked\r\nContent-Length: 15"),
        chunked(BODY, head=b"Content-Length: 15\r\nTransfer-Encoding: chunked"),
        chunked(BODY, head=b"Transfer-Encoding: gzip, chunked"),
        chunked(BODY, head=b"Transfer-Encoding: identity"),
        chunked(BODY, head=b"Transfer-Encoding: Chunked"),
        chunked(BODY, head=b"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked"),
    ],
)
def test_what_is_framed_in_any_other_way_is_left_to_gunicorn(data: bytes) -> None:
    plain(chunked(BODY))  # its head is known
    plain(request(JSON))

    assert express.recognise(data) is None


def test_a_packed_body_is_handed_on_as_it_is_and_said_to_be() -> None:
    assert plain(request(JSON)).packed is False
    for encoding in (b"gzip", b"GZIP", b"deflate", b"x-gzip", b"identity"):
        found = plain(request(JSON, b"Content-Encoding: " + encoding))
        assert found.packed
        assert (b"content-encoding", encoding) in found.fields
        assert found.body == BODY


def test_a_head_that_is_known_takes_a_body_of_any_length() -> None:
    for body in (BODY, BODY * 7, b""):
        for name in (b"Content-Length", b"content-length", b"CONTENT-LENGTH"):
            data = request(JSON, body=body).replace(b"Content-Length", name)
            assert plain(data).body == body
            assert plain(data).fields == plain(request(JSON)).fields


def test_a_length_is_needed_once_whatever_heads_are_known() -> None:
    upper = request(JSON).replace(b"Content-Length", b"CONTENT-LENGTH")
    for known in (upper, request(JSON), chunked(BODY)):
        plain(known)
    line = b"Content-Length: 15\r\n"

    assert express.recognise(request(JSON).replace(line, b"")) is None
    assert express.recognise(upper.replace(b"Host", line + b"Host")) is None
    assert express.recognise(request(JSON).replace(line, line + line)) is None
    assert express.recognise(chunked(BODY).replace(b"Host", line + b"Host")) is None


def test_inference_needs_no_type_and_the_endpoints_own_name() -> None:
    lines = (express.INVOCATIONS, *express.inference_lines("my-model", "v7"))
    data = request(b"Inference-Header-Content-Length: 15").replace(b"/invocations", b"/v2/models/my-model/infer")

    assert plain(data, *lines).path == "/v2/models/my-model/infer"
    assert plain(data.replace(b"/infer", b"/versions/v7/infer"), *lines).content_type == ""
    assert express.recognise(data.replace(b"my-model", b"other"), lines) is None
    assert express.recognise(request(), lines) is None
    assert express.inference_lines("a b", "") == ()
    assert express.inference_lines("a", "") == (b"POST /v2/models/a/infer HTTP/1.1\r\n",)


def test_a_request_id_that_is_not_usable_counts_as_none() -> None:
    found = plain(request(JSON, b"x-request-id: " + b"a" * 129))

    assert found.identity == b""


def test_a_head_that_was_read_before_is_known_whatever_its_id_and_body() -> None:
    first = plain(request(b"x-request-id: one", JSON))
    again = plain(request(JSON, b"x-request-id: two", body=b'{"inputs": [2]}'))
    without = plain(request(JSON))

    assert [found.identity for found in (first, again, without)] == [b"one", b"two", b""]
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
        request(JSON, b"Content-Encoding: br"),
        request(JSON, b"Content-Encoding: gzip, gzip"),
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
