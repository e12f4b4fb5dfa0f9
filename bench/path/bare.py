"""Two Envoys that do nothing but pass requests on: what a hop costs when nothing is asked of it.

The first ends the same TLS, the second is plain; protocols on each side are the product's. Whatever else costs CPU has
Envoy's own default.
"""

from typing import Any, Final

_PROTOCOLS: Final = "envoy.extensions.upstreams.http.v3.HttpProtocolOptions"
_HTTP: Final = "envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager"
_TLS: Final = "envoy.extensions.transport_sockets.tls.v3.DownstreamTlsContext"
_ROUTER: Final = "envoy.extensions.filters.http.router.v3.Router"


def hop(
    *, name: str, port: int, admin_port: int, upstream_port: int, upstream_protocol: dict[str, Any], tls: str = ""
) -> dict[str, Any]:
    """A whole bootstrap. `upstream_protocol` is the cluster's `explicit_http_config`; `tls` a folder with tls.crt and
    tls.key, or none."""
    route = {"match": {"prefix": "/"}, "route": {"cluster": "next"}}
    manager = {
        "stat_prefix": name,
        "codec_type": "AUTO",
        "route_config": {"name": name, "virtual_hosts": [{"name": "all", "domains": ["*"], "routes": [route]}]},
        "http_filters": [{"name": "envoy.filters.http.router", "typed_config": _typed(_ROUTER, {})}],
    }
    chain: dict[str, Any] = {"filters": [{"name": "http", "typed_config": _typed(_HTTP, manager)}]}
    if tls:
        chain["transport_socket"] = {"name": "tls", "typed_config": _typed(_TLS, _tls(tls))}
    cluster = {
        "name": "next",
        "type": "STATIC",
        "load_assignment": {
            "cluster_name": "next",
            "endpoints": [{"lb_endpoints": [{"endpoint": {"address": _address(upstream_port)}}]}],
        },
        "typed_extension_protocol_options": {
            _PROTOCOLS: _typed(_PROTOCOLS, {"explicit_http_config": upstream_protocol})
        },
    }
    listener = {
        "name": name,
        "address": _address(port),
        "filter_chains": [chain],
        # As the product has it: a hop with all connections on one thread saves the other's wake-ups.
        "connection_balance_config": {"exact_balance": {}},
    }
    return {
        "static_resources": {"listeners": [listener], "clusters": [cluster]},
        "admin": {"address": _address(admin_port)},
    }


def _tls(folder: str) -> dict[str, Any]:
    certificate = {
        "certificate_chain": {"filename": f"{folder}/tls.crt"},
        "private_key": {"filename": f"{folder}/tls.key"},
    }
    return {
        "common_tls_context": {
            "alpn_protocols": ["h2", "http/1.1"],
            "tls_params": {"tls_minimum_protocol_version": "TLSv1_2"},
            "tls_certificates": [certificate],
        }
    }


def _address(port: int) -> dict[str, Any]:
    return {"socket_address": {"address": "127.0.0.1", "port_value": port}}


def _typed(kind: str, body: dict[str, Any]) -> dict[str, Any]:
    return {"@type": f"type.googleapis.com/{kind}", **body}
