"""Which version has which share while a rollout goes on, whoever is away."""

import pytest

from headrace.contract.model_endpoint import ModelEndpointSpec, ServedVersion
from headrace.contract.rollout import Rollout
from headrace.routing.snapshot import Endpoint, accepted_endpoints
from headrace.routing.snapshot.rollout_split import RolloutSplit, rollout_splits, with_rollout

BORN = {"v1": "2026-01-01T00:00:00Z", "v2": "2026-01-02T00:00:00Z"}
WAITING = RolloutSplit(version="v2", former="v1", weight=0, serving="v1")
STEP = RolloutSplit(version="v2", former="v1", weight=25, serving="v1")
DONE = RolloutSplit(version="v2", former="v1", weight=100, serving="v2")
SETTLED = RolloutSplit(version="v1", former="", weight=100, serving="v1")


def endpoint(version: str = "v2") -> Endpoint:
    served = ServedVersion(name=version, model_uri="m", image="i")
    return Endpoint(name="fraud", spec=ModelEndpointSpec(versions=(served,), rollout=Rollout()))


@pytest.mark.parametrize(
    ("split", "pods", "shares"),
    [
        (None, {"v1": 1, "v2": 1}, {"v1": 100, "v2": 0}),  # nobody has decided yet
        (SETTLED, {"v1": 1, "v2": 1}, {"v1": 100, "v2": 0}),
        (WAITING, {"v1": 1, "v2": 1}, {"v1": 100, "v2": 0}),
        (STEP, {"v1": 3, "v2": 1}, {"v1": 75, "v2": 25}),
        (STEP, {"v1": 3, "v2": 0}, {"v1": 100, "v2": 0}),  # its pods are lost: its share goes at once
        (STEP, {"v1": 0, "v2": 1}, {"v2": 100}),
        (STEP, {}, {"v2": 100}),
        (DONE, {"v1": 3, "v2": 1}, {"v2": 100}),
        (DONE, {"v1": 3, "v2": 0}, {"v1": 100, "v2": 0}),  # as without a rollout: who is there serves
        (None, {"v2": 1}, {"v2": 100}),  # the first version
        (None, {}, {"v2": 100}),
        # The version that the status calls serving was replaced without a rollout.
        (RolloutSplit(version="v0", former="", weight=100, serving="v0"), {"v1": 1, "v2": 1}, {"v1": 100, "v2": 0}),
    ],
)
def test_shares(split: RolloutSplit | None, pods: dict[str, int], shares: dict[str, int]) -> None:
    found = with_rollout(endpoint(), split, pods, BORN, staying=pods)

    assert {version.name: version.weight for version in found.spec.versions} == shares


def test_back_to_what_serves_is_no_rollout() -> None:
    """v2 is on its way, and the object names v1 again: v1 has everything before anybody decides."""
    pods = {"v1": 1, "v2": 1}
    found = with_rollout(endpoint("v1"), STEP, pods, BORN, staying=pods)

    assert {version.name: version.weight for version in found.spec.versions} == {"v1": 100}


def test_a_version_that_drains_gets_no_share() -> None:
    for staying, shares in (({"v1": 1}, {"v1": 100, "v2": 0}), ({"v2": 1}, {"v1": 0, "v2": 100})):
        found = with_rollout(endpoint(), STEP, {"v1": 1, "v2": 1}, BORN, staying=staying)

        assert {version.name: version.weight for version in found.spec.versions} == shares


def item(namespace: str = "endpoint-fraud", **rollout: object) -> dict[str, object]:
    version = {"name": "v2", "modelUri": "m", "image": "i"}
    told = {"version": "v2", "former": "v1", "weight": 25, "serving": "v1"}
    return {
        "metadata": {"name": "fraud", "namespace": namespace},
        "spec": {"versions": [version], "rollout": rollout},
        "status": {"rollout": told},
    }


def test_the_decision_is_read_from_the_object_in_its_own_namespace() -> None:
    assert rollout_splits([item()]) == {"fraud": STEP}
    assert rollout_splits([item(namespace="elsewhere")]) == {}


def test_a_rollout_that_cannot_be_followed_is_a_fault_of_the_object() -> None:
    broken = item(steps=[50, 5])
    broken["spec"]["versions"] = [  # type: ignore[index]
        {"name": name, "modelUri": "m", "image": "i", "weight": 50} for name in ("v1", "v2")
    ]
    _, refused = accepted_endpoints([broken])

    assert refused["endpoint-fraud", "fraud"] == [
        "spec.rollout is given with several weights, must be with one version; remove one of both",
        "spec.rollout.steps = [50, 5], must rise from each to the next; sort them and give each share once",
    ]
