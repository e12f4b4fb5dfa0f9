"""Envoy's bootstrap configuration: what an Envoy needs before it can get the rest from the control plane."""

from typing import Any, Final

from headrace.contract import log_line, names, request_body

ROLES: Final = (names.POP_PROXY, names.LOAD_BALANCER)
_PROTOCOLS: Final = "envoy.extensions.upstreams.http.v3.HttpProtocolOptions"
_MANAGER: Final = "envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager"
_MONITORS: Final = "envoy.extensions.resource_monitors"
_MEBIBYTE: Final = request_body.MEBIBYTE
CONTROL_PLANE_HOST: Final = names.CONTROL_PLANE_HOST

_IDENTITY, _TRUSTED = "identity", "trusted"

DRAIN_SECONDS: Final = 5
"""Seconds for which a draining proxy accepts connections, while it closes those that it has."""
ARGUMENTS: Final = (
    "--drain-time-s", str(DRAIN_SECONDS),
    # Close every connection with its next response; the default does so at random over the drain time.
    "--drain-strategy", "immediate",
    # Refusals are logged within a second; the default is ten.
    "--file-flush-interval-msec", "1000",
)  # fmt: skip
"""Arguments of Envoy, besides the path of the bootstrap and the pod's name."""

_RETRIES: Final = {"retry_back_off": {"base_interval": "0.1s", "max_interval": "2s"}}
"""Of the stream to the control plane. Envoy waits up to 30 s by default: a platform would start that much later."""

_RUNTIME: Final = {
    "re2.max_program_size.error_level": 1000,
    # By default spans wait five seconds, and a trace is judged before they come.
    "tracing.opentelemetry.flush_interval_ms": 1000,
}

_DRAIN: Final = """
import time, urllib.request as web
def admin(path, method="GET"):
    return web.urlopen(web.Request("http://127.0.0.1:{port}" + path, method=method), timeout=2).read().decode()
end = time.monotonic() + {longest}
admin("/drain_listeners?graceful", "POST")
time.sleep({linger})
active = "/stats?filter=%5Ehttp%5C.{prefix}%5C.downstream_rq_active%24"
while time.monotonic() < end and not admin(active).strip().endswith(" 0"):
    time.sleep(0.1)
"""


def drain_command(
    role: str,
    *,
    longest_seconds: int = 300,
    linger_seconds: int = DRAIN_SECONDS,
    admin_port: int = names.ENVOY_ADMIN_PORT,
    interpreter: str = "/usr/bin/python3",
) -> list[str]:
    """A `preStop` command of one Envoy: returns when its last request has been answered.

    Envoy ends at SIGTERM at once, with all active requests. The command starts Envoy's graceful drain, waits
    `linger_seconds` until proxies and kube-proxy have removed the pod, and then until no request is active, at most
    `longest_seconds` in all. The pod's `terminationGracePeriodSeconds` must be longer. It needs Python in the image.
    """
    script = _DRAIN.format(
        port=admin_port, longest=longest_seconds, linger=linger_seconds, prefix=role.replace("-", "_")
    )
    return [interpreter, "-c", script.strip()]


def bootstrap(
    role: str,
    *,
    control_plane_host: str = CONTROL_PLANE_HOST,
    control_plane_port: int = names.XDS_PORT,
    admin_port: int = names.ENVOY_ADMIN_PORT,
    stats_port: int = names.ENVOY_STATS_PORT,
    secrets_directory: str | None = None,
    max_connections: int = 50_000,
    memory_mib: int = request_body.PROXY_MIB,
) -> dict[str, Any]:
    """The `--config-yaml` or `--config-path` content of one Envoy, as plain data.

    `role` is names.POP_PROXY or names.LOAD_BALANCER; the control plane answers by it. Give each pod its own
    `--service-node` (its name); `--service-cluster` must stay unset or be the role. `secrets_directory` holds
    `secrets_files`; without it the control plane is spoken to in the clear. `memory_mib` is the container's limit.
    Raises ValueError for another role.
    """
    if role not in ROLES:
        raise ValueError(f"role = {role!r}, must be one of {', '.join(ROLES)}")
    return {
        "node": {"id": role, "cluster": role},
        "dynamic_resources": {
            "ads_config": {
                "api_type": "DELTA_GRPC",
                "transport_api_version": "V3",
                "set_node_on_first_message_only": True,
                "grpc_services": [{"envoy_grpc": {"cluster_name": "control-plane", "retry_policy": _RETRIES}}],
            },
            # Without limit: an Envoy without configuration stays unready, instead of serving nothing.
            "cds_config": {"ads": {}, "resource_api_version": "V3", "initial_fetch_timeout": "0s"},
            "lds_config": {"ads": {}, "resource_api_version": "V3", "initial_fetch_timeout": "0s"},
        },
        "static_resources": {
            "listeners": [_stats_listener(stats_port)],
            "clusters": [
                _control_plane(control_plane_host, control_plane_port, secrets_directory),
                _cluster("admin", "STATIC", "127.0.0.1", admin_port),
            ],
        },
        # For what the LoadBalancer sends to itself: requests that wait for a pod.
        "bootstrap_extensions": [
            _extension(
                "envoy.bootstrap.internal_listener",
                "envoy.extensions.bootstrap.internal_listener.v3.InternalListener",
                {},
            )
        ],
        "admin": {"address": _address("127.0.0.1", admin_port)},
        "application_log_config": {"log_format": {"json_format": _own_line(role)}},
        "stats_config": {"stats_tags": _stats_tags(), "histogram_bucket_settings": _buckets()},
        "overload_manager": _overload_manager(max_connections, memory_mib),
        # What the last five minutes did not need goes back to the system; without this, the heap never shrinks.
        "memory_allocator_manager": {"bytes_to_release": 32 * _MEBIBYTE, "memory_release_interval": "1s"},
        "layered_runtime": {"layers": [{"name": "static", "static_layer": _RUNTIME}]},
    }


def _own_line(role: str) -> dict[str, str]:
    """What Envoy says of itself, in the form of all lines. %j is its message, escaped; its levels are in its words."""
    return {
        log_line.TIMESTAMP: "%Y-%m-%dT%T.%eZ",
        log_line.SEVERITY: "%l",
        log_line.BODY: "%j",
        log_line.COMPONENT: role,
        log_line.SCOPE: "envoy.%n",
    }


def _address(host: str, port: int) -> dict[str, Any]:
    return {"socket_address": {"address": host, "port_value": port}}


def _any(type_name: str, body: dict[str, Any]) -> dict[str, Any]:
    return {"@type": f"type.googleapis.com/{type_name}", **body}


def _extension(name: str, type_name: str, body: dict[str, Any]) -> dict[str, Any]:
    return {"name": name, "typed_config": _any(type_name, body)}


def _cluster(name: str, kind: str, host: str, port: int, **fields: Any) -> dict[str, Any]:
    endpoint = {"lb_endpoints": [{"endpoint": {"address": _address(host, port)}}]}
    assignment = {"cluster_name": name, "endpoints": [endpoint]}
    return {"name": name, "type": kind, "connect_timeout": "1s", "load_assignment": assignment, **fields}


def _control_plane(host: str, port: int, secrets_directory: str | None) -> dict[str, Any]:
    # Detects a control plane whose machine is gone without a TCP reset.
    http2 = {"http2_protocol_options": {"connection_keepalive": {"interval": "10s", "timeout": "5s"}}}
    options = {_PROTOCOLS: _any(_PROTOCOLS, {"explicit_http_config": http2})}
    tls = {} if secrets_directory is None else {"transport_socket": _mutual_tls(secrets_directory)}
    return _cluster("control-plane", "STRICT_DNS", host, port, typed_extension_protocol_options=options, **tls)


def _mutual_tls(directory: str) -> dict[str, Any]:
    """Proves who the proxy is, and believes the control plane alone. Envoy reads certificates anew from files that a
    secret names, and from no others."""
    expected = {"san_type": "DNS", "matcher": {"exact": CONTROL_PLANE_HOST}}
    context = {
        "alpn_protocols": ["h2"],
        "tls_certificate_sds_secret_configs": [_secret_source(directory, _IDENTITY)],
        "combined_validation_context": {
            "default_validation_context": {"match_typed_subject_alt_names": [expected]},
            "validation_context_sds_secret_config": _secret_source(directory, _TRUSTED),
        },
    }
    kind = "envoy.extensions.transport_sockets.tls.v3.UpstreamTlsContext"
    body = {"sni": CONTROL_PLANE_HOST, "common_tls_context": context}
    return _extension("envoy.transport_sockets.tls", kind, body)


def _secret_source(directory: str, name: str) -> dict[str, Any]:
    source = {"path_config_source": {"path": f"{directory}/{name}.json"}, "resource_api_version": "V3"}
    return {"name": name, "sds_config": source}


def secrets_files(identity_directory: str = names.IDENTITY_DIRECTORY) -> dict[str, Any]:
    """By file name, what `secrets_directory` holds: where the identity's files are, which are watched for renewal."""
    watched = {"watched_directory": {"path": identity_directory}}
    pair = {
        "certificate_chain": {"filename": f"{identity_directory}/tls.crt"},
        "private_key": {"filename": f"{identity_directory}/tls.key"},
        **watched,
    }
    trusted = {"trusted_ca": {"filename": f"{identity_directory}/ca.crt"}, **watched}
    secrets = {_IDENTITY: {"tls_certificate": pair}, _TRUSTED: {"validation_context": trusted}}
    kind = "envoy.extensions.transport_sockets.tls.v3.Secret"
    return {f"{name}.json": {"resources": [_any(kind, {"name": name, **body})]} for name, body in secrets.items()}


def _stats_listener(port: int) -> dict[str, Any]:
    """Serves two read-only pages of the admin interface; others could stop the proxy and stay on loopback."""
    get = [{"name": ":method", "string_match": {"exact": "GET"}}]
    routes = [
        {"match": {"path": path, "headers": get}, "route": {"cluster": "admin", "timeout": "10s"}}
        for path in ("/ready", "/stats/prometheus")
    ]
    manager = {
        "stat_prefix": "stats",
        "route_config": {"name": "stats", "virtual_hosts": [{"name": "stats", "domains": ["*"], "routes": routes}]},
        "http_filters": [_extension("envoy.filters.http.router", "envoy.extensions.filters.http.router.v3.Router", {})],
        "normalize_path": True,
        "stream_idle_timeout": "30s",
        "common_http_protocol_options": {"idle_timeout": "60s"},
    }
    return {
        "name": "stats",
        "address": _address("0.0.0.0", port),
        # A proxy at its connection limit must still be probed and scraped.
        "ignore_global_conn_limit": True,
        "filter_chains": [
            {"filters": [_extension("envoy.filters.network.http_connection_manager", _MANAGER, manager)]}
        ],
    }


def _stats_tags() -> list[dict[str, Any]]:
    """Tags that make labels `headrace_endpoint` and `headrace_version` of a cluster named `<endpoint>/<version>`."""
    return [
        {"tag_name": "headrace_endpoint", "regex": r"^cluster\.(([a-z0-9-]+)/)[a-z0-9-]+\."},
        {"tag_name": "headrace_version", "regex": r"^cluster\.[a-z0-9-]+/(([a-z0-9-]+)\.)"},
    ]


LATENCY_MILLISECONDS: Final = (
    *(scale * step for scale in (1, 10, 100, 1000, 10_000) for step in (1, 1.6, 2.5, 4, 6.3)),
    100_000, 300_000,
)  # fmt: skip
"""Bounds of the histogram of how long versions take, five in each decade (ISO 3, R5): a doubling passes at least one of
them. Envoy's own leave gaps of 2.5."""


def _buckets() -> list[dict[str, Any]]:
    return [{"match": {"suffix": "upstream_rq_time"}, "buckets": list(LATENCY_MILLISECONDS)}]


def _overload_manager(max_connections: int, memory_mib: int) -> dict[str, Any]:
    """What happens when memory runs out although large bodies are counted: many small ones, or gRPC without lengths.

    The heap in use is what counts. The container's own count has the pages in it that the allocator keeps free: a proxy
    judged by it would refuse requests long after a burst.
    """
    heap, container = "envoy.resource_monitors.fixed_heap", "envoy.resource_monitors.cgroup_memory"
    connections = "envoy.resource_monitors.global_downstream_max_connections"

    def at(value: float, monitor: str = heap) -> list[dict[str, Any]]:
        return [{"name": monitor, "threshold": {"value": value}}]

    largest_first = [{"name": heap, "scaled": {"scaling_threshold": 0.65, "saturation_threshold": 0.90}}]
    return {
        # Two threads take in some 20 MiB in that time.
        "refresh_interval": "0.020s",
        "resource_monitors": [
            _extension(
                heap, f"{_MONITORS}.fixed_heap.v3.FixedHeapConfig", {"max_heap_size_bytes": memory_mib * _MEBIBYTE}
            ),
            _extension(container, f"{_MONITORS}.cgroup_memory.v3.CgroupMemoryConfig", {}),
            _extension(
                connections,
                f"{_MONITORS}.downstream_connections.v3.DownstreamConnectionsConfig",
                {"max_active_downstream_connections": max_connections},
            ),
        ],
        "actions": [
            {"name": "envoy.overload_actions.shrink_heap", "triggers": at(0.70, container)},
            {"name": "envoy.overload_actions.stop_accepting_requests", "triggers": at(0.90)},
            {"name": "envoy.overload_actions.reset_high_memory_stream", "triggers": largest_first},
        ],
        "loadshed_points": [{"name": "envoy.load_shed_points.tcp_listener_accept", "triggers": at(0.95)}],
        # Streams are told apart by size from here on; a smaller one is never reset.
        "buffer_factory_config": {"minimum_account_to_track_power_of_two": 20},
    }
