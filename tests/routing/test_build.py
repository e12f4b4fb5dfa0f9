"""Snapshots are a function of the world: equal worlds give equal ones, and a change touches what depends on it."""

import random
from dataclasses import replace

from generated_worlds import CACHE, KEYS, OPTIONS, quickly, worlds
from hypothesis import given
from hypothesis import strategies as st

from headrace.contract import names
from headrace.routing.snapshot import Endpoint, PodAddress, World, build
from headrace.routing.snapshot.resources import ENDPOINTS, LISTENER, ORDER


@quickly
@given(worlds())
def test_what_is_cached_changes_nothing(world: World) -> None:
    assert build(world, OPTIONS, CACHE) == build(world, OPTIONS)


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
    assert build(other, OPTIONS) == build(world, OPTIONS, CACHE)


@quickly
@given(worlds())
def test_a_change_of_pods_touches_their_list_and_nothing_else(world: World) -> None:
    if not world.pods:
        return
    key = next(iter(world.pods))
    changed = replace(world, pods={**world.pods, key: (*world.pods[key], PodAddress("192.0.2.1", 1))})
    before, after = build(world, OPTIONS, CACHE), build(changed, OPTIONS, CACHE)
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
        assert build(world, OPTIONS, CACHE).roles[role][LISTENER] == build(empty, OPTIONS, CACHE).roles[role][LISTENER]
