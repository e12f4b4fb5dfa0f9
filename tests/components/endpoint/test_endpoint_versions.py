"""Several versions as an input: what is made for each, what the object says, and what cannot be meant."""

from typing import Any

import pytest
from stand_ins import REF_OF_A_PLATFORM

from headrace.components import ModelEndpoint
from headrace.components.kubernetes.checks import ArgsError
from headrace.components.testing import Recording, record
from headrace.contract.model_endpoint import ModelEndpointSpec

pytestmark = pytest.mark.usefixtures("stand_in_images")

SEVEN, EIGHT = {"model_uri": "models:/fraud/7"}, {"model_uri": "models:/fraud/8"}


def made(*versions: dict[str, Any], **args: Any) -> Recording:
    given: Any = {"platform": {**REF_OF_A_PLATFORM, "autoscaler": True}, **args}
    if versions:
        given["versions"] = list(versions)
    return record(lambda: ModelEndpoint("fraud", given))


def faults(*versions: dict[str, Any], **args: Any) -> str:
    with pytest.raises(ArgsError) as caught:
        made(*versions, **args)
    return str(caught.value)


def test_each_version_has_pods_and_bounds_of_its_own_and_the_object_has_all() -> None:
    recording = made(
        {**SEVEN, "weight": 90},
        {**EIGHT, "name": "challenger", "weight": 10, "cpu": 2, "scale": {"max_replicas": 3}},
        {**EIGHT, "name": "shadow", "shadow": 50},
        scale={"min_replicas": 2},
    )

    spec = ModelEndpointSpec.from_json(recording.named("fraud-endpoint").inputs["spec"])
    found = [(version.name, version.model_uri, version.weight, version.shadow) for version in spec.versions]
    assert found == [
        ("v7", "models:/fraud/7", 90, 0),
        ("challenger", "models:/fraud/8", 10, 0),
        ("shadow", "models:/fraud/8", 0, 50),
    ]
    bounds = {name: recording.named(f"fraud-{name}-autoscaler").inputs["spec"] for name, *_ in found}
    assert (bounds["v7"]["minReplicas"], bounds["v7"]["maxReplicas"]) == (2, 100)
    assert (bounds["challenger"]["minReplicas"], bounds["challenger"]["maxReplicas"]) == (1, 3)
    (container,) = recording.named("fraud-challenger-deployment").inputs["spec"]["template"]["spec"]["containers"]
    assert container["resources"]["limits"]["cpu"] == "2000m"
    for name, *_ in found:
        service = recording.named(f"fraud-{name}-service").inputs
        assert service["metadata"]["name"] == name
    assert recording.outputs[recording.named("fraud").urn]["version"] == "v7", "the one with the greatest weight"


def test_naming_the_one_version_is_the_same_as_naming_its_model() -> None:
    alone, listed = made(model_uri="models:/fraud/7"), made({**SEVEN, "weight": 100})

    def but_image(recording: Recording) -> set[str]:
        return {found.name for found in recording.resources.values() if "image" not in found.name}

    assert but_image(alone) == but_image(listed)
    assert alone.named("fraud-endpoint").inputs == listed.named("fraud-endpoint").inputs


def test_what_excludes_or_lacks_another_is_told_all_at_once() -> None:
    told = faults(
        {**SEVEN, "weight": 60, "shadow": 5, "name": "one"},
        {**EIGHT, "weight": 30, "name": "one", "scale": {"min_replicas": -1}},
        {"weight": 5, "runtime": {"kind": "mlflo"}},
        model_uri="models:/fraud/7",
        rollout={},
    )

    for sentence in (
        "model_uri is given with versions, must be one of both; make it a version, or remove versions",
        "rollout is given with versions, must be with model_uri alone; remove one of both",
        "versions have weights that add up to 95, must be 100; change a weight",
        "versions[0].shadow = 5 with weight = 60, must be 0 where weight is not",
        "versions[1].scale.min_replicas = -1, must be at least 0",
        "versions[2].model_uri is missing; set it",
        "versions[2].runtime.kind = 'mlflo', must be one of",
        "one",
    ):
        assert sentence in told
    assert "model_uri is missing; set it, or versions where several serve" in faults()


def test_two_versions_of_one_name_are_told_once_their_names_are_known() -> None:
    told = faults({**SEVEN, "weight": 50}, {"model_uri": "models:/churn/7", "weight": 50})

    assert "v7" in told


def test_a_stopped_endpoint_keeps_its_objects_tells_the_autoscaler_and_waits_with_a_rollout() -> None:
    running, stopped = made(model_uri="models:/fraud/7"), made(model_uri="models:/fraud/7", stopped=True, rollout={})

    assert {found.name for found in running.resources.values()} == {found.name for found in stopped.resources.values()}
    assert stopped.named("fraud-v7-autoscaler").inputs["spec"]["stopped"] is True
    spec = stopped.named("fraud-endpoint").inputs["spec"]
    assert (spec["stopped"], "rollout" in spec) == (True, False)


def test_stopping_needs_somebody_who_takes_the_pods_away() -> None:
    told = faults(model_uri="models:/fraud/7", stopped=True, platform=REF_OF_A_PLATFORM)

    assert "stopped is given and the platform runs no autoscaler; set the platform's input autoscaler to true" in told
