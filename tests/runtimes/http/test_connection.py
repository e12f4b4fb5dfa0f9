"""A connection, byte by byte: what is HTTP, who is answered when, and how a connection ends."""

import itertools
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from headrace.runtimes.http import limits
from headrace.runtimes.http.front import Front
from headrace.runtimes.protocols.answers import Answer
from tests.runtimes.http import in_process
from tests.runtimes.http.in_process import Scene, played, request

LINE = b"POST /invocations HTTP/1.1\r\n"


@pytest.fixture
def front(tmp_path: Path) -> Front:
    return in_process.make_front(tmp_path)


UPGRADE = LINE + b"Host: x\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n"
CHUNKED = LINE + b"Host: x\r\nTransfer-Encoding: chunked\r\n\r\n"
REFUSED: list[tuple[str, bytes, int]] = [
    ("two lengths", LINE + b"Host: x\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab", 400),
    ("one length twice", LINE + b"Host: x\r\nContent-Length: 2\r\nContent-Length: 2\r\n\r\nab", 400),
    ("length, then chunks", LINE + b"Host: x\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400),
    ("chunks, then length", LINE + b"Host: x\r\nTransfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n", 400),
    ("another coding", LINE + b"Host: x\r\nTransfer-Encoding: xchunked\r\n\r\n0\r\n\r\n", 501),
    ("a coding before chunks", LINE + b"Host: x\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n", 501),
    ("a coding behind chunks", LINE + b"Host: x\r\nTransfer-Encoding: chunked, gzip\r\n\r\n0\r\n\r\n", 400),
    (
        "chunks twice",
        LINE + b"Host: x\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        400,
    ),
    ("no coding", LINE + b"Host: x\r\nTransfer-Encoding: identity\r\n\r\n0\r\n\r\n", 501),
    ("a chunk without a size", CHUNKED + b"zz\r\nab\r\n", 400),
    ("a chunk of another base", CHUNKED + b"0x2\r\nab\r\n0\r\n\r\n", 400),
    ("a chunk that is longer than its size", CHUNKED + b"2\r\nabc\r\n0\r\n\r\n", 400),
    ("a chunk without an end", CHUNKED + b"2\r\nab0\r\n\r\n", 400),
    ("chunks by line feeds", CHUNKED + b"1\na\n0\n\n", 400),
    ("a length with a sign", LINE + b"Host: x\r\nContent-Length: +1\r\n\r\na", 400),
    ("a negative length", LINE + b"Host: x\r\nContent-Length: -1\r\n\r\n", 400),
    ("two numbers as a length", LINE + b"Host: x\r\nContent-Length: 1 1\r\n\r\na", 400),
    ("a length beyond numbers", LINE + b"Host: x\r\nContent-Length: " + b"9" * 5000 + b"\r\n\r\n", 400),
    ("no length at all", LINE + b"Host: x\r\nContent-Length: \r\n\r\n", 400),
    ("a blank before a colon", LINE + b"Host : x\r\n\r\n", 400),
    ("a folded line", LINE + b"Host: x\r\n folded\r\n\r\n", 400),
    ("a line feed alone", LINE + b"Host: x\r\nA: b\nContent-Length: 0\r\n\r\n", 400),
    ("a carriage return alone", LINE + b"Host: x\r\nA: b\rC: d\r\n\r\n", 400),
    ("a zero byte", LINE + b"Host: x\r\nA: \x00\r\n\r\n", 400),
    ("a header without a name", LINE + b"Host: x\r\n: b\r\n\r\n", 400),
    ("two hosts", LINE + b"Host: x\r\nHost: y\r\n\r\n", 400),
    ("a body behind an upgrade", UPGRADE + b"Content-Length: 1\r\n\r\na", 501),
    ("HTTP/0.9", b"GET /ping\r\n\r\n", 400),
    ("HTTP/2", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 400),
    ("TLS", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", 400),
    ("a URL beyond the limit", b"GET /" + b"x" * limits.LONGEST_FIELD + b" HTTP/1.1\r\nHost: x\r\n\r\n", 414),
    ("a header beyond the limit", LINE + b"Host: x\r\nA: " + b"x" * limits.LONGEST_FIELD + b"\r\n\r\n", 431),
    ("too many headers", LINE + b"Host: x\r\n" + b"A: 1\r\n" * limits.MOST_FIELDS + b"\r\n", 431),
    ("a head without an end", LINE + b"A: 1\r\n" * 20_000, 431),
    ("a method of nobody at a path of ours", b"FOO /invocations HTTP/1.1\r\nHost: x\r\n\r\n", 405),
    ("a method of nobody elsewhere", b"FOO /nothing HTTP/1.1\r\nHost: x\r\n\r\n", 400),
]


@pytest.mark.parametrize(("data", "status"), [row[1:] for row in REFUSED], ids=[row[0] for row in REFUSED])
def test_what_another_reader_could_understand_otherwise_is_no_request_and_ends_the_connection(
    front: Front, data: bytes, status: int
) -> None:
    hidden = request(body=b"hidden")
    scene = played(lambda: Scene(front).send(data, hidden))

    assert [answer.status for answer in scene.answers] == [status]
    assert (scene.answers[0].headers["connection"], scene.transport.closed) == ("close", True)
    assert scene.answers[0].json()["message"]
    assert b"hidden" not in scene.bodies
    assert front.memory.held_bytes == 0


def test_trailers_say_nothing_about_a_request(front: Front) -> None:
    scene = played(lambda: Scene(front).send(CHUNKED + b"1;a=b\r\na\r\n0\r\nx-request-id: other\r\n\r\n"))

    assert scene.bodies == [b"a"]
    assert b"x-request-id" not in scene.exchanges[0].fields


@settings(deadline=None, max_examples=60)
@given(cuts=st.lists(st.integers(0, 400), max_size=12), chunks=st.lists(st.binary(min_size=1, max_size=40), max_size=4))
def test_requests_are_the_same_however_they_are_cut(
    tmp_path_factory: pytest.TempPathFactory, cuts: list[int], chunks: list[bytes]
) -> None:
    front = in_process.make_front(tmp_path_factory.getbasetemp())
    body = b"".join(b"%x\r\n%b\r\n" % (len(chunk), chunk) for chunk in chunks) + b"0\r\n\r\n"
    data = request(body=b"first") + CHUNKED + body + request(body=b"last")
    places = sorted({0, len(data), *(cut for cut in cuts if cut < len(data))})
    parts = [data[start:end] for start, end in itertools.pairwise(places)]
    scene = played(lambda: Scene(front).send(*parts))

    assert [answer.body for answer in scene.answers] == [b"first", b"".join(chunks), b"last"]


def test_requests_behind_one_that_is_answered_wait_and_are_answered_in_order(front: Front) -> None:
    def story() -> Scene:
        scene = Scene(front, at_once=False)
        scene.send(request(body=b"1") + request(body=b"2"), request(body=b"3"))
        assert scene.bodies == [b"1"]
        for at in range(3):
            scene.exchanges[at].set_result(Answer(200, scene.exchanges[at].body))
        return scene

    assert [answer.body for answer in played(story).answers] == [b"1", b"2", b"3"]


def test_a_caller_that_sends_much_behind_its_request_is_not_read_any_more(front: Front) -> None:
    def story() -> None:
        scene = Scene(front, at_once=False)
        scene.send(request(body=b"1"))
        many = request(body=b"x" * 1000)
        while not scene.transport.paused:
            scene.send(many)
        assert len(scene.exchanges) == 1
        scene.at_once = True
        scene.exchanges[0].set_result(Answer(200, b""))
        assert not scene.transport.paused
        assert len(scene.answers) == len(scene.exchanges) > limits.MOST_AHEAD_BYTES // len(many)

    played(story)


def test_a_caller_that_does_not_read_its_answers_is_not_read_either(front: Front) -> None:
    def story() -> None:
        scene = Scene(front)
        scene.connection.pause_writing()
        many = request(body=b"x" * 1000)
        while not scene.transport.paused:
            scene.send(many)
        assert len(scene.exchanges) == 0
        scene.connection.resume_writing()
        assert not scene.transport.paused
        assert len(scene.answers) > limits.MOST_AHEAD_BYTES // len(many)

    played(story)


def test_a_trailer_without_an_end_is_refused(front: Front) -> None:
    scene = played(lambda: Scene(front).send(CHUNKED + b"1\r\na\r\n0\r\nTrailer: ", *[b"x" * 10_000] * 20))

    assert [answer.status for answer in scene.answers] == [413]
    assert front.memory.held_bytes == 0


def test_chunks_of_one_byte_are_a_body_as_any_other(front: Front) -> None:
    scene = played(lambda: Scene(front).send(CHUNKED + b"1\r\na\r\n" * 50_000 + b"0\r\n\r\n"))

    assert [answer.body for answer in scene.answers] == [b"a" * 50_000]


def test_what_came_whole_before_a_fault_is_answered_before_the_fault_is_told(front: Front) -> None:
    scene = played(lambda: Scene(front).send(request(body=b"1") + b"\x00 what is that\r\n\r\n"))

    assert [answer.status for answer in scene.answers] == [200, 400]
    assert scene.transport.closed


def test_bytes_behind_a_request_that_closes_are_nobodys_request(front: Front) -> None:
    last = request(body=b"1", headers=(b"Connection: close",))
    scene = played(lambda: Scene(front).send(last + request(body=b"2")))

    assert scene.bodies == [b"1"]
    assert [answer.headers["connection"] for answer in scene.answers] == ["close"]
    assert scene.transport.closed


def test_a_body_is_asked_for_where_it_is_wanted(front: Front) -> None:
    head = LINE + b"Host: x\r\nExpect: 100-continue\r\nContent-Length: %d\r\n\r\n"
    wanted = played(lambda: Scene(front).send(head % 3))
    unwanted = played(lambda: Scene(front).send(head % (17 << 20)))

    assert wanted.transport.written == b"HTTP/1.1 100 Continue\r\n\r\n"
    assert [answer.status for answer in unwanted.answers] == [413]
    assert unwanted.transport.closed


def test_a_chunked_body_beyond_the_limit_is_refused_before_its_end(front: Front) -> None:
    chunk = b"100000\r\n" + bytes(1 << 20) + b"\r\n"
    scene = played(lambda: Scene(front).send(CHUNKED, *[chunk] * 17))

    assert [answer.status for answer in scene.answers] == [413]
    assert front.memory.held_bytes == 0


def test_a_caller_that_waits_with_its_body_counts_for_it(front: Front) -> None:
    def story() -> None:
        scene = Scene(front)
        scene.send(LINE + b"Host: x\r\nContent-Length: 5000\r\n\r\n")
        assert front.memory.held_bytes == 5000
        scene.connection.connection_lost(None)
        assert front.memory.held_bytes == 0

    played(story)


def test_chunks_count_as_they_come(front: Front) -> None:
    front.memory.most_bytes = 3 << 20
    chunk = b"100000\r\n" + bytes(1 << 20) + b"\r\n"
    scene = played(lambda: Scene(front).send(CHUNKED, *[chunk] * 4))

    assert [answer.status for answer in scene.answers] == [429]
    assert front.memory.held_bytes == 0


def test_head_is_answered_without_a_body_and_with_its_length(front: Front) -> None:
    def story() -> Scene:
        scene = Scene(front, at_once=False)
        scene.send(b"HEAD /ping HTTP/1.1\r\nHost: x\r\n\r\n")
        scene.exchanges[0].set_result(Answer(200, b"abc"))
        return scene

    head, _, body = played(story).transport.written.partition(b"\r\n\r\n")
    assert b"content-length: 3" in head
    assert body == b""


@pytest.mark.parametrize(
    ("line", "connection", "closed"),
    [(b"", "close", True), (b"Connection: keep-alive\r\n", "keep-alive", False)],
    ids=["as it is", "asked to stay"],
)
def test_http_1_0_ends_after_an_answer_unless_it_asks_to_stay(
    front: Front, line: bytes, connection: str, closed: bool
) -> None:
    scene = played(lambda: Scene(front).send(b"GET /ping HTTP/1.0\r\n" + line + b"\r\n"))

    assert scene.answers[0].headers["connection"] == connection
    assert scene.transport.closed is closed


def test_an_upgrade_is_not_taken_and_the_request_answered(front: Front) -> None:
    upgrade = b"GET /ping HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n"
    scene = played(lambda: Scene(front).send(upgrade + request(body=b"2")))

    assert [(answer.status, answer.headers["connection"]) for answer in scene.answers] == [(200, "close")]
    assert scene.transport.closed


def test_a_websocket_is_refused(front: Front) -> None:
    data = b"GET /invocations HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\nframes"
    scene = played(lambda: Scene(front).send(data))

    assert [answer.status for answer in scene.answers] == [426]
    assert scene.transport.closed


def test_silence_ends_a_connection_and_an_answer_under_way_does_not_count_as_silence(front: Front) -> None:
    def story() -> None:
        idle, half, busy = Scene(front), Scene(front), Scene(front, at_once=False)
        idle.send(request())
        half.send(request(body=b"abc")[:-1])
        busy.send(request())
        front.now += limits.IDLE_SECONDS - 1
        for scene in (idle, half, busy):
            scene.connection.sweep()
        assert not idle.transport.closed
        front.now += 1
        for scene in (idle, half, busy):
            scene.connection.sweep()
        assert [scene.transport.closed for scene in (idle, half, busy)] == [True, True, False]
        assert [answer.status for answer in half.answers] == [408]

    played(story)


def test_a_drain_ends_what_waits_for_a_next_request_and_answers_what_has_begun(front: Front) -> None:
    def story() -> None:
        idle, begun, fresh = Scene(front), Scene(front), Scene(front)
        idle.send(request())
        whole = request(body=b"abc")
        begun.send(whole[:-1])
        front.drain()
        for scene in (idle, begun, fresh):
            scene.connection.close_if_idle()
        assert [scene.transport.closed for scene in (idle, begun, fresh)] == [True, False, False]
        begun.send(whole[-1:])
        assert begun.answers[0].headers["connection"] == "close"
        assert begun.transport.closed
        front.now += 2
        fresh.connection.close_if_idle()
        assert fresh.transport.closed

    played(story)
