"""Worlds made by hypothesis, and what their snapshots hold."""

from collections.abc import Iterator
from typing import Any

from hypothesis import settings
from hypothesis import strategies as st

from headrace.contract import names
from headrace.contract.model_endpoint import ModelEndpointSpec, ServedVersion
from headrace.routing.snapshot import Endpoint, GenerationalCache, Keys, Options, PodAddress, World, build
from headrace.routing.snapshot.resources import ROUTES

quickly = settings(max_examples=15, deadline=None)

OPTIONS = Options()
CACHE = GenerationalCache()
"""Shared by the tests, as by one snapshot after another; test_build says that it has no influence."""
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
    addresses = st.builds(PodAddress, st.ip_addresses(v=4).map(str), ports)
    pods = {
        (endpoint.name, version.name): tuple(draw(st.lists(addresses, max_size=3, unique=True)))
        for endpoint in found
        for version in endpoint.spec.versions
    }
    return World(keys=KEYS, endpoints=tuple(found), pods=pods)


def hosts(world: World, role: str) -> list[dict[str, Any]]:
    table = build(world, OPTIONS, CACHE).roles[role][ROUTES][role].body
    found: list[dict[str, Any]] = table["virtual_hosts"]
    return found


def clusters_of(route: dict[str, Any]) -> Iterator[str]:
    action = route.get("route", {})
    if "cluster" in action:
        yield action["cluster"]
    yield from (cluster["name"] for cluster in action.get("weighted_clusters", {}).get("clusters", ()))
    yield from (policy["cluster"] for policy in action.get("request_mirror_policies", ()))
