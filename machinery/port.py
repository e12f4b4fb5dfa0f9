"""Port: /healthz (the process lives), /readyz (it knows enough to do its work), /metrics (Prometheus), and what else
a program adds. In threads of its own, so that a busy loop still answers what it is asked about itself."""

import threading
from collections.abc import Callable
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest

from headrace.contract import metrics

LARGEST_BODY = 65_536
"""Bytes; a body is read and thrown away."""

Verdict = tuple[bool, str]
"""Well or not, and why, as one line."""


@dataclass(frozen=True)
class Answer:
    """What a page says."""

    status: int
    body: bytes
    kind: str = "text/plain; charset=utf-8"


NOT_FOUND = Answer(404, b"not found\n")

Page = Callable[[str], Answer]
"""Answers for a path without its query."""


def _absent(path: str) -> Answer:
    del path
    return NOT_FOUND


class Port:
    """An HTTP server on one port."""

    def __init__(
        self,
        port: int,
        *,
        alive: Callable[[], Verdict],
        ready: Callable[[], Verdict],
        registry: CollectorRegistry,
        get: Page = _absent,
        post: Page = _absent,
    ) -> None:
        """`get` and `post` answer whatever is none of the pages above; 0 as `port` takes a free one."""
        verdicts = {"/healthz": alive, "/readyz": ready}

        def own_page(path: str) -> Answer:
            if path == metrics.METRICS_PATH:
                return Answer(200, generate_latest(registry), CONTENT_TYPE_LATEST)
            if path in verdicts:
                well, why = verdicts[path]()
                return Answer(200 if well else 503, f"{why}\n".encode())
            return get(path)

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            timeout = 10

            def do_GET(self) -> None:
                self._answer(own_page(self.path.split("?", 1)[0]))

            def do_POST(self) -> None:
                length = self.headers.get("content-length", "0")
                if not length.isdecimal() or int(length) > LARGEST_BODY:
                    self.close_connection = True
                    self._answer(Answer(400, b"a call needs no body\n"))
                    return
                self.rfile.read(int(length))
                self._answer(post(self.path.split("?", 1)[0]))

            def _answer(self, answer: Answer) -> None:
                self.send_response(answer.status)
                self.send_header("content-type", answer.kind)
                self.send_header("content-length", str(len(answer.body)))
                self.end_headers()
                self.wfile.write(answer.body)

            def log_message(self, *_: object) -> None:
                """Probes are not news."""

        self._server = ThreadingHTTPServer(("", port), Handler)
        self._server.daemon_threads = True
        self._thread = threading.Thread(
            target=self._server.serve_forever,
            args=(0.05,),  # s until it sees that it is to end
            name="port",
            daemon=True,
        )

    @property
    def number(self) -> int:
        """The port it listens on."""
        return int(self._server.server_address[1])

    def start(self) -> None:
        """Begins to answer."""
        self._thread.start()

    def stop(self) -> None:
        """Closes the port."""
        self._server.shutdown()
        self._server.server_close()
