"""`python -m headrace.observability.tables`: the table writer."""

import logging
import os
import signal
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

from headrace.contract import names
from headrace.contract.errors import HeadraceError
from headrace.contract.telemetry import SPANS
from headrace.kube import log_sender
from headrace.kube.admin_server import AdminServer
from headrace.kube.api_server import ApiServer
from headrace.observability.tables import writer_metrics
from headrace.observability.tables.callers import Callers
from headrace.observability.tables.commits import Commits
from headrace.observability.tables.drift_checks import DriftChecks
from headrace.observability.tables.endpoints import MANAGER, Endpoints, NoTable
from headrace.observability.tables.last_rows import LastRows
from headrace.observability.tables.reception import HttpReception, Reception, Response, TelemetryReception
from headrace.observability.tables.settings import Settings
from headrace.observability.tables.table_set import TableSet
from headrace.observability.tables.telemetry_tables import TelemetryTables
from headrace.observability.tables.trace_rows import TraceRows

log = logging.getLogger("headrace.tables")


@dataclass(frozen=True)
class _Telemetry:
    """What writes spans and logs."""

    tables: TelemetryTables
    commits: Commits


def _telemetry(settings: Settings, callers: Callers, rows: LastRows) -> tuple[_Telemetry | None, TraceRows | None]:
    """What writes spans and logs, and what reads traces; none where no such tables are kept."""
    if not settings.telemetry_folder:
        return None, None
    tables = TelemetryTables(settings.telemetry_folder, settings.storage_options)

    def told(table: str, failure: HeadraceError | None, new: int, seconds: float) -> None:
        writer_metrics.commit_seconds.observe(seconds)
        writer_metrics.telemetry_rows.labels(table).inc(new)
        if failure is not None:
            log.warning("rows of %s are not written: %s", table, failure)

    reads = TraceRows(callers.require_console, rows.row_time, tables.uri(SPANS), settings.storage_options)
    return _Telemetry(tables, Commits(tables.table, told=told)), reads


def _get(rows: LastRows, spans: TraceRows | None) -> Callable[[str, str], Response]:
    """What responds to a reader."""

    def respond(authorization: str, target: str) -> Response:
        asks_trace = spans is not None and target.startswith("/traces/")
        return spans.respond(authorization, target) if asks_trace and spans else rows.respond(authorization, target)

    return respond


def main() -> int:
    """Writes until SIGTERM or SIGINT. Exit status 2 for what cannot work, with one sentence on stderr."""
    log_sender.configure(names.TABLES, os.environ)
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    try:
        settings = Settings.from_environment(os.environ)
        server = ApiServer(MANAGER)
        endpoints = Endpoints(server)
        tables = TableSet(endpoints.table, settings.storage_options, known=endpoints.with_tables)

        def told(endpoint: str, failure: HeadraceError | None, new: int, seconds: float) -> None:
            writer_metrics.commit_seconds.observe(seconds)
            writer_metrics.rows.labels(endpoint).inc(new)
            writer_metrics.commits.labels(endpoint, "committed" if failure is None else type(failure).__name__).inc()
            writer_metrics.waiting.set(commits.rows_waiting)
            if failure is not None:
                log.warning("rows of %s are not written: %s", endpoint, failure)
            if not isinstance(failure, NoTable):
                endpoints.tell(endpoint, failure)

        commits = Commits(tables.table, told=told)
        drift = DriftChecks(endpoints.with_tables, endpoints.table, settings.storage_options)
        callers = Callers(server)
        rows = LastRows(callers.require_console, endpoints.table, settings.storage_options)
        telemetry, spans = _telemetry(settings, callers, rows)
        reception = HttpReception(
            settings.port, Reception(callers.caller, commits.add), get=_get(rows, spans),
            spans=None if telemetry is None else TelemetryReception(callers.require_collector, telemetry.commits.add),
        )  # fmt: skip
        admin = AdminServer(
            settings.health_port,
            alive=lambda: (True, "alive"),
            ready=lambda: (
                endpoints.informer.synced,
                "ready" if endpoints.informer.synced else "waiting for ModelEndpoint objects",
            ),
            registry=writer_metrics.registry,
        )
    except (HeadraceError, OSError) as error:
        print(f"headrace tables: {error}", file=sys.stderr)
        return 2
    written = () if telemetry is None else (telemetry.commits,)
    for part in (admin, endpoints.informer, commits, *written, reception):
        part.start()
    log.info("table writer on port %d, health on port %d", reception.port, admin.port)
    last = time.monotonic()
    while not stop.wait(1.0):
        if time.monotonic() - last > 60.0:
            last = time.monotonic()
            tables.maintain()
            drift.look()
            if telemetry is not None:
                telemetry.tables.maintain()
    for ending in (reception, commits, *written, endpoints.informer, admin):
        ending.stop()
    return 0


if __name__ == "__main__":
    sys.exit(main())
