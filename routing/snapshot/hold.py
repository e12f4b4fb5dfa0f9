"""Hold: where requests for a version without a ready pod wait, inside the LoadBalancer.

```
route ──► <endpoint>/<version> ──no pod──► internal listener `hold` ──ext_authz──► activator
                                             │ yes: this pod            (says yes when a pod has room)
                                             ▼
                                           cluster `held` ──► that pod
```

The control plane gives a version without pods one address: an internal listener of the same Envoy. Its first filter
asks the activator, by the request's head alone, and the request waits there, its body held back by flow control, until
the activator answers: with the pod that has room for it, or with a refusal. No byte of a request reaches the activator,
so one that is lost costs nothing but asking another. Requests for versions with pods never come here.
"""

from collections.abc import Sequence
from typing import Final

from headrace.contract import names
from headrace.routing.snapshot import http_settings, resources
from headrace.routing.snapshot.clusters import common, ejection, protocol
from headrace.routing.snapshot.local_replies import ACTIVATOR_LOST_STATUS, local_replies
from headrace.routing.snapshot.options import Options
from headrace.routing.snapshot.resources import Body, Resource, extension, header_option, typed
from headrace.routing.snapshot.world import TIMEOUT_SECONDS_MAX, PodAddress

LISTENER: Final = "hold"
HELD: Final = "held"
"""Cluster of requests that the activator let go, each to the pod that it names."""
_AGAIN: Final = "hold-again"
_ASKED_HEADER: Final = "x-headrace-asked"
"""How often no activator could answer. `access.strip_identity` removes it from clients' requests."""
_CONNECT_SECONDS: Final = 3.0
_ASIDE_SECONDS: Final = 60
_ASKED_MOST: Final = 20
"""How often a request asks at most. The first failure sets an activator aside; but a machine that is gone refuses no
connection, so that each attempt takes seconds, and the way to the other may need some seconds too."""
_HEADERS: Final = (
    names.CLUSTER_HEADER, names.TIMEOUT_HEADER, "content-length", "content-type", "grpc-timeout",
)  # fmt: skip
"""What the activator is told of a request."""
_ALS: Final = "envoy.extensions.access_loggers.grpc.v3.HttpGrpcAccessLogConfig"
_EXT_AUTHZ: Final = "envoy.extensions.filters.http.ext_authz.v3.ExtAuthz"
_ASK_SECONDS: Final = TIMEOUT_SECONDS_MAX + 60.0
"""Longest than any request may take: the activator itself ends the wait in time."""


def hold_addresses(cluster: str) -> Body:
    """The addresses (EDS) of a version that has no pod."""
    return {"cluster_name": cluster, "endpoints": [{"lb_endpoints": [_internal(LISTENER)]}]}


def activator_addresses(activators: Sequence[PodAddress]) -> Body:
    """The activator's pods (EDS): the first is asked, and the others where it does not answer. So a version has one
    queue, in the order of arrival, and one count of what its pods were given."""

    def priority(place: int, pod: PodAddress) -> Body:
        socket = {"socket_address": {"address": pod.ip, "port_value": pod.port}}
        return {"priority": place, "lb_endpoints": [{"endpoint": {"address": socket}}]}

    endpoints = [priority(place, pod) for place, pod in enumerate(sorted(activators))]
    return {"cluster_name": names.ACTIVATOR, "endpoints": endpoints}


def hold_clusters(options: Options) -> list[Resource]:
    """The activator, the pods that it names, and the way back to the listener."""
    # A machine that is gone says nothing. On a busy one a proxy may not run for seconds: that must not look the same.
    keepalive = {"connection_keepalive": {"interval": "3s", "timeout": "5s"}}
    activator = {
        **common(names.ACTIVATOR, options),
        "connect_timeout": resources.seconds(_CONNECT_SECONDS),
        **protocol(explicit_http_config={"http2_protocol_options": keepalive}),
        # One that is lost is asked by no further request; one that ends answers as if it were.
        # Until the control plane has heard of it, too: what is asked of it anew would wait for its silence again.
        "outlier_detection": ejection(gateway_failures=1, local_failures=1, least_seconds=_ASIDE_SECONDS),
    }
    shared = common(HELD, options)
    for of_lists in ("eds_cluster_config", "least_request_lb_config"):
        del shared[of_lists]
    held = {
        **shared,
        "type": "ORIGINAL_DST",
        "lb_policy": "CLUSTER_PROVIDED",
        "original_dst_lb_config": {"use_http_header": True},
        **protocol(
            common_http_protocol_options={"idle_timeout": resources.seconds(options.upstream_idle_seconds)},
            explicit_http_config={"http_protocol_options": {"enable_trailers": True}},
        ),
    }
    back = common(_AGAIN, options)
    for of_lists in ("eds_cluster_config", "least_request_lb_config"):
        del back[of_lists]
    again = {
        **back,
        "type": "STATIC",
        "lb_policy": "ROUND_ROBIN",
        "load_assignment": {**hold_addresses(_AGAIN)},
        **protocol(explicit_http_config={"http_protocol_options": {"enable_trailers": True}}),
    }
    named = ((names.ACTIVATOR, activator), (HELD, held), (_AGAIN, again))
    return [Resource.of(name, body) for name, body in named]


def hold_listener(options: Options) -> Resource:
    """The internal listener. It retries nothing: the route that led here does, by the same rules as for pods."""
    extra: Body = {
        "max_request_headers_kb": options.request_headers_kib + 16,
        "use_remote_address": False,
        # How long a request may take is the business of the route that led here.
        "stream_idle_timeout": "0s",
        "http_protocol_options": {"enable_trailers": True},
        "local_reply_config": _replies(options),
        "access_log": [_ends()],
        "generate_request_id": False,
    }
    filters = [_ask(), http_settings.router()]
    manager = http_settings.http_manager(LISTENER, options, filters=filters, extra=extra, routes=_routes())
    chain = {"filters": [manager]}
    return Resource.of(LISTENER, {"name": LISTENER, "internal_listener": {}, "filter_chains": [chain]})


def _internal(listener: str) -> Body:
    return {"endpoint": {"address": {"envoy_internal_address": {"server_listener_name": listener}}}}


def _activator() -> Body:
    return {"envoy_grpc": {"cluster_name": names.ACTIVATOR}}


def _ask() -> Body:
    """Asks the activator. Where none answers the request goes on, without a pod's address: `_routes` asks again."""
    return extension(
        "envoy.filters.http.ext_authz",
        _EXT_AUTHZ,
        {
            "grpc_service": {**_activator(), "timeout": resources.seconds(_ASK_SECONDS)},
            "transport_api_version": "V3",
            "failure_mode_allow": True,
            "clear_route_cache": True,
            "allowed_headers": {"patterns": [{"exact": header} for header in _HEADERS]},
        },
    )


def _routes() -> Body:
    forever = {"timeout": "0s", "idle_timeout": "0s"}
    to_pod = {
        "match": {"prefix": "/", "headers": [{"name": names.DESTINATION_HEADER, "present_match": True}]},
        "route": {"cluster": HELD, **forever},
    }

    def asked(times: int) -> Body:
        is_so = [{"name": _ASKED_HEADER, "string_match": {"exact": str(times)}}] if times > 0 else []
        return {"prefix": "/", "headers": is_so}

    def again(times: int) -> Body:
        told = header_option(_ASKED_HEADER, str(times + 1))
        return {
            "match": asked(times),
            "route": {"cluster": _AGAIN, **forever},
            "request_headers_to_add": [told],
        }

    lost = {"match": asked(_ASKED_MOST - 1), "direct_response": {"status": ACTIVATOR_LOST_STATUS}}
    routes = [to_pod, lost, *(again(times) for times in reversed(range(_ASKED_MOST - 1)))]
    return {"name": LISTENER, "virtual_hosts": [{"name": "*", "domains": ["*"], "routes": routes}]}


def _replies(options: Options) -> Body:
    """The LoadBalancer's own, and the word that no pod has begun the request where its connection was refused."""
    shared = local_replies(options)
    refused = {
        "filter": {"response_flag_filter": {"flags": ["UF"]}},
        "headers_to_add": [header_option(names.UNPROCESSED_HEADER, "1")],
    }
    return {**shared, "mappers": [refused, *shared["mappers"]]}


def _ends() -> Body:
    """An access log for the activator: which request has ended that it gave to a pod."""
    config = {
        "common_config": {
            "log_name": LISTENER,
            "grpc_service": _activator(),
            "transport_api_version": "V3",
            "buffer_flush_interval": "0.010s",
        },
        "additional_request_headers_to_log": [names.CLUSTER_HEADER, names.DESTINATION_HEADER],
    }
    given = {"header_filter": {"header": {"name": names.DESTINATION_HEADER, "present_match": True}}}
    return {"name": "envoy.access_loggers.http_grpc", "filter": given, "typed_config": typed(_ALS, config)}
