"""The PopProxy's configuration as data: for any set of endpoints, who can reach what."""

from collections.abc import Iterator
from typing import Any

from generated_worlds import CACHE, KEYS, OPTIONS, clusters_of, hosts, quickly, worlds
from hypothesis import given
from hypothesis import strategies as st

from headrace.contract import names
from headrace.contract.model_endpoint import ModelEndpointSpec, ServedVersion
from headrace.routing.snapshot import Endpoint, World, body_based_routing, build, paths
from headrace.routing.snapshot.access import JWT_FILTER, RBAC_FILTER, STRIPPED_PREFIXES, SUBJECT_HEADER
from headrace.routing.snapshot.pop_proxy import PUBLIC_PATHS
from headrace.routing.snapshot.resources import LISTENER


def pop_shapes(world: World) -> list[tuple[str, dict[str, dict[str, Any]], list[dict[str, Any]]]]:
    """The PopProxy's matchers in order: the header that is looked at, its values' routes, and the routes otherwise."""
    (host,) = hosts(world, names.POP_PROXY)
    assert "routes" not in host
    found = []
    for shape in host["matcher"]["on_no_match"]["matcher"].get("matcher_list", {}).get("matchers", ()):
        matcher = shape["on_match"]["matcher"]
        tree = matcher["matcher_tree"]
        (choices,) = (tree[kind]["map"] for kind in ("prefix_match_map", "exact_match_map") if kind in tree)
        routes = {value: choice["action"]["typed_config"] for value, choice in choices.items()}
        otherwise = list(_actions(matcher["on_no_match"])) if "on_no_match" in matcher else []
        found.append((tree["input"]["typed_config"]["header_name"], routes, otherwise))
    return found


def _actions(on: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Routes at the ends of a matcher."""
    if "action" in on:
        yield on["action"]["typed_config"]
        return
    for matcher in on["matcher"]["matcher_list"]["matchers"]:
        yield from _actions(matcher["on_match"])
    yield from _actions(on["matcher"]["on_no_match"])


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
        yield from otherwise
    yield from pop_rest(world)


@quickly
@given(worlds())
def test_every_route_of_the_pop_asks_for_a_token_except_those_that_are_named(world: World) -> None:
    for route in pop_routes(world):
        filters = route["typed_per_filter_config"]
        public = filters.get(JWT_FILTER, {}).get("disabled", False)
        of_console = route["match"].get("safe_regex", {}).get("regex") == paths.CONSOLE_PUBLIC
        assert public == (of_console or route["match"].get("path") in PUBLIC_PATHS), route["name"]
        assert RBAC_FILTER in filters, "who may call is said on every route"
        if of_console:
            assert route["route"]["cluster"] == names.CONSOLE, "where a token is given"
        elif public:
            assert route["direct_response"]["status"] in (200, 404), "a public route reaches nothing"


@quickly
@given(worlds())
def test_whatever_is_asked_of_the_pop_ends_in_an_answer(world: World) -> None:
    last = pop_rest(world)[-1]
    assert (last["match"], last["direct_response"]) == ({"prefix": "/"}, {"status": 404})


@quickly
@given(worlds())
def test_a_route_that_says_nothing_would_be_closed(world: World) -> None:
    body = build(world, OPTIONS, CACHE).roles[names.POP_PROXY][LISTENER][names.POP_PROXY].body
    manager = body["filter_chains"][0]["filters"][0]["typed_config"]
    filters = {item["name"]: item.get("typed_config", {}) for item in manager["http_filters"]}
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
        if route["route"]["cluster"] in (names.MANAGEMENT, names.CONSOLE):
            assert principals == [{"any": True}], "they tell each caller of what that may call"
            continue
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
    headers = [":path", ":path", paths.ENDPOINT_METADATA, body_based_routing.MODEL_HEADER]
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
        assert bool(otherwise) == (header == body_based_routing.MODEL_HEADER)
        for route in otherwise:
            assert header.startswith(STRIPPED_PREFIXES), "clients cannot send it"
            assert route["direct_response"] == {"status": 404}


@given(st.integers(0, 40), st.integers(0, 40))
def test_no_pattern_is_made_for_an_endpoint(one: int, other: int) -> None:
    """A pattern takes kilobytes in each proxy."""

    def patterns(count: int) -> int:
        spec = ModelEndpointSpec(versions=(ServedVersion(name="v1", model_uri="m", image="i"),))
        found = tuple(Endpoint(name=f"e{at}", spec=spec) for at in range(1, count + 1))
        return str(hosts(World(keys=KEYS, endpoints=found), names.POP_PROXY)).count("'regex'")

    assert patterns(1 + one) == patterns(1 + other)
