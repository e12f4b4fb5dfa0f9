"""The LoadBalancer's resources: one virtual host for each endpoint, one cluster for each version."""

from headrace.contract import names
from headrace.contract.model_endpoint import ServedVersion
from headrace.routing.snapshot import hold, http_settings, large_bodies, paths, resources, tracing
from headrace.routing.snapshot.clusters import addresses, cluster_name, version_cluster
from headrace.routing.snapshot.generational_cache import GenerationalCache
from headrace.routing.snapshot.options import Options
from headrace.routing.snapshot.resources import Body, Resource, RoleResources, Tree
from headrace.routing.snapshot.world import Endpoint, PodAddress, World


def load_balancer_resources(world: World, options: Options, cache: GenerationalCache) -> RoleResources:
    """Everything an Envoy of role names.LOAD_BALANCER holds."""
    versions = [(endpoint.name, version.name) for endpoint in world.endpoints for version in endpoint.spec.versions]
    return resources.role_resources(
        cluster=[
            *cache(_hold_clusters, options),
            *tracing.collector_resources(options),
            *(cache(_cluster, *key, options) for key in versions),
        ],
        endpoints=[
            cache(_activators, world.activators),
            *(cache(_addresses, *key, tuple(world.pods.get(key, ())), bool(world.activators)) for key in versions),
        ],
        listener=[cache(_listener, options), cache(hold.hold_listener, options)],
        routes=[_route_table(world, options, cache)],
    )


def _cluster(endpoint: str, version: str, options: Options) -> Resource:
    return Resource.of(cluster_name(endpoint, version), version_cluster(endpoint, version, options))


def _addresses(endpoint: str, version: str, pods: tuple[PodAddress, ...], held: bool) -> Resource:
    """Of a version; without pods its requests are `held` where there is an activator."""
    cluster = cluster_name(endpoint, version)
    return Resource.of(cluster, hold.hold_addresses(cluster) if held and not pods else addresses(cluster, pods))


def _hold_clusters(options: Options) -> tuple[Resource, ...]:
    return tuple(hold.hold_clusters(options))


def _activators(activators: tuple[PodAddress, ...]) -> Resource:
    return Resource.of(names.ACTIVATOR, hold.activator_addresses(activators))


def _listener(options: Options) -> Resource:
    extra: Body = {
        # The PopProxy adds headers of its own to those that it accepted.
        "max_request_headers_kb": options.request_headers_kib + 8,
        # The PopProxy is the only peer (NetworkPolicy), so its X-Forwarded-For is trusted.
        "use_remote_address": False,
        "common_http_protocol_options": {"idle_timeout": resources.seconds(options.client_idle_seconds)},
        "http2_protocol_options": http_settings.http2(1000, stream_window=1048576, connection_window=16777216),
    }
    filters = [large_bodies.large_bodies_filter(options), http_settings.router()]
    manager = http_settings.http_manager(names.LOAD_BALANCER, options, filters=filters, extra=extra)
    body = http_settings.listener(names.LOAD_BALANCER, options, port=options.load_balancer_port, manager=manager)
    return Resource.of(names.LOAD_BALANCER, body)


def _route_table(world: World, options: Options, cache: GenerationalCache) -> Resource:
    hosts = [cache(_virtual_host, endpoint, options) for endpoint in world.endpoints]
    unknown = {"name": "*", "domains": ["*"], "routes": [_unknown({"prefix": "/"})]}
    return Resource(
        names.LOAD_BALANCER, Tree.of({"name": names.LOAD_BALANCER}, "virtual_hosts", [*hosts, Tree.of(unknown)])
    )


def _unknown(match: Body) -> Body:
    return {"name": "unknown", "match": match, "direct_response": {"status": 404}}


def _virtual_host(endpoint: Endpoint, options: Options) -> Tree:
    """Envoy finds a virtual host by hash of the authority, so ten thousand cost a request no more than ten."""
    return Tree.of(
        {
            "name": endpoint.name,
            "domains": [endpoint.name],
            "retry_policy": http_settings.retry_policy(options, of_fronts=True),
            "request_headers_to_add": _told_to_activator(endpoint),
            # Used for the retries here; the PopProxy must not retry what was retried here.
            "response_headers_to_remove": [names.UNPROCESSED_HEADER],
            # Retries and mirrored requests need the whole body until the response; the PopProxy has bounded its size.
            "request_body_buffer_limit": options.body_bytes,
            "routes": [*_http_routes(endpoint), *_grpc_routes(endpoint), _weighted(endpoint)],
        }
    )


def _told_to_activator(endpoint: Endpoint) -> list[Body]:
    """Headers of what the activator must know of a request, where the version has no pod."""
    milliseconds = str(round(1000 * endpoint.spec.timeout_seconds))
    told = {names.CLUSTER_HEADER: "%UPSTREAM_CLUSTER%", names.TIMEOUT_HEADER: milliseconds}
    return [resources.header_option(*header) for header in told.items()]


def _http_routes(endpoint: Endpoint) -> list[Body]:
    """Routes to one version: under `/served-models/`, and as the Open Inference Protocol names versions."""
    routes: list[Body] = []
    for version in endpoint.spec.versions:
        here = {"prefix": f"/served-models/{version.name}/"}
        named = {"path_separated_prefix": f"/v2/models/{endpoint.name}/versions/{version.name}"}
        routes += [_to_version(endpoint, version, here, prefix_rewrite="/"), _to_version(endpoint, version, named)]
    return [*routes, _unknown({"prefix": "/served-models/"})]


def _grpc_routes(endpoint: Endpoint) -> list[Body]:
    """Routes of gRPC to the version that the metadata names; calls that name none are routed as all requests."""
    versions = endpoint.spec.versions
    chosen = [_to_version(endpoint, version, paths.grpc_version(version.name)) for version in versions]
    return [*chosen, _unknown(paths.grpc_version(None))]


def _to_version(endpoint: Endpoint, version: ServedVersion, match: Body, **rewrite: str) -> Body:
    """A route to one version, whatever its weight; requests on it are not mirrored."""
    cluster, times = cluster_name(endpoint.name, version.name), http_settings.route_times(endpoint.spec.timeout_seconds)
    action = {**times, "cluster": cluster, **rewrite}
    return {"name": cluster, "match": match, "route": action, "response_headers_to_add": [_served_model(version)]}


def _weighted(endpoint: Endpoint) -> Body:
    """A route to the versions by their weights; requests are mirrored to shadow versions."""

    def mirrored(version: ServedVersion) -> Body:
        share = {"default_value": {"numerator": version.shadow, "denominator": "HUNDRED"}}
        return {"cluster": cluster_name(endpoint.name, version.name), "runtime_fraction": share}

    def weighted(version: ServedVersion) -> Body:
        cluster = {"name": cluster_name(endpoint.name, version.name), "weight": version.weight}
        return {**cluster, "response_headers_to_add": [_served_model(version)]}

    action = {
        **http_settings.route_times(endpoint.spec.timeout_seconds),
        "request_mirror_policies": list(map(mirrored, endpoint.shadows)),
        "weighted_clusters": {"clusters": list(map(weighted, endpoint.weighted))},
    }
    return {"name": endpoint.name, "match": {"prefix": "/"}, "route": action}


def _served_model(version: ServedVersion) -> Body:
    return resources.header_option(names.SERVED_MODEL_HEADER, version.name, "ADD_IF_ABSENT")
