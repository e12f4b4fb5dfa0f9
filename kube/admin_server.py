"""AdminServer: /healthz (the process lives), /readyz (it can do its work), /metrics (Prometheus), and what else a
program adds. It answers in threads of its own, so that probes and scrapes do not wait for the program's main loop."""

import functools
import threading
from collections.abc import Callable
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest

from headrace.contract import metrics
from headrace.kube import log_sender

ProbeResult = tuple[bool, str]
"""Whether a probe succeeds, and why, as one line."""


@dataclass(frozen=True)
class Response:
    status: int
    body: bytes
    content_type: str = "text/plain; charset=utf-8"


NOT_FOUND = Response(404, b"not found\n")

Handler = Callable[[str], Response]
"""The response to a request for a path, which comes without its query."""


class AdminServer:
    def __init__(
        self,
        port: int,
        *,
        alive: Callable[[], ProbeResult],
        ready: Callable[[], ProbeResult],
        registry: CollectorRegistry,
        get: Handler = lambda _: NOT_FOUND,
    ) -> None:
        """`get` handles every other path; `port` 0 takes a free one."""
        probes = {"/healthz": alive, "/readyz": ready}

        def respond(path: str) -> Response:
            if path == metrics.METRICS_PATH:
                told = generate_latest(registry) + generate_latest(log_sender.registry)
                return Response(200, told, CONTENT_TYPE_LATEST)
            if path in probes:
                success, why = probes[path]()
                return Response(200 if success else 503, f"{why}\n".encode())
            return get(path)

        class RequestHandler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            timeout = 10

            def do_GET(self) -> None:
                response = respond(self.path.split("?", 1)[0])
                self.send_response(response.status)
                self.send_header("content-type", response.content_type)
                self.send_header("content-length", str(len(response.body)))
                self.end_headers()
                self.wfile.write(response.body)

            def log_message(self, *_: object) -> None:
                """Probes and scrapes are not logged."""

        self._server = ThreadingHTTPServer(("", port), RequestHandler)
        self._server.daemon_threads = True
        serve = functools.partial(self._server.serve_forever, poll_interval=0.05)  # how soon `stop` is noticed
        self._thread = threading.Thread(target=serve, name="admin server", daemon=True)

    @property
    def port(self) -> int:
        return int(self._server.server_address[1])

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._server.shutdown()
        self._server.server_close()
