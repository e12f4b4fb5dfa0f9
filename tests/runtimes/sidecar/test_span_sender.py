"""The sidecar's spans: sent once, counted where nobody takes them, and never waited for by rows for long."""

from http.server import BaseHTTPRequestHandler, HTTPServer
from threading import Thread

import orjson
import pytest

from headrace.runtimes.sidecar.span_sender import SpanSender
from tests.runtimes.records.record_frames import frame

TRACED = {"trace_id": "ab" * 16, "parent_span": "cd" * 8, "is_sampled": True}


class Taker:
    """A Collector's HTTP port, which answers with `status`."""

    def __init__(self) -> None:
        self.status = 200
        self.bodies: list[bytes] = []
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                outer.bodies.append(self.rfile.read(int(self.headers["content-length"])))
                self.send_response(outer.status)
                self.send_header("content-length", "2")
                self.end_headers()
                self.wfile.write(b"{}")

            def log_message(self, *_: object) -> None: ...

        self.server = HTTPServer(("127.0.0.1", 0), Handler)
        self.address = f"127.0.0.1:{self.server.server_address[1]}"
        Thread(target=self.server.serve_forever, daemon=True).start()


@pytest.fixture
def taker() -> Taker:
    return Taker()


def collector(address: str) -> SpanSender:
    return SpanSender(address, endpoint="fraud", version="v7", place="pod-1")


def test_spans_of_traced_requests_are_sent_together(taker: Taker) -> None:
    of = collector(taker.address)
    of.take([frame(1, **TRACED), frame(2), frame(3, **TRACED)])
    of.take([frame(4)])
    taker.server.shutdown()

    [body] = taker.bodies
    [resource] = orjson.loads(body)["resourceSpans"]
    assert len(resource["scopeSpans"][0]["spans"]) == of.sent == 2
    assert of.lost == 0


def test_what_is_not_taken_is_counted_and_said_once(taker: Taker, caplog: pytest.LogCaptureFixture) -> None:
    of = collector(taker.address)
    taker.status = 503
    of.take([frame(1, **TRACED)])
    taker.server.shutdown()
    taker.server.server_close()
    of.take([frame(2, **TRACED)])

    assert (of.sent, of.lost) == (0, 2)
    assert [line.message for line in caplog.records] == ["spans are lost, the Collector answered 503: {}"]
