"""`python -m headrace.runtimes sidecar`: carries records until SIGTERM, and then what is left of them."""

import logging
import os
import signal
import socket
import sys
import threading
from collections.abc import Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Final

from headrace.contract import inference_table, log_line, metrics, names, telemetry
from headrace.contract.log_receiver import LogReceiver
from headrace.runtimes.pod import logs
from headrace.runtimes.sidecar.carrier import Carrier
from headrace.runtimes.sidecar.log_carrier import LogCarrier
from headrace.runtimes.sidecar.span_sender import SpanSender
from headrace.runtimes.sidecar.table_writer import TableWriter

log = logging.getLogger("headrace.sidecar")

_LAST_LINES_SECONDS: Final = 3.0
"""For the last lines of a pod, when its last records are out."""


def exposition(carrier: Carrier, environment: Mapping[str, str], collector: SpanSender | None = None) -> str:
    """The sidecar's metrics in Prometheus' text format."""
    labels = f'{metrics.ENDPOINT_METRIC_LABEL}="{environment.get(names.ENV_ENDPOINT, "")}"'
    labels += f',{metrics.VERSION_METRIC_LABEL}="{environment.get(names.ENV_VERSION, "")}"'
    settled = carrier.settlement
    told = (
        (metrics.RECORDS_WRITTEN, "counter", "", settled.written),
        (metrics.RECORDS_TOO_LARGE, "counter", "", settled.too_large),
        (metrics.RECORDS_DROPPED, "counter", ',reason="refused"', settled.dropped),
        (metrics.RECORDS_PENDING, "gauge", "", carrier.pending()),
        (metrics.SPANS_SENT, "counter", "", 0 if collector is None else collector.sent),
        (metrics.SPANS_LOST, "counter", "", 0 if collector is None else collector.lost),
    )
    return "".join(f"# TYPE {name} {kind}\n{name}{{{labels}{extra}}} {value}\n" for name, kind, extra, value in told)


def log_exposition(carrier: LogCarrier, environment: Mapping[str, str]) -> str:
    """The metrics of lines that are sent on."""
    labels = f'{metrics.ENDPOINT_METRIC_LABEL}="{environment.get(names.ENV_ENDPOINT, "")}"'
    labels += f',{metrics.VERSION_METRIC_LABEL}="{environment.get(names.ENV_VERSION, "")}"'
    told = (
        (metrics.LOG_LINES_SENT, "counter", "", carrier.settlement.written),
        (metrics.LOG_LINES_DROPPED, "counter", ',reason="refused"', carrier.settlement.dropped),
        (metrics.LOG_LINES_PENDING, "gauge", "", carrier.pending()),
    )
    return "".join(f"# TYPE {name} {kind}\n{name}{{{labels}{extra}}} {value}\n" for name, kind, extra, value in told)


def _log_carrier(directory: Path, environment: Mapping[str, str]) -> LogCarrier | None:
    """None where lines are not sent on."""
    address = environment.get(telemetry.ENV_COLLECTOR, "")
    if not address:
        return None
    folder = directory / Path(log_line.SPOOL_DIRECTORY).name
    folder.mkdir(parents=True, exist_ok=True)
    return LogCarrier(folder, LogReceiver(address))


def _serve_metrics(
    carrier: Carrier,
    logs_sent: LogCarrier | None,
    collector: SpanSender | None,
    environment: Mapping[str, str],
    port: int,
) -> None:
    class Handler(BaseHTTPRequestHandler):
        timeout = 10

        def do_GET(self) -> None:
            told = exposition(carrier, environment, collector)
            told += "" if logs_sent is None else log_exposition(logs_sent, environment)
            body = told.encode() if self.path == metrics.METRICS_PATH else b"not found\n"
            self.send_response(200 if self.path == metrics.METRICS_PATH else 404)
            self.send_header("content-type", "text/plain; version=0.0.4")
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Scrapes are not logged."""

    server = ThreadingHTTPServer(("", port), Handler)
    threading.Thread(target=server.serve_forever, name="metrics", daemon=True).start()


def _collector(environment: Mapping[str, str]) -> SpanSender | None:
    """None where the platform has none."""
    if not environment.get(telemetry.ENV_COLLECTOR):
        return None
    return SpanSender(
        environment[telemetry.ENV_COLLECTOR],
        endpoint=environment.get(names.ENV_ENDPOINT, ""),
        version=environment.get(names.ENV_VERSION, ""),
        place=socket.gethostname(),
    )


def main(environment: Mapping[str, str]) -> int:
    """Carries until SIGTERM; 2 where it is not told to whom."""
    logs.configure(log_line.SIDECAR, environment)
    wanted = (inference_table.ENV_TABLE_WRITER, inference_table.ENV_POD_UID)
    if missing := [name for name in wanted if not environment.get(name)]:
        log.error("the sidecar needs %s: set by the pod's template", " and ".join(missing))
        return 2
    stopping = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stopping.set())
    directory = Path(environment.get("HEADRACE_RECORDS_DIRECTORY", inference_table.RECORDS_DIRECTORY))
    directory.mkdir(parents=True, exist_ok=True)
    token_file = Path(environment.get("HEADRACE_TOKEN_FILE", inference_table.TOKEN_FILE))
    writer = TableWriter(environment[inference_table.ENV_TABLE_WRITER], token_file)
    collector = _collector(environment)
    carrier = Carrier(
        directory, writer, pod_uid=environment[inference_table.ENV_POD_UID],
        spans=None if collector is None else collector.take,
    )  # fmt: skip
    port = int(environment.get("HEADRACE_SIDECAR_PORT", str(names.SIDECAR_PORT)))
    lines = _log_carrier(directory, environment)
    if port:
        _serve_metrics(carrier, lines, collector, environment, port)
    sending = None
    if lines is not None:
        sending = threading.Thread(target=lines.run, args=(stopping,), name="lines", daemon=True)
        sending.start()
    carrier.run(stopping)
    if sending is not None:
        sending.join(_LAST_LINES_SECONDS)
    return 0


if __name__ == "__main__":
    sys.exit(main(os.environ))
