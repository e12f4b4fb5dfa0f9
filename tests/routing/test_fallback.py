"""Which version takes the traffic while the one that shall is not there yet."""

from typing import Any

import pytest

from headrace.contract import names
from headrace.contract.model_endpoint import ModelEndpointSpec, ServedVersion
from headrace.routing.snapshot import Endpoint, creation_times, pod_counts, with_fallback


def endpoint(**weights: int) -> Endpoint:
    versions = tuple(ServedVersion(name=name, model_uri="m", image="i", weight=at) for name, at in weights.items())
    return Endpoint(name="fraud", spec=ModelEndpointSpec(versions=versions, allowed_subjects=("bob",)))


def weights(found: Endpoint) -> dict[str, int]:
    return {version.name: version.weight for version in found.spec.versions}


@pytest.mark.parametrize(
    ("wanted", "pods", "taken"),
    [
        ({"v1": 100}, {}, {"v1": 100}),  # the first version, not there yet: nobody else could serve
        ({"v1": 100}, {"v1": 0}, {"v1": 100}),
        ({"v2": 100}, {"v1": 2, "v2": 0}, {"v1": 100, "v2": 0}),
        ({"v2": 100}, {"v1": 2, "v2": 1}, {"v2": 100}),
        ({"v2": 100}, {"v1": 2}, {"v1": 100, "v2": 0}),
        ({"v2": 100}, {"v1": 0, "v2": 0}, {"v2": 100}),
        ({"v1": 90, "v2": 10}, {"v1": 2}, {"v1": 90, "v2": 10}),  # v1 is named: nothing of it is former
        ({"v2": 90, "v3": 10}, {"v1": 1, "v2": 1}, {"v1": 100, "v2": 0, "v3": 0}),
        ({"v2": 100, "v3": 0}, {"v1": 1, "v2": 1}, {"v2": 100, "v3": 0}),  # no weight, nothing to wait for
    ],
)
def test_the_version_before_serves_until_all_that_shall_are_there(
    wanted: dict[str, int], pods: dict[str, int], taken: dict[str, int]
) -> None:
    found = with_fallback(endpoint(**wanted), pods, {}, staying=pods)

    assert weights(found) == taken
    assert found.spec.allowed_subjects == ("bob",), "who may call is as the object says"


def test_of_several_former_versions_the_oldest_serves() -> None:
    """v2 was rolled out and failed; now that v3 comes, v2 has a pod for a moment."""
    born = {"v1": "2026-01-02T00:00:00Z", "v2": "2026-01-03T00:00:00Z", "v3": "2026-01-04T00:00:00Z"}

    for wanted, pods, taken in (
        (endpoint(v3=100), {"v1": 1, "v2": 1}, {"v1": 100, "v3": 0}),
        (endpoint(v1=100), {"v2": 1, "v3": 1}, {"v2": 100, "v1": 0}),
    ):
        assert weights(with_fallback(wanted, pods, born, staying=pods)) == taken


@pytest.mark.parametrize(
    ("wanted", "pods", "staying", "taken"),
    [
        # rolled back within seconds: v1's last pod drains, and v1's next one is still to come
        ({"v1": 100}, {"v1": 1, "v2": 1}, {"v1": 0, "v2": 1}, {"v2": 100, "v1": 0}),
        ({"v1": 100}, {"v1": 1, "v2": 1}, {"v1": 1, "v2": 1}, {"v1": 100}),
        ({"v1": 100}, {"v1": 1}, {}, {"v1": 100}),  # a draining pod is better than none
        ({"v1": 100}, {"v1": 1, "v2": 1}, {}, {"v1": 100}),
        ({"v2": 100}, {"v1": 1}, {}, {"v1": 100, "v2": 0}),
        ({"v3": 100}, {"v1": 1, "v2": 1}, {"v2": 1}, {"v2": 100, "v3": 0}),  # v1 is the older one, and leaves
    ],
)
def test_a_version_whose_pods_all_drain_gives_way_to_one_whose_pods_stay(
    wanted: dict[str, int], pods: dict[str, int], staying: dict[str, int], taken: dict[str, int]
) -> None:
    assert weights(with_fallback(endpoint(**wanted), pods, {}, staying=staying)) == taken


def test_births_and_counts_are_by_endpoint_and_version() -> None:
    def made(version: str, at: str, namespace: str = "endpoint-fraud") -> dict[str, Any]:
        labels = {names.ENDPOINT_LABEL: "fraud", names.VERSION_LABEL: version}
        return {"metadata": {"namespace": namespace, "labels": labels, "creationTimestamp": at}}

    slices = [made("v1", "2026-02"), made("v1", "2026-01"), made("v2", "2026-03"), made("v2", "2020-01", "elsewhere")]
    assert creation_times(slices) == {"fraud": {"v1": "2026-01", "v2": "2026-03"}}
    assert pod_counts({("fraud", "v1"): (1, 2), ("fraud", "v2"): (), ("a", "v1"): (1,)}) == {
        "fraud": {"v1": 2, "v2": 0},
        "a": {"v1": 1},
    }
