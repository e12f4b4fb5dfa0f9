"""StandInCollector: takes spans and lines of the proxies, OTLP over gRPC; the real one is asked by tests/images and by
tests on the cluster (tests/e2e/test_console.py)."""

# mypy: disable-error-code="import-untyped"
# grpcio carries no types.

import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import grpc
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

_SERVICES = "opentelemetry.proto.collector"


class StandInCollector:
    """Keeps what comes."""

    def __init__(self, address: str) -> None:
        self._spans: list[tuple[str, Any]] = []
        self._lines: list[tuple[str, Any]] = []
        self._lock = threading.Lock()
        served = {"trace.v1.TraceService": self._take_spans, "logs.v1.LogsService": self._take_lines}
        handlers = [
            grpc.method_handlers_generic_handler(
                f"{_SERVICES}.{service}", {"Export": grpc.unary_unary_rpc_method_handler(take)}
            )
            for service, take in served.items()
        ]
        self._server = grpc.server(ThreadPoolExecutor(2), handlers=handlers)
        assert self._server.add_insecure_port(address)
        self._server.start()

    def _take_spans(self, body: bytes, _: Any) -> bytes:
        with self._lock:
            for resource in ExportTraceServiceRequest.FromString(body).resource_spans:
                service = attributes(resource.resource)["service.name"]
                self._spans += [(service, span) for scope in resource.scope_spans for span in scope.spans]
        return b""

    def _take_lines(self, body: bytes, _: Any) -> bytes:
        with self._lock:
            for resource in ExportLogsServiceRequest.FromString(body).resource_logs:
                service = attributes(resource.resource)["service.name"]
                self._lines += [(service, line) for scope in resource.scope_logs for line in scope.log_records]
        return b""

    def spans(self, path: str) -> dict[str, Any]:
        """By service, the spans of requests with that path."""
        with self._lock:
            return {service: span for service, span in self._spans if path in attributes(span).get("http.url", "")}

    def lines(self, request_id: str) -> dict[str, Any]:
        """By service, the lines about the request."""
        with self._lock:
            found = [(service, line) for service, line in self._lines if request_id in attributes(line).values()]
            return dict(found)

    def stop(self) -> None:
        self._server.stop(0).wait()


def attributes(item: Any) -> dict[str, str]:
    """Texts of a span, a line or a resource."""
    return {one.key: one.value.string_value for one in item.attributes}
