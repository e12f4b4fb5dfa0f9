"""The LoadBalancer's configuration as data: for any set of endpoints, which pods get which share."""

from collections.abc import Callable
from dataclasses import replace

from generated_worlds import CACHE, OPTIONS, clusters_of, hosts, quickly, worlds
from hypothesis import given

from headrace.contract import names
from headrace.routing.snapshot import Endpoint, Keys, PodAddress, World, build
from headrace.routing.snapshot.resources import CLUSTER, ENDPOINTS


@quickly
@given(worlds())
def test_no_route_of_one_endpoint_reaches_a_cluster_of_another(world: World) -> None:
    for host in hosts(world, names.LOAD_BALANCER):
        for route in host["routes"]:
            reached = list(clusters_of(route))
            assert all(cluster.split("/")[0] == host["name"] for cluster in reached)
            assert bool(reached) == (route["name"] != "unknown")


@quickly
@given(worlds())
def test_weights_are_those_of_the_spec_and_add_up(world: World) -> None:
    specs = {endpoint.name: endpoint.spec for endpoint in world.endpoints}
    for host in hosts(world, names.LOAD_BALANCER):
        if host["name"] == "*":
            continue
        weighted = [route for route in host["routes"] if "weighted_clusters" in route.get("route", {})]
        assert [host["routes"][-1]] == weighted
        clusters = weighted[0]["route"]["weighted_clusters"]["clusters"]
        assert sum(cluster["weight"] for cluster in clusters) == 100
        shares = {v.name: v.weight for v in specs[host["name"]].versions if v.weight > 0}
        wanted = {f"{host['name']}/{version}": weight for version, weight in shares.items()}
        assert {cluster["name"]: cluster["weight"] for cluster in clusters} == wanted


@quickly
@given(worlds())
def test_every_cluster_that_a_route_names_exists_and_has_its_pods(world: World) -> None:
    resources = build(world, OPTIONS, CACHE).roles[names.LOAD_BALANCER]
    named = {
        cluster
        for host in hosts(world, names.LOAD_BALANCER)
        for route in host["routes"]
        for cluster in clusters_of(route)
    }
    of_versions = {name for name in resources[CLUSTER] if "/" in name}
    assert named == of_versions == {name for name in resources[ENDPOINTS] if "/" in name}
    for (endpoint, version), pods in world.pods.items():
        found = [
            item["endpoint"]["address"]["socket_address"]
            for group in resources[ENDPOINTS][f"{endpoint}/{version}"].body["endpoints"]
            for item in group["lb_endpoints"]
        ]
        assert {(item["address"], item["port_value"]) for item in found} == {(pod.ip, pod.port) for pod in pods}


def test_a_version_without_pods_is_held_where_there_is_an_activator(
    make_endpoint: Callable[..., Endpoint], keys_of: Callable[..., Keys]
) -> None:
    activators = (PodAddress("10.9.0.2", 8083), PodAddress("10.9.0.1", 8083))
    without = World(keys=keys_of(), endpoints=(make_endpoint("fraud"),), activators=activators)
    resources = build(without, OPTIONS, CACHE).roles[names.LOAD_BALANCER][ENDPOINTS]
    (group,) = resources["fraud/v1"].body["endpoints"]
    (address,) = group["lb_endpoints"]
    assert address["endpoint"]["address"] == {"envoy_internal_address": {"server_listener_name": "hold"}}
    asked = resources[names.ACTIVATOR].body["endpoints"]
    first, second = (group["lb_endpoints"][0]["endpoint"]["address"]["socket_address"]["address"] for group in asked)
    assert (first, second) == ("10.9.0.1", "10.9.0.2"), "every proxy asks the same one first"
    assert [group["priority"] for group in asked] == [0, 1]
    refused = build(replace(without, activators=()), OPTIONS, CACHE).roles[names.LOAD_BALANCER][ENDPOINTS]
    assert refused["fraud/v1"].body["endpoints"] == []
