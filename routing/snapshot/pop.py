"""Pop: the PopProxy. TLS, token, access list, limits, and one route table of every endpoint's public paths."""

from collections.abc import Mapping
from functools import lru_cache
from typing import Final

from headrace.contract import names
from headrace.routing.snapshot import access, by_model, connection, paths
from headrace.routing.snapshot.clusters import balancer_addresses, balancer_cluster
from headrace.routing.snapshot.options import Options
from headrace.routing.snapshot.recall import Recall
from headrace.routing.snapshot.resources import (
    ADS_SOURCE,
    Body,
    Resource,
    RoleResources,
    Tree,
    role_resources,
    seconds,
    typed,
)
from headrace.routing.snapshot.world import Endpoint, Keys, World

CERTIFICATE: Final = "pop-certificate"
HEALTH_PATH: Final = "/healthz"
CLIENT_CONFIG_PATH: Final = "/.well-known/databricks-config"
"""Every Databricks and MLflow client asks for it first, without a token, and waits for the answer."""
PUBLIC_PATHS: Final = (HEALTH_PATH, CLIENT_CONFIG_PATH)
"""The only paths that need no token."""
_BUFFER_FILTER: Final = "envoy.filters.http.buffer"


def pop_resources(world: World, options: Options, recall: Recall) -> RoleResources:
    """Everything an Envoy of role names.POP_PROXY holds."""
    return role_resources(
        cluster=[Resource.of(names.LOAD_BALANCER, balancer_cluster(options))],
        endpoints=[Resource.of(names.LOAD_BALANCER, balancer_addresses(world))],
        secret=[Resource.of(CERTIFICATE, _certificate(options))],
        listener=[recall(_listener, world.keys, options)],
        routes=[_route_table(world, options, recall)],
    )


def _certificate(options: Options) -> Body:
    """File names, not keys: the private key never leaves the PopProxy's pod. The directory is watched for rotation."""
    return {
        "name": CERTIFICATE,
        "tls_certificate": {
            "certificate_chain": {"filename": f"{options.tls_directory}/tls.crt"},
            "private_key": {"filename": f"{options.tls_directory}/tls.key"},
            "watched_directory": {"path": options.tls_directory},
        },
    }


def _listener(keys: Keys, options: Options) -> Resource:
    transport = {
        "name": "envoy.transport_sockets.tls",
        "typed_config": typed(
            "envoy.extensions.transport_sockets.tls.v3.DownstreamTlsContext",
            {
                "common_tls_context": {
                    "alpn_protocols": ["h2", "http/1.1"],
                    "tls_params": {"tls_minimum_protocol_version": "TLSv1_2"},
                    "tls_certificate_sds_secret_configs": [{"name": CERTIFICATE, "sds_config": ADS_SOURCE}],
                }
            },
        ),
    }
    filters = [
        access.shape_filter(options),
        access.jwt_filter(keys, options),
        *by_model.filters(options),
        access.access_filter(),
        # The whole body before any of it goes further: a model is never fed in drops, and never more than the limit.
        {
            "name": _BUFFER_FILTER,
            "typed_config": typed(
                "envoy.extensions.filters.http.buffer.v3.Buffer", {"max_request_bytes": options.body_bytes}
            ),
        },
        connection.router(),
    ]
    extra: Body = {
        "use_remote_address": True,
        "always_set_request_id_in_response": True,
        # No client address is trusted, not even one of the cluster's: x-envoy-* from outside means nothing.
        "internal_address_config": {"unix_sockets": False},
        "early_header_mutation_extensions": [access.strip_identity()],
        "common_http_protocol_options": {
            "idle_timeout": seconds(options.client_idle_seconds),
            "max_connection_duration": seconds(options.connection_seconds),
            "max_headers_count": options.headers_count,
            "headers_with_underscores_action": "REJECT_REQUEST",
        },
        "http1_safe_max_connection_duration": True,
        "http2_protocol_options": {
            "max_concurrent_streams": 100,
            "initial_stream_window_size": 65536,
            "initial_connection_window_size": 1048576,
        },
        "request_headers_timeout": seconds(options.headers_timeout_seconds),
        "request_timeout": seconds(options.request_timeout_seconds),
    }
    manager = connection.http_manager(names.POP_PROXY, options, filters=filters, extra=extra)
    body = connection.listener(names.POP_PROXY, options, port=options.pop_port, manager=manager, transport=transport)
    return Resource.of(names.POP_PROXY, body)


def _route_table(world: World, options: Options, recall: Recall) -> Resource:
    """First what a request looks like, by a few patterns that all endpoints share; then which endpoint it names, by a
    tree of prefixes or the value of a header. A pattern an endpoint would cost more memory than all the rest of it.

    A plain list of routes is searched from its start: with a thousand endpoints that took 2.6 ms of every request.
    """
    host = {
        "name": "pop",
        "domains": ["*"],
        # The LoadBalancer has tried again what a front refused.
        "retry_policy": connection.retry_policy(options, of_fronts=False),
        "response_headers_to_remove": ["x-envoy-upstream-service-time"],
        "matcher": {
            "matcher_list": {"matchers": [_misshapen(options)]},
            "on_no_match": {"matcher": {"on_no_match": _rest()}},
        },
    }
    shapes = _shapes(world, options, recall) if world.endpoints else []
    tree = Tree.of(host, "matcher.on_no_match.matcher.matcher_list.matchers", shapes) if shapes else Tree.of(host)
    return Resource(names.POP_PROXY, Tree.of({"name": names.POP_PROXY}, "virtual_hosts", [tree]))


def _misshapen(options: Options) -> Body:
    """What no shape is asked about."""
    route = typed("envoy.config.route.v3.Route", access.misshapen_route())
    return {
        "predicate": access.misshapen(options),
        "on_match": {"action": {"name": "route", "typed_config": route}},
    }


def _shapes(world: World, options: Options, recall: Recall) -> list[Tree]:
    """What leads to an endpoint. What fits a shape and names no endpoint is asked of the next shape."""
    by_address: list[dict[str, Tree]] = [{} for _ in paths.ADDRESSES]
    by_metadata: dict[str, Tree] = {}
    by_body: dict[str, Tree] = {}
    for endpoint in world.endpoints:
        *addresses, metadata, body = recall(_endpoint_routes, endpoint, options)
        for found, (prefix, _), route in zip(by_address, paths.ADDRESSES, addresses, strict=True):
            found[f"{prefix}{endpoint.name}/"] = route
        by_metadata[endpoint.name], by_body[endpoint.name] = metadata, body
    undecided = _to(Tree.of(by_model.undecided())).whole()
    return [
        *(
            _shape(paths.asks_endpoint(pattern), ":path", "prefix_match_map", found)
            for found, (_, pattern) in zip(by_address, paths.ADDRESSES, strict=True)
        ),
        _shape(paths.asks_grpc(), paths.ENDPOINT_METADATA, "exact_match_map", by_metadata),
        _shape(by_model.asks(), by_model.MODEL_HEADER, "exact_match_map", by_body, on_no_match=undecided),
    ]


def _shape(predicate: Body, header: str, kind: str, choices: Mapping[str, Tree], **otherwise: Body) -> Tree:
    """A matcher of requests that the predicate holds for: a choice by the value of a header, or by its prefixes."""
    config = typed("envoy.type.matcher.v3.HttpRequestHeaderMatchInput", {"header_name": header})
    named = {"name": header.lstrip(":"), "typed_config": config}
    choice = {"matcher_tree": {"input": named}, **otherwise}
    body = {"predicate": predicate, "on_match": {"matcher": choice}}
    return Tree.of(body, f"on_match.matcher.matcher_tree.{kind}.map", choices)


def _to(route: Tree) -> Tree:
    """What a choice leads to."""
    return Tree.packing({"action": {"name": "route"}}, "action.typed_config", "envoy.config.route.v3.Route", route)


def _methods(*values: str, invert: bool = False) -> Body:
    match = {"exact": values[0]} if len(values) == 1 else {"safe_regex": {"regex": "|".join(values)}}
    return {"name": ":method", "string_match": match, "invert_match": invert}


def _refusal(name: str, status: int, *, public: bool = False) -> Body:
    """A route that answers by itself, at once: nobody waits for a body that nobody will read."""
    unbuffered = typed("envoy.extensions.filters.http.buffer.v3.BufferPerRoute", {"disabled": True})
    rules = access.public_route() if public else access.authenticated_route()
    return {
        "name": name,
        "direct_response": {"status": status},
        "typed_per_filter_config": {**rules, _BUFFER_FILTER: unbuffered},
    }


@lru_cache(maxsize=1)
def _rest() -> Body:
    """For what leads to no endpoint: our own two files, or a refusal."""
    wrong_methods = (
        _wrong_method(paths.ANY_INVOCATION, "POST"),
        _wrong_method(paths.ANY_PROTOCOL, *paths.PROTOCOL_METHODS),
        _wrong_method(by_model.PATH, "POST"),
    )
    stream = {**_refusal("stream", 501), "match": paths.grpc_stream()}
    unknown = {**_refusal("unknown", 404), "match": {"prefix": "/"}}
    listed = {"routes": [*_public_routes(), *wrong_methods, stream, unknown]}
    return {"action": {"name": "routes", "typed_config": typed("envoy.config.route.v3.RouteList", listed)}}


def _wrong_method(path: str, *allowed: str) -> Body:
    return {
        **_refusal("wrong-method", 405),
        "match": {"safe_regex": {"regex": path}, "headers": [_methods(*allowed, invert=True)]},
        "response_headers_to_add": [{"header": {"key": "allow", "value": ", ".join(allowed)}}],
    }


def _public_routes() -> list[Body]:
    """Without a token: our own health, and the file that clients look for and that we do not have."""
    statuses = {HEALTH_PATH: 200, CLIENT_CONFIG_PATH: 404}
    return [
        {
            **_refusal(f"public{path}", statuses[path], public=True),
            "match": {"path": path, "headers": [_methods("GET")]},
        }
        for path in PUBLIC_PATHS
    ]


def _endpoint_routes(endpoint: Endpoint, options: Options) -> tuple[Tree, ...]:
    """By each of paths.ADDRESSES, by gRPC's metadata, and by the body, in this order. Shape and name are known to fit.

    The LoadBalancer finds the endpoint by authority and sees the rest of the path. Versions are its business, so a
    rollout changes nothing here.
    """
    addresses = [f"{prefix}{endpoint.name}/" for prefix, _ in paths.ADDRESSES]
    common = {
        "request_headers_to_add": [access.endpoint_header(endpoint)],
        "typed_per_filter_config": access.endpoint_route(endpoint),
    }
    action = {
        "cluster": names.LOAD_BALANCER,
        "host_rewrite_literal": endpoint.name,
        **connection.route_times(endpoint.spec.timeout_seconds + options.edge_margin_seconds),
    }

    def route(match: Body, removed: tuple[str, ...] = (), **rewrite: str) -> Tree:
        name = f"{endpoint.name}:{next(iter(match.values()))}"
        body: Body = {"name": name, "match": match, "route": {**action, **rewrite}, **common}
        return _to(Tree.of({**body, "request_headers_to_remove": list(removed)} if removed else body))

    return (
        *(route({"prefix": address}, prefix_rewrite="/") for address in addresses),
        route(paths.grpc_call()),
        route(by_model.decided(), (by_model.MODEL_HEADER,), prefix_rewrite=by_model.OWN_PREFIX),
    )
