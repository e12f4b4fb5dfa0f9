"""The proxies' configuration as data: for any set of endpoints, who can reach what."""

import random
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from headrace.contract import names
from headrace.contract.model_endpoint import ModelEndpointSpec, ServedVersion
from headrace.routing.encoding import Encoder
from headrace.routing.snapshot import (
    Endpoint,
    Keys,
    Options,
    PodAddress,
    Recall,
    World,
    accepted_endpoints,
    build,
    ready_pods,
    routed_pods,
)
from headrace.routing.snapshot.access import JWT_FILTER, RBAC_FILTER
from headrace.routing.snapshot.pop import PUBLIC_PATHS
from headrace.routing.snapshot.resources import CLUSTER, ENDPOINTS, LISTENER, ORDER, ROUTES, Resource

quickly = settings(max_examples=15, deadline=None)

OPTIONS = Options()
ENCODER = Encoder()
RECALL = Recall()
"""Shared by the tests, as by one snapshot after another; what it may not change has a test of its own."""
KEYS = Keys.of("https://issuer.test", {"keys": [{"kid": "one"}]})

labels = st.text("ab0", min_size=1, max_size=3) | st.sampled_from(
    ["a-b", "v1", "serving-endpoints", "invocations", "a" * names.ENDPOINT_NAME_MAX]
)
subjects = st.lists(st.text(min_size=1, max_size=20), max_size=3).map(tuple)


@st.composite
def endpoints(draw: st.DrawFn) -> Endpoint:
    version_names = draw(st.lists(labels, min_size=1, max_size=4, unique=True))
    cuts = sorted(draw(st.lists(st.integers(0, 100), min_size=len(version_names) - 1, max_size=len(version_names) - 1)))
    weights = [end - start for start, end in zip([0, *cuts], [*cuts, 100], strict=True)]
    versions = tuple(
        ServedVersion(name=name, model_uri="m", image="i", weight=weight, shadow=draw(st.sampled_from([0, 0, 10, 100])))
        for name, weight in zip(version_names, weights, strict=True)
    )
    timeout = draw(st.floats(0.001, 3600))
    spec = ModelEndpointSpec(versions=versions, allowed_subjects=draw(subjects), timeout_seconds=timeout)
    return Endpoint(name=draw(labels), spec=spec)


@st.composite
def worlds(draw: st.DrawFn) -> World:
    found = draw(st.lists(endpoints(), max_size=4, unique_by=lambda endpoint: endpoint.name))
    addresses = st.builds(PodAddress, st.ip_addresses(v=4).map(str), st.integers(1, 65535))
    pods = {
        (endpoint.name, version.name): tuple(draw(st.lists(addresses, max_size=3, unique=True)))
        for endpoint in found
        for version in endpoint.spec.versions
    }
    return World(keys=KEYS, endpoints=tuple(found), pods=pods)


def hosts(world: World, role: str) -> list[dict[str, Any]]:
    table = build(world, OPTIONS, RECALL).roles[role][ROUTES][role].body
    found: list[dict[str, Any]] = table["virtual_hosts"]
    return found


def pop_routes(world: World) -> Iterator[tuple[str, dict[str, Any]]]:
    """Every route of the PopProxy, with the prefix under which it is found."""
    (host,) = hosts(world, names.POP_PROXY)
    assert "routes" not in host
    for prefix, match in host["matcher"]["matcher_tree"]["prefix_match_map"]["map"].items():
        for route in match["action"]["typed_config"]["routes"]:
            yield prefix, route


def clusters_of(route: dict[str, Any]) -> Iterator[str]:
    action = route.get("route", {})
    if "cluster" in action:
        yield action["cluster"]
    yield from (cluster["name"] for cluster in action.get("weighted_clusters", {}).get("clusters", ()))
    yield from (policy["cluster"] for policy in action.get("request_mirror_policies", ()))


@quickly
@given(worlds())
def test_every_resource_is_a_message_that_envoy_knows(world: World) -> None:
    for resources in build(world, OPTIONS, RECALL).roles.values():
        assert set(resources) == set(ORDER)
        for url, by_name in resources.items():
            for name, resource in by_name.items():
                assert ENCODER.resource(url, resource).name == name


@quickly
@given(worlds())
def test_what_is_recalled_changes_nothing(world: World) -> None:
    assert build(world, OPTIONS, RECALL) == build(world, OPTIONS)


@quickly
@given(worlds())
def test_every_route_of_the_pop_asks_for_a_token_except_the_two_that_are_named(world: World) -> None:
    for _, route in pop_routes(world):
        filters = route["typed_per_filter_config"]
        public = filters.get(JWT_FILTER, {}).get("disabled", False)
        assert public == (route["match"].get("path") in PUBLIC_PATHS), route["name"]
        assert RBAC_FILTER in filters, "who may call is said on every route"
        if public:
            assert route["direct_response"]["status"] in (200, 404), "a public route reaches nothing"


@quickly
@given(worlds())
def test_every_prefix_of_the_pop_ends_in_an_answer(world: World) -> None:
    last = {prefix: route for prefix, route in pop_routes(world)}
    assert "/" in last, "and so has every path a prefix"
    assert all(route["match"] == {"prefix": "/"} for route in last.values())


@quickly
@given(worlds())
def test_a_route_that_says_nothing_would_be_closed(world: World) -> None:
    body = build(world, OPTIONS, RECALL).roles[names.POP_PROXY][LISTENER][names.POP_PROXY].body
    manager = body["filter_chains"][0]["filters"][0]["typed_config"]
    filters = {item["name"]: item["typed_config"] for item in manager["http_filters"]}
    assert filters[JWT_FILTER]["rules"] == [{"match": {"prefix": "/"}, "requires": {"provider_name": "callers"}}]
    assert filters[RBAC_FILTER]["rules"]["policies"] == {}, "an empty list of policies admits nobody"
    assert list(filters).index(JWT_FILTER) < list(filters).index(RBAC_FILTER), "who it is comes before what it may"


@quickly
@given(worlds())
def test_an_access_list_is_on_every_route_of_its_endpoint_and_no_other(world: World) -> None:
    allowed = {endpoint.name: set(endpoint.spec.allowed_subjects) for endpoint in world.endpoints}
    for _, route in pop_routes(world):
        if "route" not in route:
            continue
        policies = route["typed_per_filter_config"][RBAC_FILTER]["rbac"]["rules"]["policies"]
        principals = policies["callers"]["principals"]
        endpoint = route["route"]["host_rewrite_literal"]
        assert route["request_headers_to_add"][0]["header"]["value"] == endpoint
        if allowed[endpoint]:
            found = {
                principal["sourced_metadata"]["metadata_matcher"]["value"]["string_match"]["exact"]
                for principal in principals
            }
            assert found == allowed[endpoint]
        else:
            assert principals == [{"any": True}]


@quickly
@given(worlds())
def test_every_path_of_the_pop_leads_to_the_endpoint_it_names(world: World) -> None:
    reached = set()
    for prefix, route in pop_routes(world):
        if "route" in route:
            endpoint = route["route"]["host_rewrite_literal"]
            match = route["match"]
            path = match.get("path", match.get("prefix"))
            assert path.startswith(prefix)
            assert path.startswith((f"/{endpoint}/invocations", f"/serving-endpoints/{endpoint}/"))
            assert list(clusters_of(route)) == [names.LOAD_BALANCER]
            reached.add(endpoint)
    assert reached == {endpoint.name for endpoint in world.endpoints}


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
        clusters = host["routes"][-1]["route"]["weighted_clusters"]["clusters"]
        assert sum(cluster["weight"] for cluster in clusters) == 100
        wanted = {f"{host['name']}/{v.name}": v.weight for v in specs[host["name"]].versions if v.weight > 0}
        assert {cluster["name"]: cluster["weight"] for cluster in clusters} == wanted


@quickly
@given(worlds())
def test_every_cluster_that_a_route_names_exists_and_has_its_pods(world: World) -> None:
    resources = build(world, OPTIONS, RECALL).roles[names.LOAD_BALANCER]
    named = {
        cluster
        for host in hosts(world, names.LOAD_BALANCER)
        for route in host["routes"]
        for cluster in clusters_of(route)
    }
    assert named == set(resources[CLUSTER]) == set(resources[ENDPOINTS])
    for (endpoint, version), addresses in world.pods.items():
        body = resources[ENDPOINTS][f"{endpoint}/{version}"].body
        found = [
            item["endpoint"]["address"]["socket_address"]
            for group in body["endpoints"]
            for item in group["lb_endpoints"]
        ]
        assert {(item["address"], item["port_value"]) for item in found} == {(pod.ip, pod.port) for pod in addresses}


@quickly
@given(worlds(), st.randoms(use_true_random=False))
def test_equal_worlds_have_equal_versions_in_whatever_order_they_were_seen(
    world: World, shuffle: random.Random
) -> None:
    def mixed(endpoint: Endpoint) -> Endpoint:
        versions = list(endpoint.spec.versions)
        allowed = list(endpoint.spec.allowed_subjects) * 2
        shuffle.shuffle(versions)
        shuffle.shuffle(allowed)
        return replace(endpoint, spec=replace(endpoint.spec, versions=tuple(versions), allowed_subjects=tuple(allowed)))

    seen = list(world.endpoints)
    shuffle.shuffle(seen)
    other = replace(
        world,
        endpoints=tuple(mixed(endpoint) for endpoint in seen),
        pods={key: tuple(reversed(pods)) for key, pods in reversed(world.pods.items())},
    )
    assert build(other, OPTIONS) == build(world, OPTIONS, RECALL)


@quickly
@given(worlds())
def test_a_change_of_pods_touches_their_list_and_nothing_else(world: World) -> None:
    if not world.pods:
        return
    key = next(iter(world.pods))
    changed = replace(world, pods={**world.pods, key: (*world.pods[key], PodAddress("192.0.2.1", 1))})
    before, after = build(world, OPTIONS, RECALL), build(changed, OPTIONS, RECALL)
    differing = [
        (role, url, name)
        for role in before.roles
        for url in ORDER
        for name in before.roles[role][url]
        if before.roles[role][url][name] != after.roles[role][url][name]
    ]
    assert differing == [(names.LOAD_BALANCER, ENDPOINTS, "/".join(key))]


@quickly
@given(worlds())
def test_endpoints_never_change_the_listener(world: World) -> None:
    empty = World(keys=KEYS)
    for role in (names.POP_PROXY, names.LOAD_BALANCER):
        assert (
            build(world, OPTIONS, RECALL).roles[role][LISTENER] == build(empty, OPTIONS, RECALL).roles[role][LISTENER]
        )


def test_keys_do_not_depend_on_the_order_in_which_they_are_published() -> None:
    one, two = {"kid": "one", "n": "1"}, {"n": "2", "kid": "two"}
    assert Keys.of("i", {"keys": [one, two]}) == Keys.of("i", {"keys": [two, dict(reversed(one.items()))]})
    assert Resource.of("a", {"x": 1, "y": 2}) == Resource.of("a", {"y": 2, "x": 1})


# --- Objects of the cluster ------------------------------------------------------------------------------------


def model_endpoint(name: str = "fraud", namespace: str | None = None, **spec: Any) -> dict[str, Any]:
    versions = spec.pop("versions", [{"name": "v1", "modelUri": "m", "image": "i"}])
    space = names.endpoint_namespace(name) if namespace is None else namespace
    return {"metadata": {"name": name, "namespace": space}, "spec": {"versions": versions, **spec}}


def test_objects_become_endpoints_in_name_order() -> None:
    accepted, refused = accepted_endpoints([model_endpoint("b"), model_endpoint("a")])
    assert [endpoint.name for endpoint in accepted] == ["a", "b"]
    assert not refused


@pytest.mark.parametrize(
    ("item", "fault"),
    [
        (model_endpoint(namespace="default"), "namespace = 'default', must be 'endpoint-fraud'"),
        (model_endpoint("x" * 55), "must be a DNS label of at most 54 characters"),
        (
            model_endpoint(versions=[{"name": "v1", "modelUri": "m", "image": "i", "weight": 90}]),
            "add up to 90, must be 100",
        ),
        (model_endpoint(versions=[]), "add up to 0, must be 100"),
        (model_endpoint(versions=[{"name": "v1"}]), "spec cannot be read (KeyError('modelUri'))"),
        (model_endpoint(timeoutSeconds=0), "spec.timeoutSeconds = 0.0"),
        (
            model_endpoint(versions=[{"name": "v1", "modelUri": "m", "image": "i", "weight": 50}] * 2),
            "name = 'v1' appears 2 times",
        ),
    ],
)
def test_an_object_with_a_fault_is_left_out_and_the_others_are_served(item: dict[str, Any], fault: str) -> None:
    accepted, refused = accepted_endpoints([item, model_endpoint("good")])
    assert [endpoint.name for endpoint in accepted] == ["good"]
    assert fault in "; ".join(refused[item["metadata"]["namespace"], item["metadata"]["name"]])


def test_all_faults_of_an_object_are_reported_at_once() -> None:
    item = model_endpoint(
        namespace="else", timeoutSeconds=-1, versions=[{"name": "V", "modelUri": "m", "image": "i", "weight": 1}]
    )
    _, refused = accepted_endpoints([item])
    assert len(refused["else", "fraud"]) == 4


def endpoint_slice(*pods: dict[str, Any], namespace: str = "endpoint-fraud", **fields: Any) -> dict[str, Any]:
    slice_labels = {names.ENDPOINT_LABEL: "fraud", names.VERSION_LABEL: "v1"}
    return {
        "metadata": {"namespace": namespace, "labels": slice_labels},
        "addressType": "IPv4",
        "ports": [{"name": "http", "port": 8080}],
        "endpoints": list(pods),
        **fields,
    }


def pod(ip: str, **conditions: bool) -> dict[str, Any]:
    return {"addresses": [ip], "conditions": conditions}


def addresses_of(*slices: dict[str, Any]) -> list[str]:
    return [f"{found.ip}:{found.port}" for found in ready_pods(slices).get(("fraud", "v1"), ())]


def test_a_pod_gets_requests_when_it_is_ready_and_not_on_its_way_out() -> None:
    found = addresses_of(
        endpoint_slice(
            pod("10.0.0.1", ready=True, serving=True, terminating=False),
            pod("10.0.0.2", ready=False, serving=True, terminating=True),
            pod("10.0.0.3", ready=False),
            pod("10.0.0.4", ready=True, terminating=True),
            pod("10.0.0.5"),
            {"addresses": ["10.0.0.6"]},
        )
    )
    assert found == ["10.0.0.1:8080", "10.0.0.5:8080", "10.0.0.6:8080"]


def test_the_last_pods_of_a_version_get_requests_until_they_stop_serving() -> None:
    leaving = pod("10.0.0.1", ready=False, serving=True, terminating=True)
    gone = pod("10.0.0.2", ready=False, serving=False, terminating=True)
    fresh = pod("10.0.0.3", ready=True)
    starting = pod("10.0.0.4", ready=False, serving=False, terminating=False)

    def routed(*pods: dict[str, Any]) -> list[str]:
        return [found.ip for found in routed_pods([endpoint_slice(*pods)])["fraud", "v1"]]

    assert routed(leaving, gone, starting) == ["10.0.0.1"]
    assert routed(leaving, gone, fresh) == ["10.0.0.3"], "who leaves gets nothing once another is ready"
    assert routed(gone, starting) == []
    assert ready_pods([endpoint_slice(leaving)]) == {("fraud", "v1"): ()}, "and does not count as ready"


def test_slices_of_one_version_are_joined_and_repeats_count_once() -> None:
    assert addresses_of(endpoint_slice(pod("10.0.0.2")), endpoint_slice(pod("10.0.0.1"), pod("10.0.0.2"))) == [
        "10.0.0.1:8080",
        "10.0.0.2:8080",
    ]


def test_a_slice_from_another_namespace_cannot_take_part_in_an_endpoint() -> None:
    assert addresses_of(endpoint_slice(pod("10.0.0.1"), namespace="endpoint-evil")) == []


def test_the_port_is_the_one_named_http_or_else_the_only_one() -> None:
    admin, http = {"name": "admin", "port": 8002}, {"name": "http", "port": 9000}
    assert addresses_of(endpoint_slice(pod("10.0.0.1"), ports=[admin, http])) == ["10.0.0.1:9000"]
    assert addresses_of(endpoint_slice(pod("10.0.0.1"), ports=[{"port": 7000}])) == ["10.0.0.1:7000"]
    assert addresses_of(endpoint_slice(pod("10.0.0.1"), ports=None)) == ["10.0.0.1:8080"]


def test_slices_without_our_labels_or_without_addresses_are_nothing() -> None:
    assert ready_pods([{"metadata": {"namespace": "endpoint-fraud"}}]) == {}
    assert addresses_of(endpoint_slice(endpoints=None)) == []
    assert addresses_of(endpoint_slice(pod("a.example"), addressType="FQDN")) == []
