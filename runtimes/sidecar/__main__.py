"""`python -m headrace.runtimes sidecar`: carries records, lines and spans until SIGTERM, then what is left."""

import logging
import os
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable, Mapping
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Final

from headrace.contract import inference_table, log_line, metrics, names, telemetry
from headrace.contract.log_receiver import LogReceiver
from headrace.runtimes.pod import logs
from headrace.runtimes.sidecar.carrier import Carrier
from headrace.runtimes.sidecar.log_carrier import LogCarrier
from headrace.runtimes.sidecar.span_carrier import SpanCarrier
from headrace.runtimes.sidecar.span_sender import SpanSender
from headrace.runtimes.sidecar.table_writer import TableWriter

log = logging.getLogger("headrace.sidecar")

_LAST_LINES_SECONDS: Final = 3.0
"""For the last lines and spans of a pod, when its last records are out."""


def exposition(
    environment: Mapping[str, str],
    *,
    records: Carrier | None = None,
    lines: LogCarrier | None = None,
    spans: SpanSender | None = None,
) -> str:
    """The metrics of what the sidecar carries, in Prometheus' text format."""
    labels = f'{metrics.ENDPOINT_METRIC_LABEL}="{environment.get(names.ENV_ENDPOINT, "")}"'
    labels += f',{metrics.VERSION_METRIC_LABEL}="{environment.get(names.ENV_VERSION, "")}"'
    told: list[tuple[str, str, str, int]] = []
    refused = ',reason="refused"'
    if records is not None:
        settled = records.settlement
        told += [
            (metrics.RECORDS_WRITTEN, "counter", "", settled.written),
            (metrics.RECORDS_TOO_LARGE, "counter", "", settled.too_large),
            (metrics.RECORDS_DROPPED, "counter", refused, settled.dropped),
            (metrics.RECORDS_PENDING, "gauge", "", records.pending()),
        ]
    if spans is not None:
        told += [(metrics.SPANS_SENT, "counter", "", spans.sent), (metrics.SPANS_LOST, "counter", "", spans.lost)]
    if lines is not None:
        told += [
            (metrics.LOG_LINES_SENT, "counter", "", lines.settlement.written),
            (metrics.LOG_LINES_DROPPED, "counter", refused, lines.settlement.dropped),
            (metrics.LOG_LINES_PENDING, "gauge", "", lines.pending()),
        ]
    return "".join(f"# TYPE {name} {kind}\n{name}{{{labels}{extra}}} {value}\n" for name, kind, extra, value in told)


def _serve_metrics(told: Callable[[], str], port: int) -> None:
    class Handler(BaseHTTPRequestHandler):
        timeout = 10

        def do_GET(self) -> None:
            body = told().encode() if self.path == metrics.METRICS_PATH else b"not found\n"
            self.send_response(200 if self.path == metrics.METRICS_PATH else 404)
            self.send_header("content-type", "text/plain; version=0.0.4")
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Scrapes are not logged."""

    server = ThreadingHTTPServer(("", port), Handler)
    threading.Thread(target=server.serve_forever, name="metrics", daemon=True).start()


def _folder(directory: Path, inner: str) -> Path:
    """Where the front leaves what is to be sent on."""
    folder = directory / Path(inner).name
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def _records(directory: Path, environment: Mapping[str, str]) -> Carrier | None:
    """None for an endpoint without an inference table."""
    if not environment.get(inference_table.ENV_TABLE_WRITER):
        return None
    token_file = Path(environment.get("HEADRACE_TOKEN_FILE", inference_table.TOKEN_FILE))
    writer = TableWriter(environment[inference_table.ENV_TABLE_WRITER], token_file)
    return Carrier(directory, writer, pod_uid=environment[inference_table.ENV_POD_UID])


def _faults(environment: Mapping[str, str]) -> list[str]:
    """What keeps the sidecar from its work."""
    table, collector = inference_table.ENV_TABLE_WRITER, telemetry.ENV_COLLECTOR
    if not environment.get(table) and not environment.get(collector):
        return [f"{table} or {collector}"]
    missing = environment.get(table) and not environment.get(inference_table.ENV_POD_UID)
    return [inference_table.ENV_POD_UID] if missing else []


def main(environment: Mapping[str, str]) -> int:
    """Carries until SIGTERM; 2 where it is not told to whom."""
    logs.configure(log_line.SIDECAR, environment)
    if missing := _faults(environment):
        log.error("the sidecar needs %s: set by the pod's template", " and ".join(missing))
        return 2
    stopping = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stopping.set())
    directory = Path(environment.get("HEADRACE_RECORDS_DIRECTORY", inference_table.RECORDS_DIRECTORY))
    directory.mkdir(parents=True, exist_ok=True)
    records = _records(directory, environment)
    lines: LogCarrier | None = None
    spans: SpanCarrier | None = None
    sender: SpanSender | None = None
    if address := environment.get(telemetry.ENV_COLLECTOR, ""):
        lines = LogCarrier(_folder(directory, log_line.SPOOL_DIRECTORY), LogReceiver(address))
        sender = SpanSender(
            address,
            endpoint=environment.get(names.ENV_ENDPOINT, ""),
            version=environment.get(names.ENV_VERSION, ""),
            place=socket.gethostname(),
        )
        spans = SpanCarrier(_folder(directory, telemetry.SPAN_SPOOL_DIRECTORY), sender.take)
    if port := int(environment.get("HEADRACE_SIDECAR_PORT", str(names.SIDECAR_PORT))):
        _serve_metrics(partial(exposition, environment, records=records, lines=lines, spans=sender), port)
    sending = [
        threading.Thread(target=each.run, args=(stopping,), daemon=True) for each in (lines, spans) if each is not None
    ]
    for thread in sending:
        thread.start()
    if records is not None:
        records.run(stopping)
    stopping.wait()
    end = time.monotonic() + _LAST_LINES_SECONDS
    for thread in sending:
        thread.join(max(0.0, end - time.monotonic()))
    return 0


if __name__ == "__main__":
    sys.exit(main(os.environ))
