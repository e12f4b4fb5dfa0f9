"""Server: /healthz, /readyz, /metrics, /targets/<job> for Prometheus, and POST /wake/<namespace>/<name> for whoever
holds requests of no pod."""

import json
import threading
from collections.abc import Callable, Sequence
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

from headrace.autoscaler import telemetry
from headrace.autoscaler.kube import Key
from headrace.contract import metrics
from headrace.contract.errors import TemporaryError

LARGEST_BODY = 65_536
"""Bytes; a body is read and thrown away."""

TargetGroups = Sequence[dict[str, object]]
"""Of Prometheus' HTTP discovery: `targets` (host and port) with their `labels`."""
Verdict = tuple[bool, str]
"""Well or not, and why, as one line."""


class Server:
    """An HTTP server in threads of its own, so that a busy loop still answers what it is asked about itself."""

    def __init__(
        self,
        port: int,
        *,
        alive: Callable[[], Verdict],
        ready: Callable[[], Verdict],
        wake: Callable[[Key], bool],
        targets: Callable[[str], TargetGroups | None],
    ) -> None:
        """`targets` gives a job's, None for a job that is none."""
        verdicts = {"/healthz": alive, "/readyz": ready}

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            timeout = 10

            def do_GET(self) -> None:
                path = self.path.split("?", 1)[0]
                if path == metrics.METRICS_PATH:
                    self._answer(200, generate_latest(telemetry.registry), kind=CONTENT_TYPE_LATEST)
                elif path.startswith(f"{metrics.TARGETS_PATH}/"):
                    self._answer_targets(path.removeprefix(f"{metrics.TARGETS_PATH}/"))
                elif path in verdicts:
                    well, why = verdicts[path]()
                    self._answer(200 if well else 503, f"{why}\n".encode())
                else:
                    self._answer(404, b"not found\n")

            def _answer_targets(self, job: str) -> None:
                try:
                    groups = targets(job)
                except TemporaryError as error:
                    self._answer(503, f"{error}\n".encode())
                    return
                if groups is None:
                    self._answer(404, b"not found\n")
                else:
                    self._answer(200, json.dumps(groups).encode(), kind="application/json")

            def do_POST(self) -> None:
                length = self.headers.get("content-length", "0")
                if not length.isdecimal() or int(length) > LARGEST_BODY:
                    self.close_connection = True
                    self._answer(400, b"a wake-up call needs no body\n")
                    return
                self.rfile.read(int(length))
                parts = self.path.split("?", 1)[0].strip("/").split("/")
                if len(parts) != 3 or f"/{parts[0]}" != metrics.WAKE_PATH:
                    self._answer(404, b"not found\n")
                    return
                try:
                    known = wake((parts[1], parts[2]))
                except TemporaryError as error:
                    self._answer(503, f"{error}\n".encode())
                    return
                self._answer(202 if known else 404, b"woken\n" if known else b"no such version\n")

            def _answer(self, status: int, body: bytes, *, kind: str = "text/plain; charset=utf-8") -> None:
                self.send_response(status)
                self.send_header("content-type", kind)
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
            name="server",
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
