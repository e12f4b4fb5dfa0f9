"""Limits are set through the admin ports of pods, over HTTP."""

import json
import queue
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from headrace.autoscaler.fronts import HttpFronts
from headrace.contract import metrics


class Front:
    """A pod's admin port that answers with `status` and notes what it is asked."""

    def __init__(self) -> None:
        self.status = 200
        self.asked: queue.Queue[tuple[str, bytes]] = queue.Queue()
        front = self

        class Handler(BaseHTTPRequestHandler):
            def do_PUT(self) -> None:
                body = self.rfile.read(int(self.headers["content-length"]))
                self.send_response(front.status)
                self.send_header("content-length", "0")
                self.end_headers()
                front.asked.put((self.path, body))

            def log_message(self, *_: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.server.serve_forever, args=(0.02,), daemon=True).start()


@pytest.fixture
def front() -> Iterator[Front]:
    found = Front()
    yield found
    found.server.shutdown()
    found.server.server_close()


def test_a_pod_is_asked_to_admit_so_many(front: Front) -> None:
    HttpFronts(port=front.server.server_address[1]).set_limit("127.0.0.1", 12)

    path, body = front.asked.get(timeout=10)
    assert path == metrics.CONCURRENCY_PATH
    assert json.loads(body) == {metrics.CONCURRENCY_FIELD: 12}


def test_a_pod_that_refuses_or_is_away_is_logged_and_stops_no_other(
    front: Front, caplog: pytest.LogCaptureFixture
) -> None:
    front.status = 409
    fronts = HttpFronts(port=front.server.server_address[1])
    fronts.set_limit("127.0.0.1", 12)
    fronts.set_limit("127.0.0.2", 12)  # nobody listens there
    fronts.close()

    assert "pod 127.0.0.1 refused the limit 12 with status 409" in caplog.text
    assert "limit of pod 127.0.0.2 not set" in caplog.text
