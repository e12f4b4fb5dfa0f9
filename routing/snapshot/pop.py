"""Pop: the PopProxy. TLS, token, access list, limits, and one route table of every endpoint's public paths."""

from collections.abc import Iterable
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
_ENDPOINT: Final = r"/(serving-endpoints/)?[^/]+(/served-models/[^/]+)?"
_ANY_INVOCATION: Final = rf"{_ENDPOINT}/invocations/?"
_ANY_PROTOCOL: Final = rf"{_ENDPOINT}({'|'.join(paths.PROTOCOL_PATHS)})(/.*)?"


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
    """Every endpoint's public paths, found by a tree of prefixes.

    A plain list of routes is searched from its start: with a thousand endpoints that took 2.6 ms of every request.
    """
    by_prefix: dict[str, Tree] = {}
    by_metadata: dict[str, Tree] = {}
    by_body: dict[str, Tree] = {}
    for endpoint in world.endpoints:
        by_prefix.update(recall(_endpoint_routes, endpoint, options))
        by_metadata[endpoint.name] = recall(_grpc_route, endpoint, options)
        by_body[endpoint.name] = recall(_model_route, endpoint, options)
    if world.endpoints:
        by_prefix[paths.GRPC_PREFIX] = _by_header(paths.ENDPOINT_METADATA, by_metadata)
        by_prefix.update(_by_model(world, options, by_body))
    host = {
        "name": "pop",
        "domains": ["*"],
        "retry_policy": connection.retry_policy(options),
        "response_headers_to_remove": ["x-envoy-upstream-service-time"],
        "matcher": {"matcher_tree": {"input": _header(":path")}},
    }
    rest = _choice(_public_routes())
    tree = Tree.of(host, "matcher.matcher_tree.prefix_match_map.map", {"/": rest, **by_prefix})
    return Resource(names.POP_PROXY, Tree.of({"name": names.POP_PROXY}, "virtual_hosts", [tree]))


def _header(name: str) -> Body:
    """A header as what a matcher looks at."""
    config = typed("envoy.type.matcher.v3.HttpRequestHeaderMatchInput", {"header_name": name})
    return {"name": name.lstrip(":"), "typed_config": config}


def _by_header(name: str, choices: dict[str, Tree], *otherwise: Body) -> Tree:
    """What a prefix leads to: a choice by the exact value of a header; where it names none, these routes or a
    refusal."""
    matcher = {"matcher_tree": {"input": _header(name)}, "on_no_match": _choice(otherwise).whole()}
    return Tree.of({"matcher": matcher}, "matcher.matcher_tree.exact_match_map.map", choices)


def _choice(routes: Iterable[Body]) -> Tree:
    """What a prefix leads to: these routes in order, then a refusal."""
    listed = Tree.of({}, "routes", [*map(Tree.of, routes), *_fallback()])
    return Tree.packing(
        {"action": {"name": "routes"}}, "action.typed_config", "envoy.config.route.v3.RouteList", listed
    )


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
def _fallback() -> tuple[Tree, ...]:
    """What is left of every prefix."""
    wrong_methods = (
        _wrong_method(_ANY_INVOCATION, "POST"),
        _wrong_method(_ANY_PROTOCOL, *paths.PROTOCOL_METHODS),
        _wrong_method(by_model.PATH, "POST"),
    )
    unknown = {**_refusal("unknown", 404), "match": {"prefix": "/"}}
    return tuple(map(Tree.of, (*wrong_methods, unknown)))


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


def _endpoint_routes(endpoint: Endpoint, options: Options) -> dict[str, Tree]:
    """Public paths of one endpoint. The LoadBalancer finds the endpoint by authority and sees the rest of the path.

    Versions are the LoadBalancer's business, so a rollout changes nothing here.
    """
    long, short = f"/serving-endpoints/{endpoint.name}/", f"/{endpoint.name}/"
    common, by_version = _common(endpoint), {"prefix": f"{long}served-models/"}

    def version(headers: list[Body]) -> Body:
        return _to_balancer(endpoint, options, common, {**by_version, "headers": headers}, "/served-models/")

    versions = [version([_methods("POST")]), version([_methods("GET"), _path(_ANY_PROTOCOL)])]
    return {
        long: _choice([*_shared(endpoint, options, common, long), *versions]),
        short: _choice(_shared(endpoint, options, common, short)),
    }


def _shared(endpoint: Endpoint, options: Options, common: Body, prefix: str) -> list[Body]:
    """What an endpoint has under each of its two prefixes."""
    post, either = [_methods("POST")], [_methods(*paths.PROTOCOL_METHODS)]

    def route(match: Body, target: str, headers: list[Body]) -> Body:
        return _to_balancer(endpoint, options, common, {**match, "headers": headers}, target)

    scores = [route({"path": f"{prefix}invocations{slash}"}, "/invocations", post) for slash in ("", "/")]
    protocols = [
        route({"path_separated_prefix": f"{prefix.rstrip('/')}{path}"}, path, either) for path in paths.PROTOCOL_PATHS
    ]
    return [*scores, *protocols]


def _path(regex: str) -> Body:
    """Matches the whole path, query string included, beside a prefix that is rewritten."""
    return {"name": ":path", "string_match": {"safe_regex": {"regex": rf"{regex}(\?.*)?"}}}


def _grpc_route(endpoint: Endpoint, options: Options) -> Tree:
    """All that is asked of one endpoint over gRPC."""
    stream = {**_refusal("stream", 501), "match": paths.grpc_stream()}
    return _choice([stream, _to_balancer(endpoint, options, _common(endpoint), paths.grpc_call(), None)])


def _by_model(world: World, options: Options, by_body: dict[str, Tree]) -> dict[str, Tree]:
    """The paths on which the body names the endpoint, beside the addresses of endpoints whose names look like them."""
    known = {endpoint.name: endpoint for endpoint in world.endpoints}
    alike = known.get(by_model.PREFIX.strip("/"))
    own = [] if alike is None else _shared(alike, options, _common(alike), by_model.PREFIX)
    undecided = by_model.undecided(_methods("POST"))
    found = {by_model.PREFIX: _by_header(by_model.MODEL_HEADER, by_body, *own, undecided)}
    if by_model.HIDING in known:
        found[by_model.HIDDEN] = _by_header(by_model.MODEL_HEADER, by_body, undecided)
    return found


def _model_route(endpoint: Endpoint, options: Options) -> Tree:
    """What is asked of one endpoint by its name in the body."""
    common = {**_common(endpoint), "request_headers_to_remove": [by_model.MODEL_HEADER]}
    match = by_model.decided(_methods("POST"))
    return _choice([_to_balancer(endpoint, options, common, match, by_model.rewrite())])


def _common(endpoint: Endpoint) -> Body:
    """What all routes into one endpoint have; made once, as a thousand endpoints' routes are kept in memory."""
    return {
        "request_headers_to_add": [access.endpoint_header(endpoint)],
        "typed_per_filter_config": access.endpoint_route(endpoint),
    }


def _to_balancer(endpoint: Endpoint, options: Options, common: Body, match: Body, target: str | Body | None) -> Body:
    """A route into one endpoint. `target` replaces what was matched of the path, or is a rule for it; None keeps the
    path."""
    action: Body = {
        "cluster": names.LOAD_BALANCER,
        "host_rewrite_literal": endpoint.name,
        **connection.route_times(endpoint.spec.timeout_seconds + options.edge_margin_seconds),
    }
    if isinstance(target, str):
        action["prefix_rewrite"] = target
    elif target is not None:
        action["regex_rewrite"] = target
    named = paths.GRPC_PREFIX if target is None else by_model.PREFIX if isinstance(target, dict) else target
    return {
        "name": f"{endpoint.name}:{named}",
        "match": match,
        "route": action,
        **common,
    }
