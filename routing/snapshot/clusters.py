"""Clusters: one a version for the LoadBalancer, and the LoadBalancer itself for the PopProxy."""

from collections.abc import Iterable
from typing import Final

from headrace.contract import names
from headrace.routing.snapshot.options import Options
from headrace.routing.snapshot.resources import ADS_SOURCE, Body, seconds, typed
from headrace.routing.snapshot.world import PodAddress, World

_PROTOCOLS: Final = "envoy.extensions.upstreams.http.v3.HttpProtocolOptions"


def cluster_name(endpoint: str, version: str) -> str:
    """`<endpoint>/<version>`; components/envoy_bootstrap.py turns it into the stats labels of the same meaning."""
    return f"{endpoint}/{version}"


def grpc_cluster_name(endpoint: str, version: str) -> str:
    """The same pods on their port for gRPC."""
    return f"{cluster_name(endpoint, version)}/grpc"


def version_cluster(endpoint: str, version: str, options: Options) -> Body:
    """The pods of one version, picked by power of two choices on active requests."""
    return _pods(cluster_name(endpoint, version), options, {"http_protocol_options": {}})


def grpc_cluster(endpoint: str, version: str, options: Options) -> Body:
    """The pods of one version, asked over HTTP/2.

    Its measures are the version's: the autoscaler counts requests, in whatever way they come.
    """
    return {
        **_pods(grpc_cluster_name(endpoint, version), options, {"http2_protocol_options": {}}),
        "alt_stat_name": cluster_name(endpoint, version),
    }


def _pods(name: str, options: Options, protocol: Body) -> Body:
    return {
        **_common(name, options),
        **_by_eds(),
        "typed_extension_protocol_options": {
            _PROTOCOLS: typed(
                _PROTOCOLS,
                {
                    "common_http_protocol_options": {"idle_timeout": seconds(options.upstream_idle_seconds)},
                    "explicit_http_config": protocol,
                },
            )
        },
        "outlier_detection": _ejection(gateway_failures=5),
    }


def balancer_cluster(options: Options) -> Body:
    """The LoadBalancer's pods, seen by the PopProxy.

    By EDS and not through the Service's DNS name: a pod that is about to stop leaves before it does, requests choose
    between pods one by one although connections are long, and no name has to be resolved on the way of a request.
    """
    return {
        **_common(names.LOAD_BALANCER, options),
        **_by_eds(),
        "typed_extension_protocol_options": {
            _PROTOCOLS: typed(
                _PROTOCOLS,
                {
                    "explicit_http_config": {
                        "http2_protocol_options": {
                            "max_concurrent_streams": 1000,
                            "connection_keepalive": {"interval": "10s", "timeout": "3s"},
                        }
                    }
                },
            )
        },
        # A LoadBalancer's 503 is about a model, not about itself: only its own connections count.
        "outlier_detection": _ejection(gateway_failures=None),
    }


def balancer_addresses(world: World) -> Body:
    """EDS of the LoadBalancer's cluster."""
    return _assignment(names.LOAD_BALANCER, world.balancers)


def version_addresses(endpoint: str, version: str, pods: Iterable[PodAddress]) -> Body:
    """EDS of one version; no pods is an answer too, and makes the proxy refuse at once."""
    return _assignment(cluster_name(endpoint, version), pods)


def grpc_addresses(endpoint: str, version: str, pods: Iterable[PodAddress]) -> Body:
    """EDS of one version's ports for gRPC."""
    ports = [PodAddress(pod.ip, pod.grpc_port) for pod in pods if pod.grpc_port]
    return _assignment(grpc_cluster_name(endpoint, version), ports)


def _common(name: str, options: Options) -> Body:
    many = 65_536
    return {
        "name": name,
        "connect_timeout": seconds(options.connect_timeout_seconds),
        "per_connection_buffer_limit_bytes": 32768,
        "lb_policy": "LEAST_REQUEST",
        "least_request_lb_config": {"choice_count": 2},
        # Envoy's default gathers changes of health for a second, in which an ejected pod would still get requests.
        "common_lb_config": {"update_merge_window": "0s"},
        # Admission belongs to the pods, who know their own concurrency; here only a bound against runaway growth.
        "circuit_breakers": {
            "thresholds": [
                {
                    "max_connections": many,
                    "max_pending_requests": many,
                    "max_requests": many,
                    "retry_budget": {
                        "budget_percent": {"value": options.retry_budget_percent},
                        "min_retry_concurrency": 3,
                    },
                }
            ]
        },
    }


def _by_eds() -> Body:
    return {
        "type": "EDS",
        "eds_cluster_config": {"eds_config": ADS_SOURCE},
    }


def _ejection(*, gateway_failures: int | None) -> Body:
    """Sets a host aside after consecutive failures to connect, to answer in time or to keep the connection.

    `gateway_failures`: also after so many consecutive 502, 503 or 504; None: not for these. A model's own 500 says
    nothing of its pod's health, and never more than half of the hosts are set aside: an overload would otherwise
    grow by being answered.
    """
    return {
        "consecutive_gateway_failure": 5 if gateway_failures is None else gateway_failures,
        "enforcing_consecutive_gateway_failure": 100 if gateway_failures is not None else 0,
        "enforcing_consecutive_5xx": 0,
        "split_external_local_origin_errors": True,
        "consecutive_local_origin_failure": 3,
        "enforcing_consecutive_local_origin_failure": 100,
        "enforcing_success_rate": 0,
        "enforcing_local_origin_success_rate": 0,
        "interval": "1s",
        "base_ejection_time": "5s",
        "max_ejection_time": "60s",
        "max_ejection_percent": 50,
        "always_eject_one_host": True,
    }


def _assignment(name: str, pods: Iterable[PodAddress]) -> Body:
    endpoints = [
        {"endpoint": {"address": {"socket_address": {"address": pod.ip, "port_value": pod.port}}}}
        for pod in sorted(pods)
    ]
    return {"cluster_name": name, "endpoints": [{"lb_endpoints": endpoints}] if endpoints else []}
