"""The PopProxy's resources: TLS, tokens, access lists, limits, and one route table with the paths of all endpoints."""

from collections.abc import Mapping
from functools import lru_cache
from typing import Final

from headrace.contract import console, names
from headrace.routing.snapshot import (
    access,
    body_based_routing,
    http_settings,
    large_bodies,
    paths,
    rate_limits,
    refused_body,
    resources,
    revocations,
    tracing,
)
from headrace.routing.snapshot.clusters import addresses, balancer_cluster, program_cluster
from headrace.routing.snapshot.generational_cache import GenerationalCache
from headrace.routing.snapshot.local_replies import STOPPED_STATUS
from headrace.routing.snapshot.options import Options
from headrace.routing.snapshot.resources import Body, Resource, RoleResources, Tree, extension, typed
from headrace.routing.snapshot.world import Endpoint, Issuers, World

CERTIFICATE: Final = "pop-certificate"
HEALTH_PATH: Final = "/healthz"
CLIENT_CONFIG_PATH: Final = "/.well-known/databricks-config"
"""Databricks and MLflow clients request it first, without a token, and wait for the response."""
PUBLIC_PATHS: Final = {HEALTH_PATH: 200, CLIENT_CONFIG_PATH: 404}
"""The only paths that need no token, with the statuses of their responses."""
MANAGEMENT_SECONDS: Final = 30.0
"""Longest time that an answer about endpoints, or a page of the console, may take."""
_BUFFER_FILTER: Final = "envoy.filters.http.buffer"
_BUFFER: Final = "envoy.extensions.filters.http.buffer.v3.Buffer"


def pop_proxy_resources(world: World, options: Options, cache: GenerationalCache) -> RoleResources:
    """Everything an Envoy of role names.POP_PROXY holds."""
    return resources.role_resources(
        cluster=[
            Resource.of(names.LOAD_BALANCER, balancer_cluster(options)),
            *(Resource.of(program, program_cluster(program, options)) for program in (names.MANAGEMENT, names.CONSOLE)),
            *tracing.collector_resources(options),
        ],
        endpoints=[
            Resource.of(names.LOAD_BALANCER, addresses(names.LOAD_BALANCER, world.balancers)),
            Resource.of(names.MANAGEMENT, addresses(names.MANAGEMENT, world.managers)),
            Resource.of(names.CONSOLE, addresses(names.CONSOLE, world.consoles)),
        ],
        extension=[cache(_counters, _limited(world), world.pop_proxies), cache(revocations.revocations, world.revoked)],
        secret=[Resource.of(CERTIFICATE, _certificate(options))],
        listener=[cache(_listener, world.issuers, options)],
        routes=[_route_table(world, options, cache)],
    )


def _limited(world: World) -> tuple[Endpoint, ...]:
    return tuple(endpoint for endpoint in world.endpoints if endpoint.spec.limits is not None)


def _counters(endpoints: tuple[Endpoint, ...], pop_proxies: int) -> Resource:
    return rate_limits.counters(endpoints, pop_proxies)


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


def _listener(issuers: Issuers, options: Options) -> Resource:
    tls = {
        "alpn_protocols": ["h2", "http/1.1"],
        "tls_params": {"tls_minimum_protocol_version": "TLSv1_2"},
        "tls_certificate_sds_secret_configs": [{"name": CERTIFICATE, "sds_config": resources.ADS_SOURCE}],
    }
    transport = extension(
        "envoy.transport_sockets.tls",
        "envoy.extensions.transport_sockets.tls.v3.DownstreamTlsContext",
        {"common_tls_context": tls},
    )
    filters = [
        *refused_body.filters(issuers, options),
        access.shape_filter(),
        access.jwt_filter(issuers, options),
        *access.claims_filters(issuers),
        large_bodies.large_bodies_filter(options),
        *body_based_routing.filters(options),
        # Buffers the whole body before any of it is sent on, so that a slow client never holds a pod's capacity.
        extension(_BUFFER_FILTER, _BUFFER, {"max_request_bytes": options.body_bytes}),
        # After the body, so that a caller over HTTP/2 has sent it when it is refused.
        revocations.revoked_filter(),
        access.access_filter(),
        *rate_limits.filters(),
        http_settings.router(),
    ]
    extra: Body = {
        "use_remote_address": True,
        "always_set_request_id_in_response": True,
        # No client address is internal, not even one of the cluster's, so that x-envoy-* from clients is ignored.
        "internal_address_config": {"unix_sockets": False},
        "early_header_mutation_extensions": [access.strip_identity()],
        "common_http_protocol_options": {
            "idle_timeout": resources.seconds(options.client_idle_seconds),
            "max_connection_duration": resources.seconds(options.connection_seconds),
            "max_headers_count": options.headers_count,
            "headers_with_underscores_action": "REJECT_REQUEST",
        },
        "http1_safe_max_connection_duration": True,
        "http2_protocol_options": http_settings.http2(
            # Bodies are taken whole or thrown away, so a stream's window bounds no memory; and a caller that is refused
            # by `large_bodies` is not kept waiting for more of it.
            100,
            stream_window=options.body_bytes,
            connection_window=2 * options.body_bytes,
        ),
        "request_headers_timeout": resources.seconds(options.headers_timeout_seconds),
        "request_timeout": resources.seconds(options.request_timeout_seconds),
    }
    manager = http_settings.http_manager(names.POP_PROXY, options, filters=filters, extra=extra)
    body = http_settings.listener(names.POP_PROXY, options, port=options.pop_port, manager=manager, transport=transport)
    return Resource.of(names.POP_PROXY, body)


def _route_table(world: World, options: Options, cache: GenerationalCache) -> Resource:
    """One route table. A few patterns that all endpoints share tell the kind of a request; then a map of prefixes or of
    a header's values finds the endpoint. A pattern for each endpoint would need more memory than all else of it.

    A plain list of routes is searched from its start: with a thousand endpoints that took 2.6 ms of every request.
    """
    refused = extension("route", "envoy.config.route.v3.Route", access.misshapen_route())
    misshapen = {"predicate": access.misshapen(options), "on_match": {"action": refused}}
    host = {
        "name": "pop",
        "domains": ["*"],
        # The LoadBalancer has tried again what a front refused.
        "retry_policy": http_settings.retry_policy(options, of_fronts=False),
        "request_headers_to_remove": [refused_body.CHECKED_HEADER, revocations.TOKEN_HEADER],
        "response_headers_to_remove": ["x-envoy-upstream-service-time"],
        # Larger bodies are given on and not copied for a retry, which would need their size twice.
        "request_body_buffer_limit": options.large_body_bytes,
        "matcher": {
            "matcher_list": {"matchers": [misshapen]},
            "on_no_match": {"matcher": {"on_no_match": _rest(options)}},
        },
    }
    shapes = _shapes(world, options, cache) if world.endpoints else []
    tree = Tree.of(host, "matcher.on_no_match.matcher.matcher_list.matchers", shapes) if shapes else Tree.of(host)
    return Resource(names.POP_PROXY, Tree.of({"name": names.POP_PROXY}, "virtual_hosts", [tree]))


def _shapes(world: World, options: Options, cache: GenerationalCache) -> list[Tree]:
    """What leads to an endpoint. What fits a shape and names no endpoint is asked of the next shape."""
    by_address: list[dict[str, Tree]] = [{} for _ in paths.ADDRESSES]
    by_metadata: dict[str, Tree] = {}
    by_body: dict[str, Tree] = {}
    knows_groups = any(known.trusted.groups_claim is not None for known in world.issuers.others)
    for endpoint in world.endpoints:
        *addresses, metadata, body = cache(_endpoint_routes, endpoint, options, knows_groups)
        for found, (prefix, _), route in zip(by_address, paths.ADDRESSES, addresses, strict=True):
            found[f"{prefix}{endpoint.name}/"] = route
        by_metadata[endpoint.name], by_body[endpoint.name] = metadata, body
    asks_model, undecided = body_based_routing.asks(), body_based_routing.undecided()
    return [
        *(
            _shape(paths.asks_endpoint(pattern), ":path", "prefix_match_map", found)
            for found, (_, pattern) in zip(by_address, paths.ADDRESSES, strict=True)
        ),
        _shape(paths.asks_grpc(), paths.ENDPOINT_METADATA, "exact_match_map", by_metadata),
        _shape(asks_model, body_based_routing.MODEL_HEADER, "exact_match_map", by_body, on_no_match=undecided),
    ]


def _shape(predicate: Body, header: str, kind: str, choices: Mapping[str, Tree], **otherwise: Body) -> Tree:
    """A matcher of requests that the predicate holds for, which chooses by the value of a header or by its prefix."""
    choice = {"matcher_tree": {"input": paths.header_input(header)}, **otherwise}
    body = {"predicate": predicate, "on_match": {"matcher": choice}}
    return Tree.of(body, f"on_match.matcher.matcher_tree.{kind}.map", choices)


def _to(route: Tree) -> Tree:
    """The action of a choice: this route."""
    return Tree.packing({"action": {"name": "route"}}, "action.typed_config", "envoy.config.route.v3.Route", route)


def _methods(*values: str, invert: bool = False) -> Body:
    match = {"exact": values[0]} if len(values) == 1 else {"safe_regex": {"regex": "|".join(values)}}
    return {"name": ":method", "string_match": match, "invert_match": invert}


def _refusal(name: str, status: int, match: Body, *, public: bool = False, at_once: bool = False) -> Body:
    """A route that responds by itself: when the body has come or, `at_once` and where there is no token, before."""
    rules = access.public_route() if public else access.authenticated_route()
    unbuffered = {_BUFFER_FILTER: typed(f"{_BUFFER}PerRoute", {"disabled": True})} if public or at_once else {}
    return resources.direct_response(name, match, status, {**rules, **unbuffered})


@lru_cache(maxsize=1)
def _rest(options: Options) -> Body:
    """Routes of requests whose head names no endpoint: what is asked of the host, our own two files, or a refusal."""
    wrong_methods = (
        _wrong_method(paths.ANY_INVOCATION, "POST"),
        _wrong_method(paths.ANY_PROTOCOL, *paths.PROTOCOL_METHODS),
        _wrong_method(body_based_routing.PATH, "POST"),
        _wrong_method(paths.MANAGEMENT, "GET"),
        _wrong_method(paths.CONSOLE, "GET", "POST"),
        _wrong_method(body_based_routing.INVOCATION_PATH, "POST"),
        _wrong_method(body_based_routing.MODEL_PATH, *paths.PROTOCOL_METHODS),
    )
    managed = [
        _managed({"safe_regex": {"regex": f"{paths.MANAGEMENT}|{paths.HOST_PATHS}"}, "headers": [_methods("GET")]}),
        _managed({"safe_regex": {"regex": paths.GRPC_HOST_PATHS}, "grpc": {}}),
    ]
    shown = [
        _shown(paths.CONSOLE_PUBLIC, access.public_route()),
        _shown(paths.CONSOLE, access.with_cookie()),
    ]
    # These have no end to wait for, and who sends them reads an early answer.
    tunnel = _refusal("tunnel", 426, {"connect_matcher": {}}, at_once=True)
    stream = _refusal("stream", 501, paths.grpc_stream(), at_once=True)
    unknown_call = _refusal("unknown-call", 404, {"prefix": "/", "grpc": {}}, at_once=True)
    refused = [
        stream,
        body_based_routing.undecided_call(options),
        unknown_call,
        _refusal("unknown", 404, {"prefix": "/"}),
    ]
    routes = [tunnel, *_public_routes(), *managed, *shown, *wrong_methods, *refused]
    listed = {"routes": [tracing.untraced(options, route) for route in routes]}
    return {"action": extension("routes", "envoy.config.route.v3.RouteList", listed)}


def _managed(match: Body) -> Body:
    """A route to the program that answers about endpoints, and shows each caller those that it may call."""
    action = {"cluster": names.MANAGEMENT, **http_settings.route_times(MANAGEMENT_SECONDS)}
    rules = access.authenticated_route()
    return {"name": names.MANAGEMENT, "match": match, "route": action, "typed_per_filter_config": rules}


def _shown(path: str, rules: Body) -> Body:
    """A route to the console, which shows each caller the endpoints that it may call."""
    small = typed(f"{_BUFFER}PerRoute", {"buffer": {"max_request_bytes": console.FORM_BYTES}})
    match = {"safe_regex": {"regex": path}, "headers": [_methods("GET", "POST")]}
    action = {"cluster": names.CONSOLE, **http_settings.route_times(MANAGEMENT_SECONDS)}
    return {
        "name": names.CONSOLE, "match": match, "route": action,
        "typed_per_filter_config": {_BUFFER_FILTER: small, **rules},
    }  # fmt: skip


def _wrong_method(path: str, *allowed: str) -> Body:
    match = {"safe_regex": {"regex": path}, "headers": [_methods(*allowed, invert=True)]}
    allow = [{"header": {"key": "allow", "value": ", ".join(allowed)}}]
    return {**_refusal("wrong-method", 405, match), "response_headers_to_add": allow}


def _public_routes() -> list[Body]:
    """Routes that need no token: our own health, and a file that clients request and that does not exist here."""
    routes = [
        _refusal(f"public{path}", status, {"path": path, "headers": [_methods("GET")]}, public=True)
        for path, status in PUBLIC_PATHS.items()
    ]
    healthy = {"status": PUBLIC_PATHS[HEALTH_PATH], "body": {"inline_string": "ok"}}
    return [{**route, "direct_response": healthy} if HEALTH_PATH in route["name"] else route for route in routes]


def _endpoint_routes(endpoint: Endpoint, options: Options, knows_groups: bool) -> tuple[Tree, ...]:
    """The endpoint's routes: by each of paths.ADDRESSES, by gRPC's metadata, and by the name found in the request.

    Where the platform `knows_groups` of callers, no pod is told them.

    The LoadBalancer finds the endpoint by the authority, and gets the rest of the path. Versions are known to the
    LoadBalancer alone, so a rollout changes nothing here.
    """
    addresses = [f"{prefix}{endpoint.name}/" for prefix, _ in paths.ADDRESSES]
    common = {
        "request_headers_to_add": [resources.header_option(names.ENDPOINT_HEADER, endpoint.name)],
        "typed_per_filter_config": {**access.endpoint_route(endpoint), **rate_limits.limited_route(endpoint)},
    }
    action = {
        "cluster": names.LOAD_BALANCER,
        "host_rewrite_literal": endpoint.name,
        **http_settings.route_times(endpoint.spec.timeout_seconds + options.edge_margin_seconds),
        **rate_limits.counted_for(endpoint),
    }

    def route(match: Body, *removed: str, **rewrite: str) -> Tree:
        if knows_groups:
            removed = (*removed, names.GROUPS_HEADER)
        name = f"{endpoint.name}:{next(iter(match.values()))}"
        if endpoint.spec.stopped:
            rules = access.endpoint_route(endpoint)
            return _to(Tree.of(resources.direct_response(name, match, STOPPED_STATUS, rules)))
        body: Body = {"name": name, "match": match, "route": {**action, **rewrite}, **common}
        return _to(Tree.of({**body, "request_headers_to_remove": list(removed)} if removed else body))

    return (
        *(route({"prefix": address}, prefix_rewrite="/") for address in addresses),
        route(paths.grpc_call()),
        route({"prefix": "/"}, body_based_routing.MODEL_HEADER),
    )
