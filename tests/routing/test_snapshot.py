"""The proxies' configuration as data: for any set of endpoints, who can reach what."""

import random
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

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
    build,
    by_model,
    paths,
)
from headrace.routing.snapshot.access import JWT_FILTER, RBAC_FILTER, STRIPPED_PREFIXES, SUBJECT_HEADER
from headrace.routing.snapshot.pop import PUBLIC_PATHS
from headrace.routing.snapshot.resources import CLUSTER, ENDPOINTS, LISTENER, ORDER, ROUTES, Resource

quickly = settings(max_examples=15, deadline=None)

OPTIONS = Options()
ENCODER = Encoder()
RECALL = Recall()
"""Shared by the tests, as by one snapshot after another; what it may not change has a test of its own."""
KEYS = Keys.of("https://issuer.test", {"keys": [{"kid": "one"}]})

labels = st.text("ab0", min_size=1, max_size=3) | st.sampled_from(
    ["a-b", "v1", "chat", "serving-endpoints", "invocations", "a" * names.ENDPOINT_NAME_MAX]
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
    ports = st.integers(1, 65535)
    addresses = st.builds(PodAddress, st.ip_addresses(v=4).map(str), ports, st.just(0) | ports)
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


def pop_shapes(world: World) -> list[tuple[str, dict[str, dict[str, Any]], dict[str, Any] | None]]:
    """The PopProxy's matchers in order: the header that is looked at, its values' routes, and the route otherwise."""
    (host,) = hosts(world, names.POP_PROXY)
    assert "routes" not in host
    found = []
    for shape in host["matcher"]["on_no_match"]["matcher"].get("matcher_list", {}).get("matchers", ()):
        matcher = shape["on_match"]["matcher"]
        tree = matcher["matcher_tree"]
        (choices,) = (tree[kind]["map"] for kind in ("prefix_match_map", "exact_match_map") if kind in tree)
        routes = {value: choice["action"]["typed_config"] for value, choice in choices.items()}
        otherwise = matcher["on_no_match"]["action"]["typed_config"] if "on_no_match" in matcher else None
        found.append((tree["input"]["typed_config"]["header_name"], routes, otherwise))
    return found


def pop_rest(world: World) -> list[dict[str, Any]]:
    """The PopProxy's routes for what leads to no endpoint, in order."""
    (host,) = hosts(world, names.POP_PROXY)
    rest: list[dict[str, Any]] = host["matcher"]["on_no_match"]["matcher"]["on_no_match"]["action"]["typed_config"][
        "routes"
    ]
    return rest


def pop_misshapen(world: World) -> dict[str, Any]:
    """The PopProxy's route for what is refused by its head, before any shape is looked at."""
    (host,) = hosts(world, names.POP_PROXY)
    (shape,) = host["matcher"]["matcher_list"]["matchers"]
    route: dict[str, Any] = shape["on_match"]["action"]["typed_config"]
    return route


def pop_routes(world: World) -> Iterator[dict[str, Any]]:
    """Every route of the PopProxy."""
    yield pop_misshapen(world)
    for _, routes, otherwise in pop_shapes(world):
        yield from routes.values()
        if otherwise is not None:
            yield otherwise
    yield from pop_rest(world)


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
    for route in pop_routes(world):
        filters = route["typed_per_filter_config"]
        public = filters.get(JWT_FILTER, {}).get("disabled", False)
        assert public == (route["match"].get("path") in PUBLIC_PATHS), route["name"]
        assert RBAC_FILTER in filters, "who may call is said on every route"
        if public:
            assert route["direct_response"]["status"] in (200, 404), "a public route reaches nothing"


@quickly
@given(worlds())
def test_whatever_is_asked_of_the_pop_ends_in_an_answer(world: World) -> None:
    last = pop_rest(world)[-1]
    assert (last["match"], last["direct_response"]) == ({"prefix": "/"}, {"status": 404})


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
    for route in pop_routes(world):
        if "route" not in route:
            continue
        policies = route["typed_per_filter_config"][RBAC_FILTER]["rbac"]["rules"]["policies"]
        principals = policies["callers"]["principals"]
        endpoint = route["route"]["host_rewrite_literal"]
        assert route["request_headers_to_add"][0]["header"]["value"] == endpoint
        if allowed[endpoint]:
            assert {principal["header"]["name"] for principal in principals} == {SUBJECT_HEADER}
            assert {principal["header"]["string_match"]["exact"] for principal in principals} == allowed[endpoint]
        else:
            assert principals == [{"any": True}]


@quickly
@given(worlds())
def test_a_name_leads_to_its_endpoint_and_to_no_other_by_path_metadata_and_body(world: World) -> None:
    known = {endpoint.name for endpoint in world.endpoints}
    shapes = pop_shapes(world)
    headers = [":path", ":path", paths.ENDPOINT_METADATA, by_model.MODEL_HEADER]
    assert [header for header, *_ in shapes] == (headers if known else []), "a map of nothing is none that Envoy takes"
    for (header, routes, _), prefix in zip(shapes, ["/serving-endpoints/", "/", "", ""], strict=False):
        ending = "/" if header == ":path" else ""
        assert routes.keys() == {f"{prefix}{name}{ending}" for name in known}
        for value, route in routes.items():
            assert value == f"{prefix}{route['route']['host_rewrite_literal']}{ending}"
            assert list(clusters_of(route)) == [names.LOAD_BALANCER]
            if header == ":path":
                assert (route["match"], route["route"]["prefix_rewrite"]) == ({"prefix": value}, "/")


@quickly
@given(worlds())
def test_a_body_that_names_no_endpoint_leads_to_a_refusal(world: World) -> None:
    for header, _, otherwise in pop_shapes(world):
        assert (otherwise is not None) == (header == by_model.MODEL_HEADER)
        if otherwise is not None:
            assert header.startswith(STRIPPED_PREFIXES), "clients cannot send it"
            assert otherwise["direct_response"] == {"status": 404}


@given(st.integers(0, 40), st.integers(0, 40))
def test_no_pattern_is_made_for_an_endpoint(one: int, other: int) -> None:
    """A pattern takes kilobytes in each proxy."""

    def patterns(count: int) -> int:
        spec = ModelEndpointSpec(versions=(ServedVersion(name="v1", model_uri="m", image="i"),))
        found = tuple(Endpoint(name=f"e{at}", spec=spec) for at in range(1, count + 1))
        return str(hosts(World(keys=KEYS, endpoints=found), names.POP_PROXY)).count("'regex'")

    assert patterns(1 + one) == patterns(1 + other)


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
        assert ["grpc" in route["match"] for route in weighted] == [True, False]
        assert host["routes"][-1] is weighted[-1]
        for route, suffix in zip(weighted, ("/grpc", ""), strict=True):
            clusters = route["route"]["weighted_clusters"]["clusters"]
            assert sum(cluster["weight"] for cluster in clusters) == 100
            shares = {v.name: v.weight for v in specs[host["name"]].versions if v.weight > 0}
            wanted = {f"{host['name']}/{version}{suffix}": weight for version, weight in shares.items()}
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
    for (endpoint, version), pods in world.pods.items():
        http = {(pod.ip, pod.port) for pod in pods}
        grpc = {(pod.ip, pod.grpc_port) for pod in pods if pod.grpc_port}
        for name, addresses in ((f"{endpoint}/{version}", http), (f"{endpoint}/{version}/grpc", grpc)):
            found = [
                item["endpoint"]["address"]["socket_address"]
                for group in resources[ENDPOINTS][name].body["endpoints"]
                for item in group["lb_endpoints"]
            ]
            assert {(item["address"], item["port_value"]) for item in found} == addresses


@quickly
@given(worlds())
def test_both_clusters_of_a_version_count_together(world: World) -> None:
    for name, resource in build(world, OPTIONS, RECALL).roles[names.LOAD_BALANCER][CLUSTER].items():
        assert resource.body.get("alt_stat_name", name) == name.removesuffix("/grpc")


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
    changed = replace(world, pods={**world.pods, key: (*world.pods[key], PodAddress("192.0.2.1", 1, 2))})
    before, after = build(world, OPTIONS, RECALL), build(changed, OPTIONS, RECALL)
    differing = [
        (role, url, name)
        for role in before.roles
        for url in ORDER
        for name in before.roles[role][url]
        if before.roles[role][url][name] != after.roles[role][url][name]
    ]
    assert differing == [(names.LOAD_BALANCER, ENDPOINTS, "/".join((*key, *port))) for port in ((), ("grpc",))]


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
