"""Connection: the HTTP settings that both proxies share, as Envoy's edge guide advises them."""

from typing import Final

from headrace.contract import names
from headrace.routing.snapshot.dialect import grpc_request, local_replies
from headrace.routing.snapshot.options import Options
from headrace.routing.snapshot.resources import ADS_SOURCE, Body, seconds, typed

_MANAGER: Final = "envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager"


def router() -> Body:
    """The last HTTP filter."""
    return {
        "name": "envoy.filters.http.router",
        "typed_config": typed("envoy.extensions.filters.http.router.v3.Router"),
    }


def http_manager(role: str, options: Options, *, filters: list[Body], extra: Body) -> Body:
    """A network filter that serves HTTP/1.1 and HTTP/2 with the route table named after the role."""
    body: Body = {
        "stat_prefix": role.replace("-", "_"),
        "codec_type": "AUTO",
        "rds": {"route_config_name": role, "config_source": ADS_SOURCE},
        "http_filters": filters,
        "server_name": "headrace",
        "max_request_headers_kb": options.request_headers_kib,
        "normalize_path": True,
        "merge_slashes": True,
        "path_with_escaped_slashes_action": "REJECT_REQUEST",
        "strip_any_host_port": True,
        "generate_request_id": True,
        # Routes give their own; this one is for what no route has claimed yet.
        "stream_idle_timeout": "300s",
        "delayed_close_timeout": "1s",
        "drain_timeout": "5s",
        "local_reply_config": local_replies(options),
        "access_log": [refusal_log(role)],
    }
    body.update(extra)
    return {"name": "envoy.filters.network.http_connection_manager", "typed_config": typed(_MANAGER, body)}


def refusal_log(role: str) -> Body:
    """One JSON line on stdout for every answer of 400 and above, and of gRPC that is not OK: what happened, never what
    was sent.

    Successes are counted by the stats; a line each would cost more than the request. The query string and the
    Authorization header are left out: both may hold secrets.
    """
    line = {
        "time": "%START_TIME%",
        "proxy": role,
        "request_id": "%REQ(X-REQUEST-ID)%",
        "method": "%REQ(:METHOD)%",
        "path": "%PATH(NQ:ORIG_OR_PATH):256%",
        "endpoint": "%REQ(X-HEADRACE-ENDPOINT)%",
        "status": "%RESPONSE_CODE%",
        "grpc_status": "%GRPC_STATUS%",
        "flags": "%RESPONSE_FLAGS%",
        "details": "%RESPONSE_CODE_DETAILS%",
        "duration_ms": "%DURATION%",
        "bytes_received": "%BYTES_RECEIVED%",
        "upstream": "%UPSTREAM_HOST%",
    }
    return {
        "name": "envoy.access_loggers.stdout",
        "filter": {"or_filter": {"filters": [_from_400(), {"and_filter": {"filters": [_grpc_call(), _grpc_fault()]}}]}},
        "typed_config": typed(
            "envoy.extensions.access_loggers.stream.v3.StdoutAccessLog", {"log_format": {"json_format": line}}
        ),
    }


def _from_400() -> Body:
    threshold = {"default_value": 400, "runtime_key": "headrace.log_from_status"}
    return {"status_code_filter": {"comparison": {"op": "GE", "value": threshold}}}


def _grpc_call() -> Body:
    return {"header_filter": {"header": grpc_request()}}


def _grpc_fault() -> Body:
    return {"grpc_status_filter": {"statuses": ["OK"], "exclude": True}}


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
        # Each connection to the thread that has the fewest. By chance, the few long ones of another proxy all end on
        # one thread as often as not, and the others have nothing to do.
        "connection_balance_config": {"exact_balance": {}},
        "filter_chains": [chain],
    }


def retry_policy(options: Options, *, of_fronts: bool) -> Body:
    """Retries only what certainly did not reach a model: predictions need not be idempotent.

    That is so when no connection was had, when the request was not yet on it, and, `of_fronts`, when the front itself
    says so.
    """
    lost = "connect-failure,refused-stream,reset-before-request"
    unprocessed = {
        "retry_on": f"{lost},retriable-headers",
        "retriable_headers": [{"name": names.UNPROCESSED_HEADER, "present_match": True}],
    }
    return {
        **(unprocessed if of_fronts else {"retry_on": lost}),
        "num_retries": options.retries,
        "retry_host_predicate": [
            {
                "name": "envoy.retry_host_predicates.previous_hosts",
                "typed_config": typed("envoy.extensions.retry.host.previous_hosts.v3.PreviousHostsPredicate"),
            }
        ],
        # A dead host has no active requests, so two random choices favour it: ask often enough for another one.
        "host_selection_retry_max_attempts": 20,
        "retry_back_off": {"base_interval": "0.010s", "max_interval": "0.100s"},
    }


def route_times(timeout_seconds: float) -> Body:
    """The whole time of a request, and a stream idle time that never ends it earlier."""
    return {"timeout": seconds(timeout_seconds), "idle_timeout": seconds(timeout_seconds + 5)}
