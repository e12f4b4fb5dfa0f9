"""Balancer: the LoadBalancer. One virtual host an endpoint, one cluster a version."""

from collections.abc import Callable

from headrace.contract import names
from headrace.contract.model_endpoint import ServedVersion
from headrace.routing.snapshot import connection, paths
from headrace.routing.snapshot.clusters import (
    cluster_name,
    grpc_addresses,
    grpc_cluster,
    grpc_cluster_name,
    version_addresses,
    version_cluster,
)
from headrace.routing.snapshot.options import Options
from headrace.routing.snapshot.recall import Recall
from headrace.routing.snapshot.resources import Body, Resource, RoleResources, Tree, role_resources, seconds
from headrace.routing.snapshot.world import Endpoint, PodAddress, World


def balancer_resources(world: World, options: Options, recall: Recall) -> RoleResources:
    """Everything an Envoy of role names.LOAD_BALANCER holds."""
    versions = [(endpoint.name, version.name) for endpoint in world.endpoints for version in endpoint.spec.versions]
    return role_resources(
        cluster=[cluster for key in versions for cluster in recall(_clusters, *key, options)],
        endpoints=[
            addresses for key in versions for addresses in recall(_addresses, *key, tuple(world.pods.get(key, ())))
        ],
        listener=[recall(_listener, options)],
        routes=[_route_table(world, options, recall)],
    )


def _clusters(endpoint: str, version: str, options: Options) -> tuple[Resource, Resource]:
    return (
        Resource.of(cluster_name(endpoint, version), version_cluster(endpoint, version, options)),
        Resource.of(grpc_cluster_name(endpoint, version), grpc_cluster(endpoint, version, options)),
    )


def _addresses(endpoint: str, version: str, pods: tuple[PodAddress, ...]) -> tuple[Resource, Resource]:
    return (
        Resource.of(cluster_name(endpoint, version), version_addresses(endpoint, version, pods)),
        Resource.of(grpc_cluster_name(endpoint, version), grpc_addresses(endpoint, version, pods)),
    )


def _listener(options: Options) -> Resource:
    extra: Body = {
        # The PopProxy is the only peer (NetworkPolicy), so what it says of the client is kept.
        "use_remote_address": False,
        "common_http_protocol_options": {"idle_timeout": seconds(options.client_idle_seconds)},
        "http2_protocol_options": {
            "max_concurrent_streams": 1000,
            "initial_stream_window_size": 1048576,
            "initial_connection_window_size": 16777216,
        },
    }
    # The PopProxy adds its own headers to what it let in.
    inner = {"max_request_headers_kb": options.request_headers_kib + 8}
    manager = connection.http_manager(
        names.LOAD_BALANCER, options, filters=[connection.router()], extra={**extra, **inner}
    )
    body = connection.listener(names.LOAD_BALANCER, options, port=options.load_balancer_port, manager=manager)
    return Resource.of(names.LOAD_BALANCER, body)


def _route_table(world: World, options: Options, recall: Recall) -> Resource:
    hosts = [recall(_virtual_host, endpoint, options) for endpoint in world.endpoints]
    unknown = {"name": "*", "domains": ["*"], "routes": [_unknown({"prefix": "/"})]}
    return Resource(
        names.LOAD_BALANCER, Tree.of({"name": names.LOAD_BALANCER}, "virtual_hosts", [*hosts, Tree.of(unknown)])
    )


def _unknown(match: Body) -> Body:
    return {"name": "unknown", "match": match, "direct_response": {"status": 404}}


def _virtual_host(endpoint: Endpoint, options: Options) -> Tree:
    """Found by hash of the authority, so ten thousand endpoints cost a request no more than ten."""
    return Tree.of(
        {
            "name": endpoint.name,
            "domains": [endpoint.name],
            "retry_policy": connection.retry_policy(options, of_fronts=True),
            # Ours to act upon, and done with: the PopProxy must not try again what was tried here.
            "response_headers_to_remove": [names.UNPROCESSED_HEADER],
            # A retry or a shadow needs the whole body kept until the answer; the PopProxy has bounded it already.
            "request_body_buffer_limit": options.body_bytes,
            "routes": [
                *_http_routes(endpoint),
                *_grpc_routes(endpoint),
                _weighted(endpoint, cluster_name, {"prefix": "/"}),
            ],
        }
    )


def _http_routes(endpoint: Endpoint) -> list[Body]:
    """Addresses of one version: under `/served-models/`, and as the Open Inference Protocol names it."""
    routes: list[Body] = []
    for version in endpoint.spec.versions:
        cluster, here = cluster_name(endpoint.name, version.name), {"prefix": f"/served-models/{version.name}/"}
        named = {"path_separated_prefix": f"/v2/models/{endpoint.name}/versions/{version.name}"}
        routes.append(_to_version(endpoint, version, cluster, here, rewrite="/"))
        routes.append(_to_version(endpoint, version, cluster, named))
    return [*routes, _unknown({"prefix": "/served-models/"})]


def _grpc_routes(endpoint: Endpoint) -> list[Body]:
    """Of a version by its name in the metadata, or by weight."""
    chosen = [
        _to_version(endpoint, version, grpc_cluster_name(endpoint.name, version.name), paths.grpc_version(version.name))
        for version in endpoint.spec.versions
    ]
    unknown = _unknown(paths.grpc_version(None))
    return [*chosen, unknown, _weighted(endpoint, grpc_cluster_name, paths.grpc_call())]


def _to_version(
    endpoint: Endpoint, version: ServedVersion, cluster: str, match: Body, *, rewrite: str | None = None
) -> Body:
    """A route to one version, whatever its weight; nobody gets a copy."""
    action: Body = {**connection.route_times(endpoint.spec.timeout_seconds), "cluster": cluster}
    if rewrite is not None:
        action["prefix_rewrite"] = rewrite
    return {
        "name": f"{endpoint.name}/{version.name}",
        "match": match,
        "route": action,
        "response_headers_to_add": [_served_model(version)],
    }


def _weighted(endpoint: Endpoint, cluster: Callable[[str, str], str], match: Body) -> Body:
    """A route to the versions by their weights, with copies to those that shadow."""
    action: Body = {
        **connection.route_times(endpoint.spec.timeout_seconds),
        "request_mirror_policies": [
            {
                "cluster": cluster(endpoint.name, version.name),
                "runtime_fraction": {"default_value": {"numerator": version.shadow, "denominator": "HUNDRED"}},
            }
            for version in endpoint.shadows
        ],
        "weighted_clusters": {
            "clusters": [
                {
                    "name": cluster(endpoint.name, version.name),
                    "weight": version.weight,
                    "response_headers_to_add": [_served_model(version)],
                }
                for version in endpoint.weighted
            ]
        },
    }
    return {"name": endpoint.name, "match": match, "route": action}


def _served_model(version: ServedVersion) -> Body:
    return {
        "header": {"key": names.SERVED_MODEL_HEADER, "value": version.name},
        "append_action": "ADD_IF_ABSENT",
    }
