"""Clusters: those of the versions, for the LoadBalancer, and the LoadBalancer's own, for the PopProxy."""

from collections.abc import Iterable
from typing import Final

from headrace.contract import names
from headrace.routing.snapshot.options import Options
from headrace.routing.snapshot.resources import ADS_SOURCE, Body, seconds, typed
from headrace.routing.snapshot.world import PodAddress

MANAGEMENT_IDLE_SECONDS: Final = 5.0
"""Unused connection to the management API or the console."""
MANAGEMENT_REQUESTS: Final = 16
"""Requests of one PopProxy to each of them at once."""
_PROTOCOLS: Final = "envoy.extensions.upstreams.http.v3.HttpProtocolOptions"


def cluster_name(endpoint: str, version: str) -> str:
    """`<endpoint>/<version>`; the proxies' bootstrap turns it into the stats labels of the same meaning."""
    return f"{endpoint}/{version}"


def version_cluster(endpoint: str, version: str, options: Options) -> Body:
    """The pods of one version, picked by power of two choices on active requests.

    They are asked over HTTP/1.1, for gRPC too: HTTP/2 ends here, and what gRPC says after a body comes as trailers.
    """
    return {
        **common(cluster_name(endpoint, version), options),
        **protocol(
            common_http_protocol_options={"idle_timeout": seconds(options.upstream_idle_seconds)},
            explicit_http_config={"http_protocol_options": {"enable_trailers": True}},
        ),
        "outlier_detection": ejection(gateway_failures=5),
    }


def balancer_cluster(options: Options) -> Body:
    """The LoadBalancer's pods, seen by the PopProxy.

    It uses EDS and not the Service's DNS name: a pod that is about to stop is removed before it stops, each request is
    balanced although connections are long, and no name has to be resolved during a request.
    """
    http2 = {"max_concurrent_streams": 1000, "connection_keepalive": {"interval": "10s", "timeout": "3s"}}
    return {
        **common(names.LOAD_BALANCER, options),
        **protocol(explicit_http_config={"http2_protocol_options": http2}),
        # A 503 from a LoadBalancer is about a model, not about the LoadBalancer: only failed connections count.
        "outlier_detection": ejection(gateway_failures=None),
    }


def program_cluster(program: str, options: Options) -> Body:
    """The pods of the management API or the console, seen by the PopProxy. Each request has a thread there, so few are
    sent at once; more are refused here."""
    bounds = dict.fromkeys(("max_connections", "max_pending_requests", "max_requests"), MANAGEMENT_REQUESTS)
    return {
        **common(program, options),
        "circuit_breakers": {"thresholds": [bounds]},
        **protocol(
            common_http_protocol_options={"idle_timeout": seconds(MANAGEMENT_IDLE_SECONDS)},
            explicit_http_config={"http_protocol_options": {"enable_trailers": True}},
        ),
        "outlier_detection": ejection(gateway_failures=None),
    }


def common(name: str, options: Options) -> Body:
    """What all clusters have whose addresses the control plane gives."""
    # Pods limit their own concurrency; these thresholds only bound runaway growth.
    bounds = dict.fromkeys(("max_connections", "max_pending_requests", "max_requests"), 65_536)
    retries = {"budget_percent": {"value": options.retry_budget_percent}, "min_retry_concurrency": 3}
    return {
        "name": name,
        "type": "EDS",
        "eds_cluster_config": {"eds_config": ADS_SOURCE},
        "connect_timeout": seconds(options.connect_timeout_seconds),
        "per_connection_buffer_limit_bytes": 32768,
        "lb_policy": "LEAST_REQUEST",
        "least_request_lb_config": {"choice_count": 2},
        # Envoy's default gathers changes of health for a second, in which an ejected pod would still get requests.
        "common_lb_config": {"update_merge_window": "0s"},
        "circuit_breakers": {"thresholds": [{**bounds, "retry_budget": retries}]},
    }


def protocol(**how: Body) -> Body:
    """How a cluster's hosts are spoken to."""
    return {"typed_extension_protocol_options": {_PROTOCOLS: typed(_PROTOCOLS, how)}}


def ejection(*, gateway_failures: int | None, local_failures: int = 3, least_seconds: int = 5) -> Body:
    """Outlier detection: ejects a host after consecutive failures to connect, to answer in time or to stay connected.

    `local_failures` is that number, `gateway_failures` one of consecutive 502, 503 or 504 that ejects too; with None
    they do not. A host stays ejected for `least_seconds`, and longer each time. A model's own
    500 says nothing about its pod's health. At most half of the hosts are ejected, because the others must take their
    load: ejecting for overload would make more of it.
    """
    return {
        "consecutive_gateway_failure": 5 if gateway_failures is None else gateway_failures,
        "enforcing_consecutive_gateway_failure": 100 if gateway_failures is not None else 0,
        "enforcing_consecutive_5xx": 0,
        "split_external_local_origin_errors": True,
        "consecutive_local_origin_failure": local_failures,
        "enforcing_consecutive_local_origin_failure": 100,
        "enforcing_success_rate": 0,
        "enforcing_local_origin_success_rate": 0,
        "interval": "1s",
        "base_ejection_time": f"{least_seconds}s",
        "max_ejection_time": f"{max(60, least_seconds)}s",
        "max_ejection_percent": 50,
        "always_eject_one_host": True,
    }


def addresses(cluster: str, pods: Iterable[PodAddress]) -> Body:
    """The cluster's pods (EDS). With none the proxy refuses requests at once."""
    sockets = [{"address": pod.ip, "port_value": pod.port} for pod in sorted(pods)]
    endpoints = [{"endpoint": {"address": {"socket_address": socket}}} for socket in sockets]
    return {"cluster_name": cluster, "endpoints": [{"lb_endpoints": endpoints}] if endpoints else []}
