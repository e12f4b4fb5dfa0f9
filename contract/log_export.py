"""Lines of the log (contract.log_line) as one OTLP request in JSON (https://opentelemetry.io/docs/specs/otlp/#json-protobuf-encoding).

A field of a line is the field of the same name of a log record, an attribute of its resource (what wrote it) or one of
its own (all else). Pure.
"""

import json
import math
import re
from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any, Final, NamedTuple

from headrace.contract import log_line, telemetry

NAMESPACE: Final = "headrace"
"""service.namespace of every record."""
_RESOURCE: Final = {
    log_line.COMPONENT: "service.name",
    log_line.ENDPOINT: telemetry.ENDPOINT_ATTRIBUTE,
    log_line.VERSION: telemetry.VERSION_ATTRIBUTE,
    log_line.POD: telemetry.POD_ATTRIBUTE,
}
_OWN: Final = {
    log_line.REQUEST_ID: telemetry.REQUEST_ID_ATTRIBUTE,
    log_line.REQUEST_IDS: f"{telemetry.REQUEST_ID_ATTRIBUTE}s",
    log_line.REQUESTS: "headrace.requests",
    log_line.EXCEPTION: "exception.stacktrace",
}
_TRACE_ID: Final = re.compile(r"(?!0{32})[0-9a-f]{32}")
_SPAN_ID: Final = re.compile(r"(?!0{16})[0-9a-f]{16}")
_INTEGERS: Final = range(-(2**63), 2**63)
"""What an intValue can hold; one number beyond would cost the whole request."""


class Exported(NamedTuple):
    """A request."""

    body: bytes
    records: int
    unreadable: int
    """Lines that are in no record: a program of another release wrote them."""


def export(lines: Iterable[bytes]) -> Exported:
    """The request of these lines, one resource for each program, in their order."""
    resources: dict[tuple[str, ...], dict[str, list[dict[str, Any]]]] = {}
    records = unreadable = 0
    for text in lines:
        try:
            line = json.loads(text)
            record = _record(line)
        except (ValueError, TypeError, LookupError, AttributeError):
            unreadable += 1
            continue
        whose = tuple(str(line.get(field, "")) for field in _RESOURCE)
        resources.setdefault(whose, {}).setdefault(str(line.get(log_line.SCOPE, "")), []).append(record)
        records += 1
    document = {"resourceLogs": [_resource(whose, scopes) for whose, scopes in resources.items()]}
    return Exported(json.dumps(document, separators=(",", ":")).encode(), records, unreadable)


def _resource(whose: tuple[str, ...], scopes: Mapping[str, list[dict[str, Any]]]) -> dict[str, Any]:
    known = {name: value for name, value in zip(_RESOURCE.values(), whose, strict=True) if value}
    logs = [{"scope": {"name": scope}, "logRecords": records} for scope, records in scopes.items()]
    return {"resource": {"attributes": _attributes({**known, "service.namespace": NAMESPACE})}, "scopeLogs": logs}


def _record(line: Mapping[str, Any]) -> dict[str, Any]:
    seconds = datetime.fromisoformat(line[log_line.TIMESTAMP]).timestamp()
    nanos = str(round(seconds * 1000) * 1_000_000)
    severity = str(line[log_line.SEVERITY])
    own = {name: line[field] for field, name in _OWN.items() if field in line}
    record: dict[str, Any] = {
        "timeUnixNano": nanos,
        "observedTimeUnixNano": nanos,
        "severityNumber": log_line.SEVERITIES.get(severity, 0),
        "severityText": severity,
        "body": {"stringValue": str(line[log_line.BODY])},
        "attributes": _attributes({**line.get(log_line.ATTRIBUTES, {}), **own}),
    }
    for field, name, form in ((log_line.TRACE_ID, "traceId", _TRACE_ID), (log_line.SPAN_ID, "spanId", _SPAN_ID)):
        if form.fullmatch(str(line.get(field, ""))):
            record[name] = line[field]
    return record


def _attributes(values: Mapping[str, Any]) -> list[dict[str, Any]]:
    return [{"key": str(key), "value": _value(value)} for key, value in values.items()]


def _value(value: Any) -> dict[str, Any]:
    """An AnyValue; numbers of 64 bits are texts in JSON."""
    if isinstance(value, bool):
        return {"boolValue": value}
    if isinstance(value, int) and value in _INTEGERS:
        return {"intValue": str(value)}
    if isinstance(value, float) and math.isfinite(value):  # JSON has no others
        return {"doubleValue": value}
    if isinstance(value, list):
        return {"arrayValue": {"values": [_value(each) for each in value]}}
    if isinstance(value, Mapping):
        return {"kvlistValue": {"values": _attributes(value)}}
    return {"stringValue": "" if value is None else str(value)}
