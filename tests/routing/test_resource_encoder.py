"""Resources as the messages that Envoy reads."""

import pytest
from generated_worlds import CACHE, OPTIONS, quickly, worlds
from hypothesis import given

from headrace.contract import names
from headrace.contract.errors import PermanentError
from headrace.routing.ads.resource_encoder import ResourceEncoder
from headrace.routing.snapshot import Resource, Snapshot, World, build
from headrace.routing.snapshot.resources import CLUSTER, ORDER, role_resources

ENCODER = ResourceEncoder()


@quickly
@given(worlds())
def test_every_resource_is_a_message_that_envoy_knows(world: World) -> None:
    for resources in build(world, OPTIONS, CACHE).roles.values():
        assert set(resources) == set(ORDER)
        for url, by_name in resources.items():
            for name, resource in by_name.items():
                assert ENCODER.resource(url, resource).name == name


def test_a_resource_that_envoy_would_not_know_is_named() -> None:
    resources = role_resources(cluster=[Resource.of("fraud/v1", {"name": "fraud/v1", "lb_polizy": "RANDOM"})])

    with pytest.raises(PermanentError, match=r"^Cluster 'fraud/v1' is not a message of its type: .*lb_polizy"):
        ENCODER.check(Snapshot({names.LOAD_BALANCER: resources}))


def test_a_part_is_encoded_once_for_as_long_as_snapshots_hold_it() -> None:
    def snapshot(timeout: str) -> Snapshot:
        body = {"name": "fraud/v1", "connect_timeout": timeout}
        return Snapshot({names.LOAD_BALANCER: role_resources(cluster=[Resource.of("fraud/v1", body)])})

    encoder, one = ResourceEncoder(), snapshot("1s")
    encoder.check(one)
    first = encoder.resource(CLUSTER, one.roles[names.LOAD_BALANCER][CLUSTER]["fraud/v1"]).resource.value
    encoder.check(one)

    assert encoder.resource(CLUSTER, one.roles[names.LOAD_BALANCER][CLUSTER]["fraud/v1"]).resource.value == first
    two = snapshot("2s")
    encoder.check(two)
    assert encoder.resource(CLUSTER, two.roles[names.LOAD_BALANCER][CLUSTER]["fraud/v1"]).resource.value != first
