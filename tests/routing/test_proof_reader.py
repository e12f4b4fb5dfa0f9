"""Who is asked for a proof, and when again."""

import contextlib
import http.client
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from patience import eventually
from test_proofs import proof, written

from headrace.contract import names
from headrace.contract.evidence import PROOF_PATH
from headrace.routing.ads import proof_reader
from headrace.routing.ads.proof_reader import AGAIN_SECONDS, LARGEST_BYTES, ProofReader, told_by
from headrace.routing.ads.proofs import Version

V1 = Version("endpoint-fraud", "v1", "models@sha256:v1")


class Pods:
    """Pods by address, and what each tells; a clock that stands still."""

    def __init__(self) -> None:
        self.tell: dict[str, Any] = {}
        self.asked: list[str] = []
        self.now = 100.0
        self.found = threading.Semaphore(0)
        self.reader = ProofReader(self.found.release, ask=self.ask, clock=lambda: self.now)

    def ask(self, host: str, port: int) -> Any:
        assert port == names.FRONT_ADMIN_PORT
        self.asked.append(host)
        if isinstance(self.tell.get(host), Exception):
            raise self.tell[host]
        return self.tell.get(host)

    def look(self, *hosts: str) -> Any:
        """What is known after everybody who is asked has answered."""
        before = self.reader.proof(V1, hosts)
        eventually(lambda: V1 not in self.reader._asking, "answered")
        return before if before is not None else self.reader._proofs.get(V1)


@pytest.fixture
def pods() -> Iterator[Pods]:
    made = Pods()
    yield made
    made.reader.stop()


def test_one_pod_of_a_version_is_asked_once(pods: Pods) -> None:
    [pods.tell["10.0.0.1"]] = written(proof())

    assert pods.look("10.0.0.1", "10.0.0.2") == proof()
    assert pods.found.acquire(timeout=60)
    assert pods.look("10.0.0.1", "10.0.0.2") == proof()
    assert pods.asked == ["10.0.0.1"]


def test_a_pod_of_the_former_image_is_passed_over(pods: Pods) -> None:
    [pods.tell["10.0.0.1"]] = written(proof(image="models@sha256:former"))
    [pods.tell["10.0.0.2"]] = written(proof())

    assert pods.look("10.0.0.1", "10.0.0.2") == proof()


def test_pods_that_tell_nothing_are_asked_again_later_and_later(pods: Pods) -> None:
    pods.tell["10.0.0.1"] = TimeoutError()
    first, longest = AGAIN_SECONDS
    asked = []
    for _ in range(20):
        assert pods.look("10.0.0.1") is None
        pods.now += first
        asked.append(len(pods.asked))

    assert asked[0] == 1
    assert len(pods.asked) == 5, "after 1, 2, 4 and 8 seconds"
    pods.now += longest
    [pods.tell["10.0.0.1"]] = written(proof())
    assert pods.look("10.0.0.1") == proof()


def test_nobody_is_asked_while_no_pod_is_ready(pods: Pods) -> None:
    assert pods.look() is None
    assert pods.asked == []


def test_a_pod_that_sends_a_byte_now_and_then_is_hung_up_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(proof_reader, "SECONDS", 0.5)
    over = threading.Event()

    class Dripping(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            with contextlib.suppress(OSError):
                while not over.wait(0.05):
                    self.wfile.write(b"x")

        def log_message(self, format: str, *arguments: Any) -> None:
            """Nobody reads it."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Dripping)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        with pytest.raises((OSError, http.client.HTTPException)):
            told_by("127.0.0.1", server.server_port)
    finally:
        over.set()
        server.shutdown()
        server.server_close()


def test_what_the_status_has_is_forgotten(pods: Pods) -> None:
    [pods.tell["10.0.0.1"]] = written(proof())
    assert pods.look("10.0.0.1") == proof()

    pods.reader.keep([V1])
    assert pods.reader.proof(V1, ()) == proof()
    pods.reader.keep([])
    assert pods.reader.proof(V1, ()) is None


@pytest.mark.parametrize(
    ("status", "body", "told"),
    [
        (200, b'{"version": "v1"}', {"version": "v1"}),
        (503, b'{"message": "The model is loading."}', None),
        (404, b"{}", None),
        (200, b'"' + b"x" * LARGEST_BYTES + b'"', None),
    ],
    ids=["told", "loading", "an older runtime", "long"],
)
def test_a_pod_is_asked_over_http(status: int, body: bytes, told: Any) -> None:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(status if self.path == PROOF_PATH else 400)
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *arguments: Any) -> None:
            """Nobody reads it."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        assert told_by("127.0.0.1", server.server_port) == told
    finally:
        server.shutdown()
        server.server_close()
