"""The Collector's configuration as plain data: what comes in, which traces are kept, and where to."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from headrace.components.kubernetes.network_policies import COLLECTOR_METRICS_PORT
from headrace.contract import names, telemetry
from headrace.contract.inference_table import TOKEN_FILE

HEALTH_PORT: Final = 13133
METRICS_PORT: Final = COLLECTOR_METRICS_PORT
"""Its own measures for a Prometheus: what was taken, sent, refused and dropped."""
MEMORY_MIB: Final = 256
"""Of its pod."""
_LIMIT_MIB: Final = 200
"""Of its heap, beyond which it refuses what comes, and counts it, rather than be killed."""
_SPIKE_MIB: Final = 40
DECISION_SECONDS: Final = 4
"""From a trace's first span until it is kept or forgotten. A proxy sends its spans once a second, a sidecar twice; a
longer request's spans that come later follow the decision."""
SLOW_MILLISECONDS: Final = round(1000 * telemetry.SLOW_SECONDS)
"""A request that takes longer is kept, however many there are."""
SPANS_PER_SECOND: Final = 500
"""Of traces that are neither slow nor failed: a hundred requests a second; of more, so many are kept."""
_TRACES: Final = 20_000
"""Traces that wait for their decision: 5,000 requests a second for as long as one waits. Beyond, the oldest goes."""
_TRACES_KNOWN: Final = 50_000
"""Decisions that are remembered, for spans that come late; 16 bytes each."""
_QUEUE_REQUESTS: Final = 50
"""Batches that wait for a backend that is away; more are dropped and counted."""


@dataclass(frozen=True, kw_only=True)
class Backend:
    """Where spans, and logs too, are sent to."""

    name: str
    endpoint: str
    """Base address of OTLP over HTTP; /v1/traces and /v1/logs are below it."""
    headers: Mapping[str, str] = field(default_factory=dict)
    """By header its value, as the Collector reads it: ${env:NAME} is a variable of its pod."""
    takes_logs: bool = True
    json: bool = False
    """Whether it reads OTLP as JSON, and not as protobuf."""
    has_token: bool = False
    """Whether it is shown the pod's own token."""


def tables_backend(address: str) -> Backend:
    """The table writer. As JSON: orjson reads it as fast as protobuf is read, and the writer has it already."""
    return Backend(name="tables", endpoint=f"http://{address}", json=True, has_token=True)


def configuration(backends: Sequence[Backend], *, spans_per_second: int = SPANS_PER_SECOND) -> dict[str, Any]:
    """Of a Collector that sends to all of these."""
    exporters = {f"otlp_http/{backend.name}": _exporter(backend) for backend in backends}
    of_logs = [f"otlp_http/{backend.name}" for backend in backends if backend.takes_logs]
    pipelines: dict[str, Any] = {
        "traces": {
            "receivers": ["otlp"],
            "processors": ["memory_limiter", "tail_sampling", "batch"],
            "exporters": list(exporters),
        }
    }
    if of_logs:
        pipelines["logs"] = {
            "receivers": ["otlp"], "processors": ["memory_limiter", "batch"], "exporters": of_logs,
        }  # fmt: skip
    own = {"level": "warn", "encoding": "json", "disable_caller": True, "disable_stacktrace": True}
    reader = {"pull": {"exporter": {"prometheus": {"host": "0.0.0.0", "port": METRICS_PORT}}}}
    return {
        "extensions": {
            "health_check": {"endpoint": f"0.0.0.0:{HEALTH_PORT}"},
            "bearertokenauth": {"filename": TOKEN_FILE},
        },
        "receivers": {
            "otlp": {
                "protocols": {
                    "grpc": {"endpoint": f"0.0.0.0:{names.OTLP_GRPC_PORT}", "max_recv_msg_size_mib": 16},
                    "http": {"endpoint": f"0.0.0.0:{names.OTLP_HTTP_PORT}", "max_request_body_size": 16 * 1024 * 1024},
                }
            }
        },
        "processors": {
            "memory_limiter": {"check_interval": "1s", "limit_mib": _LIMIT_MIB, "spike_limit_mib": _SPIKE_MIB},
            "tail_sampling": _sampling(spans_per_second),
            "batch": {"timeout": "1s", "send_batch_size": 2048, "send_batch_max_size": 4096},
        },
        "exporters": exporters,
        "service": {
            "extensions": [
                "health_check",
                *(["bearertokenauth"] if any(backend.has_token for backend in backends) else []),
            ],
            "pipelines": pipelines,
            "telemetry": {"logs": own, "metrics": {"level": "normal", "readers": [reader]}},
        },
    }


def _sampling(spans_per_second: int) -> dict[str, Any]:
    """Kept is what any rule keeps: a trace with an error, one that is slow, and of the others so many a second.

    The decision is made when the trace has ended, and not when it begins: a trace that was sampled at its beginning is
    kept by what became of it, and pods send the spans of every failed and every slow request.
    """
    return {
        "decision_wait": f"{DECISION_SECONDS}s",
        "num_traces": _TRACES,
        "decision_cache": {"sampled_cache_size": _TRACES_KNOWN, "non_sampled_cache_size": _TRACES_KNOWN},
        "policies": [
            {"name": "failed", "type": "status_code", "status_code": {"status_codes": ["ERROR"]}},
            {"name": "slow", "type": "latency", "latency": {"threshold_ms": SLOW_MILLISECONDS}},
            {"name": "others", "type": "rate_limiting", "rate_limiting": {"spans_per_second": spans_per_second}},
        ],
    }


def _exporter(backend: Backend) -> dict[str, Any]:
    return {
        "endpoint": backend.endpoint,
        "timeout": "60s",
        "encoding": "json" if backend.json else "proto",
        "compression": "none" if backend.json else "gzip",
        **({"headers": dict(backend.headers)} if backend.headers else {}),
        **({"auth": {"authenticator": "bearertokenauth"}} if backend.has_token else {}),
        "retry_on_failure": {"max_elapsed_time": "120s"},
        "sending_queue": {"queue_size": _QUEUE_REQUESTS, "num_consumers": 2},
    }
