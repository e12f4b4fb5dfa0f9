"""Health: /healthz (the process lives), /readyz (it knows enough to configure proxies), /metrics (Prometheus)."""

import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

from headrace.routing import telemetry

Verdict = tuple[bool, str]
"""Well or not, and why, as one line."""


class HealthServer:
    """An HTTP server in a thread of its own, so that a busy event loop still answers what it is asked about itself."""

    def __init__(self, port: int, *, alive: Callable[[], Verdict], ready: Callable[[], Verdict]) -> None:
        verdicts = {"/healthz": alive, "/readyz": ready}

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            timeout = 10

            def do_GET(self) -> None:
                path = self.path.split("?", 1)[0]
                if path == "/metrics":
                    self._answer(200, CONTENT_TYPE_LATEST, generate_latest(telemetry.registry))
                elif path in verdicts:
                    well, why = verdicts[path]()
                    self._answer(200 if well else 503, "text/plain; charset=utf-8", f"{why}\n".encode())
                else:
                    self._answer(404, "text/plain; charset=utf-8", b"not found\n")

            def _answer(self, status: int, content_type: str, body: bytes) -> None:
                self.send_response(status)
                self.send_header("content-type", content_type)
                self.send_header("content-length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: object) -> None:
                """Probes are not news."""

        self._server = ThreadingHTTPServer(("", port), Handler)
        self._server.daemon_threads = True
        self._thread = threading.Thread(
            target=self._server.serve_forever,
            args=(0.05,),  # s until it sees that it is to end
            name="health",
            daemon=True,
        )

    @property
    def port(self) -> int:
        """The port it listens on."""
        return int(self._server.server_address[1])

    def start(self) -> None:
        """Begins to answer."""
        self._thread.start()

    def stop(self) -> None:
        """Closes the port."""
        self._server.shutdown()
        self._server.server_close()
