"""Tracing: each proxy makes a span of a sampled request to an endpoint, and sends it to the Collector over OTLP.

The PopProxy samples TRACED_PERCENT of all requests, and each whose caller asks for it (telemetry.FORCE_HEADER); the
LoadBalancer and the pod follow the flag in its W3C trace context. A caller's context is continued; where that says that
the trace is not sampled it stays so, and where it says that it is, PopProxy decides all the same: else a caller whose
programs trace everything would pay for it with everybody's proxies. No caller waits for a span: Envoy gives them away
once a second, and drops them where the Collector is away or slow.
"""

from typing import Final

from headrace.contract import names, telemetry
from headrace.routing.snapshot.options import Options
from headrace.routing.snapshot.resources import Body, Resource, extension, seconds, typed

CLUSTER: Final = names.COLLECTOR
TRACED_PERCENT: Final = 10.0
"""A span costs the PopProxy 40 % of what it does for a request
(`python -m bench.path.instructions`); failed and slow requests have spans of the pod without it."""
SEND_SECONDS: Final = 2.0
"""For the Collector to take a batch of spans."""
_BATCHES: Final = 8
"""On their way to the Collector at once; more are dropped."""
_PROTOCOLS: Final = "envoy.extensions.upstreams.http.v3.HttpProtocolOptions"
_UUID: Final = "envoy.extensions.request_id.uuid.v3.UuidRequestIdConfig"
_NEVER: Final = {"numerator": 0, "denominator": "HUNDRED"}
UNTRACED: Final[Body] = {"random_sampling": _NEVER, "client_sampling": _NEVER, "overall_sampling": _NEVER}
"""A route's `tracing`: none, for pages that are asked for every few seconds, and for what names no endpoint."""


def collector_resources(options: Options) -> tuple[Resource, ...]:
    """The cluster of each proxy; none where there is no Collector."""
    return (Resource.of(CLUSTER, collector_cluster(options)),) if options.collector else ()


def collector_cluster(options: Options) -> Body:
    """The Collector, by the name of its Service: no request waits for its resolution."""
    host, _, port = options.collector.rpartition(":")
    socket = {"address": host, "port_value": int(port)}
    bounds = dict.fromkeys(("max_connections", "max_pending_requests", "max_requests"), _BATCHES)
    http2 = {"connection_keepalive": {"interval": "10s", "timeout": "3s"}}
    return {
        "name": CLUSTER,
        "type": "STRICT_DNS",
        "connect_timeout": seconds(options.connect_timeout_seconds),
        "circuit_breakers": {"thresholds": [bounds]},
        "typed_extension_protocol_options": {
            _PROTOCOLS: typed(_PROTOCOLS, {"explicit_http_config": {"http2_protocol_options": http2}})
        },
        "load_assignment": {
            "cluster_name": CLUSTER,
            "endpoints": [{"lb_endpoints": [{"endpoint": {"address": {"socket_address": socket}}}]}],
        },
    }


def manager_tracing(role: str, options: Options) -> Body:
    """Fields of an HTTP connection manager; none where there is no Collector."""
    if not options.collector:
        return {}
    service = {"envoy_grpc": {"cluster_name": CLUSTER}, "timeout": seconds(SEND_SECONDS)}
    config = {"grpc_service": service, "service_name": role}
    at_edge = role == names.POP_PROXY
    return {
        "tracing": {
            "provider": extension("envoy.tracers.opentelemetry", "envoy.config.trace.v3.OpenTelemetryConfig", config),
            "random_sampling": {"value": TRACED_PERCENT if at_edge else 100.0},
            "client_sampling": {"value": 100.0 if at_edge else 0.0},
            "overall_sampling": {"value": 100.0},
            "custom_tags": [
                _tag(telemetry.ENDPOINT_ATTRIBUTE, names.ENDPOINT_HEADER),
                _tag(telemetry.REQUEST_ID_ATTRIBUTE, names.REQUEST_ID_HEADER),
            ],
            "max_path_tag_length": 256,
            "operation": f"%REQ(:METHOD)% %REQ({names.ENDPOINT_HEADER})%",
        },
        # Else Envoy writes into the request id whether it traces, in place of one of its digits.
        "request_id_extension": {"typed_config": typed(_UUID, {"pack_trace_reason": False})},
    }


def _tag(name: str, header: str) -> Body:
    return {"tag": name, "request_header": {"name": header}}


def untraced(options: Options, route: Body) -> Body:
    """The route, without spans of it."""
    return {**route, "tracing": UNTRACED} if options.collector else route
