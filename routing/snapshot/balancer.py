"""Balancer: the LoadBalancer. One virtual host an endpoint, one cluster a version."""

from headrace.contract import names
from headrace.contract.model_endpoint import ServedVersion
from headrace.routing.snapshot import connection
from headrace.routing.snapshot.clusters import cluster_name, version_addresses, version_cluster
from headrace.routing.snapshot.options import Options
from headrace.routing.snapshot.recall import Recall
from headrace.routing.snapshot.resources import Body, Resource, RoleResources, Tree, role_resources, seconds
from headrace.routing.snapshot.world import Endpoint, PodAddress, World


def balancer_resources(world: World, options: Options, recall: Recall) -> RoleResources:
    """Everything an Envoy of role names.LOAD_BALANCER holds."""
    versions = [(endpoint.name, version.name) for endpoint in world.endpoints for version in endpoint.spec.versions]
    return role_resources(
        cluster=[recall(_cluster, *key, options) for key in versions],
        endpoints=[recall(_addresses, *key, tuple(world.pods.get(key, ()))) for key in versions],
        listener=[recall(_listener, options)],
        routes=[_route_table(world, options, recall)],
    )


def _cluster(endpoint: str, version: str, options: Options) -> Resource:
    return Resource.of(cluster_name(endpoint, version), version_cluster(endpoint, version, options))


def _addresses(endpoint: str, version: str, pods: tuple[PodAddress, ...]) -> Resource:
    return Resource.of(cluster_name(endpoint, version), version_addresses(endpoint, version, pods))


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
    unknown = {"name": "*", "domains": ["*"], "routes": [_unknown("/")]}
    return Resource(
        names.LOAD_BALANCER, Tree.of({"name": names.LOAD_BALANCER}, "virtual_hosts", [*hosts, Tree.of(unknown)])
    )


def _unknown(prefix: str) -> Body:
    return {"name": "unknown", "match": {"prefix": prefix}, "direct_response": {"status": 404}}


def _virtual_host(endpoint: Endpoint, options: Options) -> Tree:
    """Found by hash of the authority, so ten thousand endpoints cost a request no more than ten."""
    common: Body = {
        **connection.route_times(endpoint.spec.timeout_seconds),
        "request_mirror_policies": [
            {
                "cluster": cluster_name(endpoint.name, version.name),
                "runtime_fraction": {"default_value": {"numerator": version.shadow, "denominator": "HUNDRED"}},
            }
            for version in endpoint.shadows
        ],
    }
    by_version: list[Body] = [
        {
            "name": f"{endpoint.name}/{version.name}",
            "match": {"path": f"/served-models/{version.name}/invocations{slash}"},
            "route": {
                **common,
                "request_mirror_policies": [],
                "cluster": cluster_name(endpoint.name, version.name),
                "prefix_rewrite": "/invocations",
            },
            "response_headers_to_add": [_served_model(version)],
        }
        for version in endpoint.spec.versions
        for slash in ("", "/")
    ]
    weighted: Body = {
        "clusters": [
            {
                "name": cluster_name(endpoint.name, version.name),
                "weight": version.weight,
                "response_headers_to_add": [_served_model(version)],
            }
            for version in endpoint.weighted
        ]
    }
    return Tree.of(
        {
            "name": endpoint.name,
            "domains": [endpoint.name],
            "retry_policy": connection.retry_policy(options),
            # Ours to act upon, and done with: the PopProxy must not try again what was tried here.
            "response_headers_to_remove": [names.UNPROCESSED_HEADER],
            # A retry or a shadow needs the whole body kept until the answer; the PopProxy has bounded it already.
            "request_body_buffer_limit": options.body_bytes,
            "routes": [
                *by_version,
                _unknown("/served-models/"),
                {"name": endpoint.name, "match": {"prefix": "/"}, "route": {**common, "weighted_clusters": weighted}},
            ],
        }
    )


def _served_model(version: ServedVersion) -> Body:
    return {
        "header": {"key": names.SERVED_MODEL_HEADER, "value": version.name},
        "append_action": "ADD_IF_ABSENT",
    }
