"""Reception: what is answered to a pod that sends rows, and to the Collector that sends spans and logs.

It waits until they are in the table, or are not.
"""

import json
import logging
from collections.abc import Callable
from concurrent.futures import Future
from concurrent.futures import TimeoutError as FutureTimeout
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any, Final, NamedTuple

from headrace.contract import telemetry
from headrace.contract.errors import InputError, PermanentError, TemporaryError
from headrace.contract.inference_table import BATCH_PATH
from headrace.observability.tables import writer_metrics
from headrace.observability.tables.batch import Batch
from headrace.observability.tables.callers import Caller, NotAPod
from headrace.observability.tables.otlp import OtlpBatch, read

log = logging.getLogger(__name__)

LONGEST_BYTES: Final = 64 * 1024 * 1024
"""Of a batch: what 4 MiB of records become at most as JSON, six characters a byte, and some more."""
PATIENCE_SECONDS: Final = 50.0
"""For a commit; less than a sidecar waits for its answer."""
_BEARER: Final = "Bearer "
TABLES: Final = {
    telemetry.SPANS_PATH: (telemetry.SPANS, telemetry.SPAN_COLUMNS),
    telemetry.LOGS_PATH: (telemetry.LOGS, telemetry.LOG_COLUMNS),
}
"""By path of OTLP, the table of what comes there."""


class Response(NamedTuple):
    status: int
    document: dict[str, Any]


def bearer(authorization: str) -> str:
    """The token in a header; empty where there is none."""
    return authorization.removeprefix(_BEARER)


def refusal(status: int, message: str) -> Response:
    """With the reason, which the sidecar logs."""
    return Response(status, {"message": message})


class Reception:
    """Pure but for whom it asks."""

    def __init__(
        self,
        caller_of: Callable[[str], Caller],
        add: "Callable[[str, Batch], Future[int]]",
        *,
        patience_seconds: float = PATIENCE_SECONDS,
    ) -> None:
        """`caller_of` knows a token's pod; `add` has a batch of an endpoint committed."""
        self._caller_of, self._add, self._patience = caller_of, add, patience_seconds

    def respond(self, authorization: str, lines: bytes) -> Response:
        """200 with the sequence up to which the pod's rows are in the table; 400 for what are no rows; 401 for callers
        that are no model pod; 503 where the rows are to be sent again."""
        try:
            caller = self._caller_of(bearer(authorization))
            batch = Batch.read(lines, pod_uid=caller.pod_uid)
            return Response(200, {"sequence": self._add(caller.endpoint, batch).result(timeout=self._patience)})
        except NotAPod as error:
            return refusal(401, str(error))
        except InputError as error:
            return refusal(400, str(error))
        except TemporaryError as error:
            return refusal(503, str(error))
        except FutureTimeout:
            return refusal(503, f"the rows were not in the table after {self._patience:g} s")


class TelemetryReception:
    """What is answered to the Collector."""

    def __init__(
        self,
        require_sender: Callable[[str], None],
        add: "Callable[[str, OtlpBatch], Future[int]]",
        *,
        patience_seconds: float = PATIENCE_SECONDS,
    ) -> None:
        """`require_sender` raises a PermanentError for others' tokens; `add` has a batch of a table committed."""
        self._require_sender, self._add, self._patience = require_sender, add, patience_seconds

    def respond(self, path: str, authorization: str, body: bytes) -> Response:
        """200, as OTLP has it, when the rows are in the table; 400 for what are none, and 401 for other senders, which
        the Collector gives up; 503 where it is to send them again."""
        table, columns = TABLES[path]
        try:
            self._require_sender(bearer(authorization))
            batch = read(body, columns)
            if batch.last:
                self._add(table, batch).result(timeout=self._patience)
            return Response(200, {})
        except InputError as error:
            return refusal(400, str(error))
        except PermanentError as error:
            return refusal(401, str(error))
        except TemporaryError as error:
            return refusal(503, str(error))
        except FutureTimeout:
            return refusal(503, f"the rows were not in the table after {self._patience:g} s")


class HttpReception:
    """Reception over HTTP, a thread a connection."""

    def __init__(
        self,
        port: int,
        reception: Reception,
        *,
        spans: TelemetryReception | None = None,
        longest_bytes: int = LONGEST_BYTES,
        get: Callable[[str, str], Response] = lambda *_: refusal(404, "POST rows to " + BATCH_PATH),
    ) -> None:
        """`get` responds to GET of a target, which has its query, with what the header Authorization says."""

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            timeout = 120

            def do_POST(self) -> None:
                length = self.headers.get("content-length", "")
                is_telemetry = spans is not None and self.path in TABLES
                is_known = self.path == BATCH_PATH or is_telemetry
                if not is_known or not length.isdigit() or int(length) > longest_bytes:
                    self.close_connection = True  # the body is not read
                    self._send(refusal(413 if is_known else 404, "POST rows to " + BATCH_PATH))
                    return
                lines = self.rfile.read(int(length))
                authorization = self.headers.get("authorization", "")
                if is_telemetry and spans is not None:
                    self._send(spans.respond(self.path, authorization, lines))
                else:
                    self._send(reception.respond(authorization, lines))

            def do_GET(self) -> None:
                self._send(get(self.headers.get("authorization", ""), self.path))

            def _send(self, response: Response) -> None:
                if response.status != 200:
                    writer_metrics.refused.labels(str(response.status)).inc()
                body = json.dumps(response.document).encode()
                self.send_response(response.status)
                self.send_header("content-type", "application/json")
                self.send_header("content-length", str(len(body)))
                if self.close_connection:
                    self.send_header("connection", "close")
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: object) -> None:
                """Batches are counted, not logged."""

        self._server = ThreadingHTTPServer(("", port), Handler)
        self._server.daemon_threads = True
        self._thread = Thread(target=self._server.serve_forever, name="reception", daemon=True)

    @property
    def port(self) -> int:
        return int(self._server.server_address[1])

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._server.shutdown()
        self._server.server_close()
