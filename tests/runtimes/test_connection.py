"""The short way on a real front, over raw connections: clients write a request in one piece or in several."""

import contextlib
import json
import signal
import socket
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.runtimes.conftest import eventually

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
        return int(status.split()[1]), headers, json.loads(body)

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
    answers = []
    for parts in ((whole,), (whole[:200], whole[200:]), (whole,)):
        raw.send(*parts)
        answers.append(raw.answer())

    for _, headers, _ in answers:
        headers.pop("date")
    assert answers[0] == answers[1] == answers[2]
    assert answers[0][0] == 200
    assert answers[0][2] == {"predictions": [0]}


def test_the_short_way_and_gunicorns_share_a_connection_request_by_request(
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
