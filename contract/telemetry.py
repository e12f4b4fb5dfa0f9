"""Telemetry: how spans and logs travel, and the tables that they become.

proxies, sidecars, models, controllers → OTLP → Collector → OTLP → table writer → Delta tables; and to backends of the
user's. The columns are those of Databricks' OpenTelemetry tables, in their order. What is VARIANT there is JSON text
here: the protocol features that VARIANT needs are none that every reader of Delta tables has.
"""

from collections.abc import Mapping
from typing import Final

SPANS_PATH: Final = "/v1/traces"
LOGS_PATH: Final = "/v1/logs"
"""Of OTLP over HTTP, at the Collector and at the table writer."""
ENV_COLLECTOR: Final = "HEADRACE_COLLECTOR"
"""Of sidecars, models and the control plane: host and port of the Collector. Absent: nothing is traced."""
ENV_LOG_COLLECTOR: Final = "HEADRACE_LOG_COLLECTOR"
"""Of controllers: host and port at which the Collector takes lines of the log, OTLP over HTTP. Absent: their lines are
in their pods alone."""
ENV_TELEMETRY_TABLES: Final = "HEADRACE_TELEMETRY_TABLES"
"""Of the table writer: the folder in which the tables SPANS and LOGS are. Absent: none are written."""
ENDPOINT_ATTRIBUTE: Final = "headrace.endpoint"
"""Of spans and logs, or of their resource: the endpoint that they are about."""
VERSION_ATTRIBUTE: Final = "headrace.version"
REQUEST_ID_ATTRIBUTE: Final = "headrace.request_id"
POD_ATTRIBUTE: Final = "k8s.pod.name"
SEVERITY_ATTRIBUTE: Final = "headrace.severity"
"""Of a proxy's lines: Envoy gives a record of OTLP no severity."""
SPAN_SPOOL_DIRECTORY: Final = "/var/lib/headrace/records/spans"
"""In a pod with a sidecar: what spans are made of, written by the front and deleted by the sidecar. It holds times and
ids of requests, and no body and no caller."""
ENV_SPAN_SPOOL: Final = "HEADRACE_SPAN_SPOOL"
"""Of a front: the folder of what spans are made of; empty or absent: it makes none."""
FORCE_HEADER: Final = "x-client-trace-id"
"""Envoy's: a request that has it, whatever its value, is sampled."""
SLOW_SECONDS: Final = 1.0
"""A request that takes longer has spans of its pod, sampled or not, and the Collector keeps its trace."""

SPANS: Final = "otel_spans"
LOGS: Final = "otel_logs"
DATE: Final = "date"
"""The column by which files are grouped into folders."""
_STATUS: Final = "struct<message:string,code:string>"
_RESOURCE: Final = "struct<attributes:string,dropped_attributes_count:integer>"
_SCOPE: Final = "struct<name:string,version:string,attributes:string,dropped_attributes_count:integer>"

SPAN_COLUMNS: Final[Mapping[str, str]] = {
    "record_id": "string",
    "time": "timestamp",
    "date": "date",
    "service_name": "string",
    "trace_id": "string",
    "span_id": "string",
    "trace_state": "string",
    "parent_span_id": "string",
    "flags": "integer",
    "name": "string",
    "kind": "string",
    "start_time_unix_nano": "long",
    "end_time_unix_nano": "long",
    "attributes": "string",
    "dropped_attributes_count": "integer",
    "events": "string",
    "dropped_events_count": "integer",
    "links": "string",
    "dropped_links_count": "integer",
    "status": _STATUS,
    "resource": _RESOURCE,
    "resource_schema_url": "string",
    "instrumentation_scope": _SCOPE,
    "span_schema_url": "string",
}
"""Type of each column of SPANS. `attributes`, `events` and `links` are JSON texts."""
LOG_COLUMNS: Final[Mapping[str, str]] = {
    "record_id": "string",
    "time": "timestamp",
    "date": "date",
    "service_name": "string",
    "event_name": "string",
    "trace_id": "string",
    "span_id": "string",
    "time_unix_nano": "long",
    "observed_time_unix_nano": "long",
    "severity_number": "string",
    "severity_text": "string",
    "body": "string",
    "attributes": "string",
    "dropped_attributes_count": "integer",
    "flags": "integer",
    "resource": _RESOURCE,
    "resource_schema_url": "string",
    "instrumentation_scope": _SCOPE,
    "log_schema_url": "string",
}
"""Type of each column of LOGS. `body` is a text, or JSON where it was none; `attributes` is JSON text."""


def trace_path(endpoint: str, trace_id: str) -> str:
    """Of the table writer, for the console: GET with `requester`, whose row of the endpoint has that trace."""
    return f"/traces/{endpoint}/{trace_id}"
