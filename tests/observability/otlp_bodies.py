"""Export requests as the Collector sends them to the table writer: OTLP in its JSON form."""

from typing import Any

import orjson

TRACE = "ab" * 16
BEGAN = 1_796_000_000_250_000_000
"""Nanoseconds since the epoch."""


def attributes(**values: Any) -> list[dict[str, Any]]:
    """By name with _ for a dot."""
    kinds = {str: "stringValue", int: "intValue", bool: "boolValue"}
    return [
        {"key": key.replace("_", "."), "value": {kinds[type(value)]: str(value) if type(value) is int else value}}
        for key, value in values.items()
    ]


def span(name: str = "request", **changed: Any) -> dict[str, Any]:
    """One of ten milliseconds."""
    known = {
        "traceId": TRACE, "spanId": "cd" * 8, "parentSpanId": "", "name": name, "kind": 2,
        "startTimeUnixNano": str(BEGAN), "endTimeUnixNano": str(BEGAN + 10_000_000), "attributes": [], "status": {},
    }  # fmt: skip
    return {**known, **changed}


def spans(*found: dict[str, Any], **resource: Any) -> bytes:
    """A body."""
    known = {"resource": {"attributes": attributes(**resource)}, "scopeSpans": [{"scope": {}, "spans": list(found)}]}
    return orjson.dumps({"resourceSpans": [known]})


def logs(*found: dict[str, Any], **resource: Any) -> bytes:
    """A body."""
    known = {
        "resource": {"attributes": attributes(**resource)},
        "scopeLogs": [{"scope": {}, "logRecords": list(found)}],
    }
    return orjson.dumps({"resourceLogs": [known]})
