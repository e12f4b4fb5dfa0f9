"""A real front over raw connections: clients write a request in one piece or in several."""

import contextlib
import json
import signal
import socket
import struct
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from patience import eventually
from running_pod import status_of

from bench import bodies

pytestmark = pytest.mark.slow

COLUMNS = ["sepal length (cm)", "sepal width (cm)", "petal length (cm)", "petal width (cm)"]
SETOSA, VIRGINICA = [5.1, 3.5, 1.4, 0.2], [6.3, 3.3, 6.0, 2.5]

SLOW_MODEL = """
import time
class Model(PythonModel):
    def predict(self, context, model_input, params=None):
        time.sleep(float(model_input.iloc[0, 0]))
        return model_input.iloc[:, 0]
"""


class Raw:
    """One connection, bytes in and bytes out."""

    def __init__(self, url: str) -> None:
        host, port = url.removeprefix("http://").split(":")
        self.socket = socket.create_connection((host, int(port)), timeout=30)
        self._rest = b""

    def send(self, *parts: bytes) -> None:
        for part in parts:
            self.socket.sendall(part)
            time.sleep(0.05 if len(parts) > 1 else 0)  # each part is a read of its own

    def answer(self) -> tuple[int, dict[str, str], Any]:
        status, headers, body = self.read()
        return status, headers, json.loads(body)

    def read(self) -> tuple[int, dict[str, str], bytes]:
        while b"\r\n\r\n" not in self._rest:
            self._more()
        head, _, self._rest = self._rest.partition(b"\r\n\r\n")
        status, *lines = head.decode().split("\r\n")
        headers = {name.lower(): value for name, value in (line.split(": ", 1) for line in lines)}
        while len(self._rest) < int(headers["content-length"]):
            self._more()
        body, self._rest = (
            self._rest[: int(headers["content-length"])],
            self._rest[int(headers["content-length"]) :],
        )
        return int(status.split()[1]), headers, body

    def _more(self) -> None:
        data = self.socket.recv(65536)
        assert data, f"the connection closed after {self._rest!r}"
        self._rest += data

    def closed(self) -> bool:
        return self.socket.recv(1) == b""


@pytest.fixture
def connect() -> Iterator[Callable[[Any], Raw]]:
    with contextlib.ExitStack() as stack:

        def opened(front: Any) -> Raw:
            raw = Raw(front.url)
            stack.callback(raw.socket.close)
            return raw

        yield opened


def request(row: list[float], *headers: bytes, columns: list[str] = COLUMNS) -> bytes:
    body = json.dumps({"dataframe_split": {"columns": columns, "data": [row]}}).encode()
    lines = [b"Host: x", b"Content-Type: application/json", b"Content-Length: %d" % len(body), *headers]
    return b"POST /invocations HTTP/1.1\r\n" + b"\r\n".join(lines) + b"\r\n\r\n" + body


def test_a_request_in_one_piece_and_in_two_gets_the_same_answer(iris_front: Any, connect: Callable[[Any], Raw]) -> None:
    raw = connect(iris_front)
    whole = request(SETOSA, b"x-request-id: a-1")
    found = []
    for parts in ((whole,), (whole[:200], whole[200:]), (whole,)):
        raw.send(*parts)
        found.append(raw.answer())

    for _, headers, _ in found:
        headers.pop("date")
    assert found[0] == found[1] == found[2]
    assert found[0][0] == 200
    assert found[0][2] == {"predictions": [0]}


def test_requests_of_all_kinds_share_a_connection_one_after_the_other(
    iris_front: Any, connect: Callable[[Any], Raw]
) -> None:
    raw = connect(iris_front)
    found = []
    for data in (
        b"GET /nothing HTTP/1.1\r\nHost: x\r\n\r\n",
        request(VIRGINICA),
        request(SETOSA).replace(b"application/json", b"text/plain"),
        request(VIRGINICA),
        request(SETOSA).replace(b'[5.1', b'["x"'),
        request(SETOSA),
    ):  # fmt: skip
        raw.send(data)
        found.append(raw.answer()[0])

    assert found == [404, 200, 415, 200, 400, 200]


def test_requests_sent_behind_one_another_are_answered_in_order(iris_front: Any, connect: Callable[[Any], Raw]) -> None:
    raw = connect(iris_front)
    rows = [SETOSA, VIRGINICA, VIRGINICA, SETOSA]
    raw.send(b"".join(request(row) for row in rows))
    together = [raw.answer()[2]["predictions"][0] for _ in rows]
    for row in rows:
        raw.socket.sendall(request(row))
    apart = [raw.answer()[2]["predictions"][0] for _ in rows]

    assert together == apart == [0, 2, 2, 0]


def test_a_request_hidden_in_the_rest_of_another_is_not_seen(iris_front: Any, connect: Callable[[Any], Raw]) -> None:
    raw = connect(iris_front)
    hidden = request(SETOSA)
    before = iris_front.metric("headrace_requests_arrived_total")
    # The head promises a body, which looks like a request of its own and comes in a read of its own.
    head = b"POST /invocations HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n"
    raw.send(head % len(hidden), hidden)

    assert raw.answer()[0] == 400
    raw.send(request(VIRGINICA))
    assert raw.answer()[2] == {"predictions": [2]}
    assert iris_front.metric("headrace_requests_arrived_total") == before + 1  # the invalid one never arrived


def test_a_request_hidden_in_a_header_of_another_is_not_seen(iris_front: Any, connect: Callable[[Any], Raw]) -> None:
    raw = connect(iris_front)
    # The first read ends within a header; the second, which looks like a request, goes on with it.
    raw.send(b"POST /invocations HTTP/1.1\r\nHost: x\r\nX-A: b", request(SETOSA))

    assert raw.answer()[0] == 400  # two Host headers
    assert raw.closed()


def test_a_caller_that_leaves_gives_up_its_place(
    start_front: Any, python_model: Callable[..., Path], connect: Callable[[Any], Raw]
) -> None:
    with start_front(python_model(SLOW_MODEL), HEADRACE_CONCURRENCY="1") as front:
        running, waiting, last = (connect(front) for _ in range(3))
        running.send(request([1.5], columns=["a"]))
        eventually(lambda: front.metric("headrace_requests_executing") == 1)
        waiting.send(request([60.0], columns=["a"]))
        eventually(lambda: front.metric("headrace_requests_queued") == 1)
        waiting.socket.close()
        eventually(lambda: front.metric("headrace_requests_queued") == 0)
        last.send(request([0.0], columns=["a"]))

        assert last.answer()[2] == {"predictions": [{"a": 0.0}]}
        assert running.answer()[2] == {"predictions": [{"a": 1.5}]}


def test_what_runs_when_the_pod_drains_is_answered_and_its_connection_closed(
    start_front: Any, python_model: Callable[..., Path], connect: Callable[[Any], Raw]
) -> None:
    with start_front(python_model(SLOW_MODEL)) as front:
        raw = connect(front)
        raw.send(request([1.0], columns=["a"]))
        eventually(lambda: front.metric("headrace_requests_executing") == 1)
        front.process.send_signal(signal.SIGTERM)
        status, headers, told = raw.answer()

        assert (status, told) == (200, {"predictions": [{"a": 1.0}]})
        assert headers["connection"] == "close"
        assert raw.closed()


def bodies_of(rows: list[list[float]]) -> dict[str, bodies.Form]:
    return bodies.forms(COLUMNS, rows)


def test_a_table_gets_the_same_answer_in_every_form_that_http_has(
    iris_front: Any, connect: Callable[[Any], Raw]
) -> None:
    raw = connect(iris_front)
    told = {}
    for form in bodies_of([SETOSA, VIRGINICA]).values():
        if not form.grpc:
            raw.send(*form.writes("x"))
            told[form.name] = raw.read()

    assert {status for status, _, _ in told.values()} == {200}
    for name, (_, headers, body) in told.items():
        length = headers.get("inference-header-content-length")
        if length is not None:
            assert [value for (value,) in struct.iter_unpack("<q", body[int(length) :])] == [0, 2], name
        elif name.startswith("v2"):
            assert json.loads(body)["outputs"][0]["data"] == [0, 2], name
        else:
            assert json.loads(body) == {"predictions": [0, 2]}, name


def test_every_form_of_a_table_is_one_request_that_arrives_once(iris_front: Any, connect: Callable[[Any], Raw]) -> None:
    raw = connect(iris_front)
    sent = [form for form in bodies_of([SETOSA]).values() if not form.grpc]
    names = ("headrace_requests_arrived_total", "headrace_answers_total", "headrace_requests_completed_total")
    before = [iris_front.metric(name) for name in names]
    for form in sent:
        raw.send(*form.writes("x"))
        raw.read()

    assert [iris_front.metric(name) for name in names] == [count + len(sent) for count in before]


def test_a_refused_inference_is_worded_in_its_own_protocol(iris_front: Any, connect: Callable[[Any], Raw]) -> None:
    raw = connect(iris_front)
    good = bodies_of([SETOSA])["v2 JSON, one tensor"]
    for body in (b"{", b'{"inputs": []}', good.body.replace(b"[1, 4]", b"[1, 5]"), good.body.replace(b"5.1", b'"x"')):
        raw.send(*replace(good, body=body).writes("x"))
        status, _, told = raw.answer()
        assert status == 400
        assert list(told) == ["error"]
    raw.send(*good.writes("x"))
    assert raw.answer()[2]["outputs"][0]["data"] == [0]


def test_requests_cut_anywhere_are_answered_as_whole_ones(iris_front: Any, connect: Callable[[Any], Raw]) -> None:
    raw = connect(iris_front)
    for name in ("split", "split, chunked", "split, gzip"):
        whole = b"".join(bodies_of([VIRGINICA])[name].writes("x"))
        for at in range(20, len(whole), 37):
            raw.socket.sendall(whole[:at])
            time.sleep(0.002)
            raw.socket.sendall(whole[at:])
            assert raw.answer()[2] == {"predictions": [2]}, (name, at)
    for byte in range(0, len(whole), 3):
        raw.socket.sendall(whole[byte : byte + 3])
    assert raw.answer()[2] == {"predictions": [2]}


def test_the_rest_of_a_request_may_come_late_and_with_the_next(iris_front: Any, connect: Callable[[Any], Raw]) -> None:
    raw = connect(iris_front)
    whole = request(SETOSA)
    raw.send(whole[:-5])
    time.sleep(1.5)  # longer than a pause on the network
    raw.send(whole[-5:] + request(VIRGINICA))
    late = [raw.answer()[2] for _ in range(2)]
    raw.send(whole[:-5])
    raw.send(whole[-5:] + request(VIRGINICA) + whole[:-5])
    together = [raw.answer()[2] for _ in range(2)]
    raw.send(whole[-5:])

    assert late == together == [{"predictions": [0]}, {"predictions": [2]}]
    assert raw.answer()[2] == {"predictions": [0]}


def test_a_body_that_is_not_packed_as_its_head_says_is_refused(iris_front: Any, connect: Callable[[Any], Raw]) -> None:
    raw = connect(iris_front)
    form = bodies_of([SETOSA])["split, gzip"]
    for body in (b"plain", form.body[:-1], form.body + b"x"):
        raw.send(*replace(form, body=body).writes("x"))
        assert raw.answer()[0] == 400
    raw.send(*form.writes("x"))
    assert raw.answer()[2] == {"predictions": [0]}


def test_a_request_that_has_begun_is_answered_when_the_pod_drains(
    start_front: Any, iris_model: Path, connect: Callable[[Any], Raw]
) -> None:
    with start_front(iris_model, HEADRACE_GRACE_SECONDS="8") as front:
        raw = connect(front)
        whole = request(SETOSA)
        raw.send(whole)
        assert raw.answer()[0] == 200
        raw.send(whole[:-5])
        front.process.send_signal(signal.SIGTERM)
        eventually(lambda: status_of(front.url + "/ping") != 200)
        raw.send(whole[-5:])
        status, headers, told = raw.answer()

        assert (status, told) == (200, {"predictions": [0]})
        assert headers["connection"] == "close"
        assert raw.closed()


def test_a_caller_that_leaves_in_the_middle_of_a_request_leaves_nothing_behind(
    iris_front: Any, connect: Callable[[Any], Raw]
) -> None:
    arrived = iris_front.metric("headrace_requests_arrived_total")
    for _ in range(20):
        raw = connect(iris_front)
        raw.send(request(SETOSA)[:-5])
        raw.socket.close()
    raw = connect(iris_front)
    raw.send(request(SETOSA))

    assert raw.answer()[0] == 200
    assert iris_front.metric("headrace_requests_arrived_total") == arrived + 1
