"""The proxies' access log: lines (contract.log_line) on stdout about requests that failed or were slow.

Good requests are counted by the statistics, and traced; a line for each would cost more than all else that a proxy does
for it (docs/logs.md). Bodies, the query string, tokens and cookies are left out.
"""

from typing import Final

from headrace.contract import log_line, names
from headrace.routing.snapshot.local_replies import grpc_request
from headrace.routing.snapshot.resources import Body, extension

SLOW_MILLISECONDS: Final = 10_000
"""A request that took so long has a line, whatever its answer: longer than a small model ever needs, shorter than the
timeouts of most clients. The runtime key `headrace.log_from_milliseconds` changes it."""
LOG_FROM_STATUS: Final = 400


def access_log(role: str) -> Body:
    """A logger of every response of 400 and above, every gRPC status but OK, and every request of SLOW_MILLISECONDS."""
    logger = extension(
        "envoy.access_loggers.stdout",
        "envoy.extensions.access_loggers.stream.v3.StdoutAccessLog",
        {"log_format": {"json_format": line(role), "omit_empty_values": True}},
    )
    grpc_call = {"header_filter": {"header": grpc_request()}}
    grpc_fault = {"grpc_status_filter": {"statuses": ["OK"], "exclude": True}}
    told = [
        {"status_code_filter": {"comparison": _from(LOG_FROM_STATUS, "headrace.log_from_status")}},
        {"and_filter": {"filters": [grpc_call, grpc_fault]}},
        {"duration_filter": {"comparison": _from(SLOW_MILLISECONDS, "headrace.log_from_milliseconds")}},
    ]
    return {**logger, "filter": {"or_filter": {"filters": told}}}


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
