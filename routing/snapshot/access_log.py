"""The proxies' access log: lines (contract.log_line) about requests that failed or were slow, on stdout and, where the
platform has one, to the Collector.

Good requests are counted by the statistics, and traced; a line for each would cost more than all else that a proxy does
for it (docs/logs.md). Bodies, the query string, tokens and cookies are left out.
"""

from collections.abc import Mapping
from typing import Final

from headrace.contract import log_line, names, telemetry
from headrace.routing.snapshot import tracing
from headrace.routing.snapshot.local_replies import grpc_request
from headrace.routing.snapshot.options import Options
from headrace.routing.snapshot.resources import Body, extension, seconds

SLOW_MILLISECONDS: Final = 10_000
"""A request that took so long has a line, whatever its answer: longer than a small model ever needs, shorter than the
timeouts of most clients. The runtime key `headrace.log_from_milliseconds` changes it."""
LOG_FROM_STATUS: Final = 400


_ATTRIBUTES: Final = {
    log_line.SEVERITY: telemetry.SEVERITY_ATTRIBUTE,
    log_line.ENDPOINT: telemetry.ENDPOINT_ATTRIBUTE,
    log_line.VERSION: telemetry.VERSION_ATTRIBUTE,
    log_line.POD: telemetry.POD_ATTRIBUTE,
    log_line.REQUEST_ID: telemetry.REQUEST_ID_ATTRIBUTE,
}
"""Attributes of a record of OTLP that are fields of a line. Envoy gives a record its time and its trace."""


def access_log(role: str, options: Options) -> list[Body]:
    """Loggers of every response of 400 and above, every gRPC status but OK, and every request of SLOW_MILLISECONDS."""
    loggers = [_to_stdout(role), *([_to_collector(role)] if options.collector else [])]
    return [{**logger, "filter": _told()} for logger in loggers]


def _told() -> Body:
    grpc_call = {"header_filter": {"header": grpc_request()}}
    grpc_fault = {"grpc_status_filter": {"statuses": ["OK"], "exclude": True}}
    told = [
        {"status_code_filter": {"comparison": _from(LOG_FROM_STATUS, "headrace.log_from_status")}},
        {"and_filter": {"filters": [grpc_call, grpc_fault]}},
        {"duration_filter": {"comparison": _from(SLOW_MILLISECONDS, "headrace.log_from_milliseconds")}},
    ]
    return {"or_filter": {"filters": told}}


def _to_stdout(role: str) -> Body:
    return extension(
        "envoy.access_loggers.stdout",
        "envoy.extensions.access_loggers.stream.v3.StdoutAccessLog",
        {"log_format": {"json_format": line(role), "omit_empty_values": True}},
    )


def _to_collector(role: str) -> Body:
    """Envoy gives lines away once a second, and drops them where the Collector is away or slow."""
    said = line(role)
    known = {_ATTRIBUTES[name]: text for name, text in said.items() if name in _ATTRIBUTES} | said[log_line.ATTRIBUTES]
    service = {"envoy_grpc": {"cluster_name": tracing.CLUSTER}, "timeout": seconds(tracing.SEND_SECONDS)}
    return extension(
        "envoy.access_loggers.open_telemetry",
        "envoy.extensions.access_loggers.open_telemetry.v3.OpenTelemetryAccessLogConfig",
        {
            "common_config": {"log_name": "access", "grpc_service": service, "transport_api_version": "V3"},
            "disable_builtin_labels": True,
            "resource_attributes": _pairs({"service.name": role}),
            "body": {"string_value": said[log_line.BODY]},
            "attributes": _pairs(known),
        },
    )


def _pairs(texts: Mapping[str, str]) -> Body:
    return {"values": [{"key": key, "value": {"string_value": text}} for key, text in texts.items()]}


def line(role: str) -> Body:
    """The line as Envoy's format strings. What callers choose in it is bounded, and escaped by Envoy."""
    attributes = {
        "http.request.method": "%REQ(:METHOD)%",
        "url.path": "%PATH(NQ:ORIG_OR_PATH):256%",
        "http.response.status_code": "%RESPONSE_CODE%",
        "rpc.grpc.status_code": "%GRPC_STATUS%",
        "flags": "%RESPONSE_FLAGS%",
        "details": "%RESPONSE_CODE_DETAILS%",
        "duration_ms": "%DURATION%",
        "bytes_received": "%BYTES_RECEIVED%",
        "bytes_sent": "%BYTES_SENT%",
        "upstream": "%UPSTREAM_HOST%",
        "traceparent": "%REQ(TRACEPARENT):55%",
    }
    return {
        log_line.TIMESTAMP: "%START_TIME(%Y-%m-%dT%H:%M:%S.%3fZ)%",
        log_line.SEVERITY: "WARN",
        log_line.BODY: "%REQ(:METHOD)% %PATH(NQ:ORIG_OR_PATH):256%: %RESPONSE_CODE% after %DURATION% ms",
        log_line.COMPONENT: role,
        log_line.SCOPE: "envoy.access",
        log_line.ENDPOINT: f"%REQ({names.ENDPOINT_HEADER})%",
        log_line.VERSION: f"%RESP({names.SERVED_MODEL_HEADER}):64%",
        log_line.POD: "%HOSTNAME%",
        log_line.REQUEST_ID: f"%REQ({names.REQUEST_ID_HEADER}):128%",
        log_line.TRACE_ID: "%TRACE_ID%",
        log_line.ATTRIBUTES: attributes,
    }


def _from(value: int, runtime_key: str) -> Body:
    return {"op": "GE", "value": {"default_value": value, "runtime_key": runtime_key}}
