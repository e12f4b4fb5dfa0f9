"""HTTP settings that both proxies share, as Envoy's guide for edge proxies advises."""

from typing import Final

from headrace.contract import names
from headrace.routing.snapshot.access_log import access_log
from headrace.routing.snapshot.local_replies import local_replies
from headrace.routing.snapshot.options import Options
from headrace.routing.snapshot.resources import ADS_SOURCE, Body, extension, seconds
from headrace.routing.snapshot.tracing import manager_tracing

_PREVIOUS_HOSTS: Final = "envoy.extensions.retry.host.previous_hosts.v3.PreviousHostsPredicate"
_MANAGER: Final = "envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager"


def http2(streams: int, *, stream_window: int, connection_window: int) -> Body:
    windows = {"initial_stream_window_size": stream_window, "initial_connection_window_size": connection_window}
    return {"max_concurrent_streams": streams, **windows}


def router() -> Body:
    """The last HTTP filter."""
    return extension("envoy.filters.http.router", "envoy.extensions.filters.http.router.v3.Router")


def http_manager(role: str, options: Options, *, filters: list[Body], extra: Body, routes: Body | None = None) -> Body:
    """A network filter that serves HTTP/1.1 and HTTP/2 with these routes; absent: the table named after the role."""
    known: Body = {"rds": {"route_config_name": role, "config_source": ADS_SOURCE}}
    body: Body = {
        "stat_prefix": role.replace("-", "_"),
        "codec_type": "AUTO",
        **(known if routes is None else {"route_config": routes}),
        "http_filters": filters,
        "server_name": "headrace",
        "max_request_headers_kb": options.request_headers_kib,
        "normalize_path": True,
        "merge_slashes": True,
        "path_with_escaped_slashes_action": "REJECT_REQUEST",
        "strip_any_host_port": True,
        "generate_request_id": True,
        # Routes have their own; this one holds until a route is chosen.
        "stream_idle_timeout": "300s",
        "delayed_close_timeout": "1s",
        "drain_timeout": "5s",
        **manager_tracing(role, options),
        "local_reply_config": local_replies(options),
        "access_log": access_log(role, options),
    }
    return extension("envoy.filters.network.http_connection_manager", _MANAGER, {**body, **extra})


def listener(role: str, options: Options, *, port: int, manager: Body, transport: Body | None = None) -> Body:
    """A listener with one filter chain."""
    chain: Body = {"filters": [manager]}
    if transport is not None:
        chain["transport_socket"] = transport
        chain["transport_socket_connect_timeout"] = "10s"
    return {
        "name": role,
        "address": {"socket_address": {"address": options.bind_address, "port_value": port}},
        "per_connection_buffer_limit_bytes": 32768,
        # Gives a connection to the worker thread with the fewest. The kernel chooses by hash, and would often give all
        # of the few long connections of another proxy to one thread.
        "connection_balance_config": {"exact_balance": {}},
        "filter_chains": [chain],
    }


def retry_policy(options: Options, *, of_fronts: bool) -> Body:
    """Retries only requests that certainly did not reach a model: predictions need not be idempotent.

    That is certain when no connection was established, when the request was not yet written to it and, `of_fronts`,
    when the response says so (names.UNPROCESSED_HEADER).
    """
    lost = "connect-failure,refused-stream,reset-before-request"
    refused = [{"name": names.UNPROCESSED_HEADER, "present_match": True}]
    unprocessed = {"retry_on": f"{lost},retriable-headers", "retriable_headers": refused}
    return {
        **(unprocessed if of_fronts else {"retry_on": lost}),
        "num_retries": options.retries,
        "retry_host_predicate": [extension("envoy.retry_host_predicates.previous_hosts", _PREVIOUS_HOSTS)],
        # A dead host has no active requests, so the less busy of two is often this one: choose often enough anew.
        "host_selection_retry_max_attempts": 20,
        "retry_back_off": {"base_interval": "0.010s", "max_interval": "0.100s"},
    }


def route_times(timeout_seconds: float) -> Body:
    """`timeout` of a whole request, and a stream `idle_timeout` that never ends it earlier."""
    return {"timeout": seconds(timeout_seconds), "idle_timeout": seconds(timeout_seconds + 5)}
