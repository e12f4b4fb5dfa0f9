"""The lines of an endpoint in the platform's table of logs (contract.telemetry.LOGS), which has what pods have not."""

# ruff: noqa: PLC0415 -- `headrace --help` waits for no store.

import json
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

from headrace.cli.log_lines import COMPONENTS, LogLine
from headrace.contract import log_line, names
from headrace.contract.errors import InputError, PermanentError, TemporaryError
from headrace.contract.telemetry import (
    ENDPOINT_ATTRIBUTE,
    LOGS,
    POD_ATTRIBUTE,
    REQUEST_ID_ATTRIBUTE,
    SEVERITY_ATTRIBUTE,
    VERSION_ATTRIBUTE,
)

ROWS_MOST: Final = 10_000
"""Newest lines that are looked at."""
_COLUMNS: Final = (
    "time, service_name, severity_text, body, trace_id, span_id, attributes, resource, "
    "instrumentation_scope['name'] as scope"
)
_FIELDS: Final = {
    ENDPOINT_ATTRIBUTE: log_line.ENDPOINT,
    VERSION_ATTRIBUTE: log_line.VERSION,
    REQUEST_ID_ATTRIBUTE: log_line.REQUEST_ID,
    f"{REQUEST_ID_ATTRIBUTE}s": log_line.REQUEST_IDS,
    "headrace.requests": log_line.REQUESTS,
    POD_ATTRIBUTE: log_line.POD,
    SEVERITY_ATTRIBUTE: log_line.SEVERITY,
    "exception.stacktrace": log_line.EXCEPTION,
}
"""Attributes of a record or its resource that are fields of a line."""
_ABSENT: Final = "-"
"""What Envoy writes for what a request has not."""
_OF_EVERY_RECORD: Final = frozenset(("service.name", "service.namespace"))


def place(uri: str, tables: Path) -> str:
    """Where the table is: the address that is given, or the folder of that name below it or `tables`; empty where
    nobody knows."""
    if "://" in uri:
        return uri if uri.rstrip("/").endswith(LOGS) else f"{uri.rstrip('/')}/{LOGS}"
    folders = [Path(uri), Path(uri) / LOGS] if uri else [tables / LOGS, *sorted(tables.glob(f"*/{LOGS}"))]
    return next((str(folder) for folder in folders if (folder / "_delta_log").is_dir()), "")


def read(uri: str, endpoint: str, *, seconds: int, options: Mapping[str, str]) -> list[LogLine]:
    """The lines about an endpoint that were written so many seconds ago or later, by time.

    Raises PermanentError where there is no table, TemporaryError where its store does not answer, and InputError for
    what is no endpoint's name.
    """
    from deltalake import DeltaTable, QueryBuilder
    from deltalake.exceptions import TableNotFoundError

    if names.DNS_LABEL.fullmatch(endpoint) is None:  # which makes it harmless in SQL
        raise InputError("headrace logs", [f"ENDPOINT = {endpoint!r}, must be the name of an endpoint"])
    since = datetime.now(UTC) - timedelta(seconds=seconds)
    named, recent = f'%"{ENDPOINT_ATTRIBUTE}":"{endpoint}"%', f"time >= timestamp '{since.isoformat()}'"
    controllers = ", ".join(f"'{name}'" for name in COMPONENTS["controller"])
    sql = (
        f"select {_COLUMNS} from logs where date >= date '{since:%Y-%m-%d}' and {recent} "
        f"and (attributes like '{named}' or resource['attributes'] like '{named}' "
        f"or (service_name in ({controllers}) and body like '%{endpoint}%')) order by time desc limit {ROWS_MOST}"
    )
    try:
        found = QueryBuilder().register("logs", DeltaTable(uri, storage_options=dict(options) or None))
        rows = found.execute(sql).read_all()
    except TableNotFoundError:
        raise PermanentError(f"{uri} holds no table of logs; give the right --uri") from None
    except (OSError, ValueError) as error:
        raise TemporaryError(f"{uri} cannot be read: {' '.join(str(error).split())[:500]}") from error
    columns = {name: rows[name].to_pylist() for name in rows.column_names}
    lines = [_line(dict(zip(columns, values, strict=True))) for values in zip(*columns.values(), strict=True)]
    return sorted((line for line in lines if line.tells_of(endpoint)), key=lambda line: line.time)


def _line(row: Mapping[str, Any]) -> LogLine:
    time = f"{row['time'].astimezone(UTC).replace(tzinfo=None).isoformat(timespec='milliseconds')}Z"
    given = dict(_attributes((row["resource"] or {}).get("attributes")))
    given.update(_attributes(row["attributes"]))
    if row["service_name"] in (names.POP_PROXY, names.LOAD_BALANCER):
        given = {name: value for name, value in given.items() if value != _ABSENT}
    fields: dict[str, Any] = {
        log_line.TIMESTAMP: time,
        log_line.SEVERITY: row["severity_text"] or "INFO",
        log_line.BODY: row["body"] or "",
        log_line.COMPONENT: row["service_name"] or "",
        log_line.SCOPE: row["scope"],
        log_line.TRACE_ID: row["trace_id"],
        log_line.SPAN_ID: row["span_id"],
    }
    fields |= {_FIELDS[name]: value for name, value in given.items() if name in _FIELDS}
    if rest := {name: value for name, value in given.items() if name not in _FIELDS and name not in _OF_EVERY_RECORD}:
        fields[log_line.ATTRIBUTES] = rest
    known = {name: value for name, value in fields.items() if value not in (None, "")}
    return LogLine(time=time, pod=str(fields.get(log_line.POD, "")), fields=known)


def _attributes(text: str | None) -> Iterator[tuple[str, Any]]:
    try:
        found = json.loads(text) if text else {}
    except ValueError:
        found = {}
    yield from found.items() if isinstance(found, dict) else ()
