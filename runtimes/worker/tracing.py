"""What a model's own spans join: MLflow's tracing exports them over OTLP, below the span of the model's call.

MLflow exports so only with one of OpenTelemetry's exporters in the model's environment. Without one, nothing here costs
a call anything.
"""

from __future__ import annotations

import contextlib
import importlib.util
import os
import sys
from typing import Any

ENDPOINT = "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT"
PROTOCOL = "OTEL_EXPORTER_OTLP_TRACES_PROTOCOL"
_EXPORTERS = (
    ("http/protobuf", "opentelemetry.exporter.otlp.proto.http", "http://%s:4318/v1/traces"),
    ("grpc", "opentelemetry.exporter.otlp.proto.grpc", "http://%s:4317"),
)
"""Protocol, the package that speaks it, and the Collector's address for it: contract.names.OTLP_HTTP_PORT and
OTLP_GRPC_PORT."""


def prepare(environment: Any = os.environ) -> bool:
    """Whether the model's spans are exported. To be called before its libraries are loaded.

    `HEADRACE_COLLECTOR` holds host and port of the platform's Collector. What the deployer set stays.
    """
    host = environment.get("HEADRACE_COLLECTOR", "").rpartition(":")[0]
    if ENDPOINT in environment or not host:
        return ENDPOINT in environment
    for protocol, package, address in _EXPORTERS:
        if _is_there(package):
            endpoint, version = environment.get("HEADRACE_ENDPOINT", ""), environment.get("HEADRACE_VERSION", "")
            environment[ENDPOINT], environment[PROTOCOL] = address.replace("%s", host), protocol
            environment.setdefault("OTEL_SERVICE_NAME", endpoint)
            environment.setdefault(
                "OTEL_RESOURCE_ATTRIBUTES", f"headrace.endpoint={endpoint},headrace.version={version}"
            )
            return True
    return False


def _is_there(package: str) -> bool:
    try:
        return importlib.util.find_spec(package) is not None
    except ImportError:  # one of the packages above it is not there
        return False


def continued(header: str | None) -> Any:
    """A context in which spans that the model begins are below the span that the header `traceparent` names."""
    module = sys.modules.get("mlflow.tracing")
    begin = getattr(module, "set_tracing_context_from_http_request_headers", None)  # of MLflow 3; others export nothing
    if header is None or begin is None:
        return contextlib.nullcontext()
    return begin({"traceparent": header})
