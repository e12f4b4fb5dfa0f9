"""The front door: what exists for one endpoint, in which order, and what happens to it over time."""

from functools import cache
from typing import Any

import pytest
from stand_ins import DELIVERY, IMAGE

from headrace.components import ModelEndpoint
from headrace.components.kubernetes.checks import ArgsError
from headrace.components.testing import Recording, record
from headrace.contract import names
from headrace.contract.model_endpoint import ModelEndpointSpec, ServedVersion

pytestmark = pytest.mark.usefixtures("stand_in_images")

REF: Any = {
    "namespace": "headrace-system",
    "url": "https://models.example",
    "image_delivery": DELIVERY,
    "image_base": {},
}


@cache
def plain() -> Recording:
    return record(lambda: ModelEndpoint("fraud", {"platform": REF, "model_uri": "models:/fraud/7"}))


def made(**args: Any) -> Recording:
    given: Any = {"platform": REF, "model_uri": "models:/fraud/7", **args}
    return record(lambda: ModelEndpoint("fraud", given)) if args else plain()


def test_a_platform_and_a_model_are_enough_for_an_address() -> None:
    recording = made()

    outputs = dict(recording.outputs[recording.named("fraud").urn])
    assert outputs.pop("evidence")["image"] == IMAGE
    assert outputs == {
        "url": "https://models.example/serving-endpoints/fraud",
        "version": "v7",
        "image": IMAGE,
        "runtime_kind": "mlflow",
        "namespace": "endpoint-fraud",
    }


def test_the_endpoint_has_a_namespace_of_its_own_that_is_closed_before_its_first_pod() -> None:
    recording = made()

    (space,) = recording.of_kind("Namespace")
    assert space.inputs["metadata"]["name"] == "endpoint-fraud"
    assert space.inputs["metadata"]["labels"]["pod-security.kubernetes.io/enforce"] == "restricted"
    for earlier in ("fraud-namespace", "fraud-deny-all", "fraud-policy", "fraud-account"):
        assert recording.waits_for("fraud-v7-deployment", earlier)


def test_the_object_is_there_before_the_pods_so_that_it_can_say_why_they_do_not_start() -> None:
    """Pulumi calls a Deployment created when its pods are ready. Traffic is the control plane's part."""
    recording = made()

    assert recording.waits_for("fraud-endpoint", "fraud-namespace")
    assert not recording.waits_for("fraud-endpoint", "fraud-v7-deployment")
    assert not recording.waits_for("fraud-v7-deployment", "fraud-endpoint")


def test_the_object_says_which_version_serves_from_which_image() -> None:
    recording = made(allowed_subjects=["system:serviceaccount:shop:web"], timeout_seconds=10.0)

    (thing,) = [r for r in recording.resources.values() if r.type.endswith(f"/v1alpha1:{names.MODEL_ENDPOINT_KIND}")]
    assert thing.inputs["metadata"]["name"] == "fraud"
    assert ModelEndpointSpec.from_json(thing.inputs["spec"]) == ModelEndpointSpec(
        versions=(
            ServedVersion(
                name="v7",
                model_uri="models:/fraud/7",
                image=IMAGE,
                runtime="mlflow",
                reasons=(
                    "flavor sklearn runs in the model's own Python environment",
                    "memory 832 MiB: 768 for the environment, 4 x 2 for the model",
                ),
            ),
        ),
        allowed_subjects=("system:serviceaccount:shop:web",),
        timeout_seconds=10.0,
    )


def test_the_number_of_pods_is_left_to_the_autoscaler() -> None:
    deployment = made().named("fraud-v7-deployment")

    assert "replicas" not in deployment.inputs["spec"]
    assert list(deployment.request.ignoreChanges) == ["spec.replicas"]


def test_a_model_on_our_own_workers_gets_the_gpus_that_were_asked_for() -> None:
    recording = made(runtime={"gpus": 1})
    (container,) = recording.named("fraud-v7-deployment").inputs["spec"]["template"]["spec"]["containers"]

    assert recording.outputs[recording.named("fraud").urn]["runtime_kind"] == "mlflow"
    assert container["resources"]["limits"]["nvidia.com/gpu"] == "1"


def test_an_update_never_has_fewer_ready_pods_than_before() -> None:
    strategy = made().named("fraud-v7-deployment").inputs["spec"]["strategy"]["rollingUpdate"]

    assert strategy == {"maxUnavailable": 0, "maxSurge": 1}


def test_a_new_version_stands_beside_the_old_one() -> None:
    """Other names for Pulumi and for Kubernetes: what served before is deleted after traffic has moved, not before."""
    old, new = made(), made(model_uri="models:/fraud/8")

    assert new.named("fraud-v8-deployment").inputs["metadata"]["name"] == "v8"
    assert {r.name for r in old.resources.values()} - {r.name for r in new.resources.values()} == {
        "fraud-v7-budget",
        "fraud-v7-service",
        "fraud-v7-deployment",
        "fraud-v7-autoscaler",
    }
    assert old.named("fraud-endpoint").urn == new.named("fraud-endpoint").urn


def test_the_service_and_the_pods_agree_on_labels_and_ports() -> None:
    recording = made()
    service = recording.named("fraud-v7-service").inputs
    template = recording.named("fraud-v7-deployment").inputs["spec"]["template"]

    assert service["spec"]["selector"].items() <= template["metadata"]["labels"].items()
    assert {names.ENDPOINT_LABEL: "fraud", names.VERSION_LABEL: "v7"}.items() <= service["metadata"]["labels"].items()
    (container,) = template["spec"]["containers"]
    container_ports = {port["name"]: port["containerPort"] for port in container["ports"]}
    assert {port["port"]: port["appProtocol"] for port in service["spec"]["ports"]} == {
        names.FRONT_PORT: "http",
    }
    assert all(container_ports[port["targetPort"]] == port["port"] for port in service["spec"]["ports"])


def test_a_service_without_pods_is_not_waited_for() -> None:
    """An endpoint that sleeps has no pods, and Pulumi would wait ten minutes for them."""
    annotations = made().named("fraud-v7-service").inputs["metadata"]["annotations"]

    assert annotations == {"pulumi.com/skipAwait": "true"}


def test_the_pods_identity_carries_no_token() -> None:
    recording = made()

    assert recording.named("fraud-account").inputs["automountServiceAccountToken"] is False
    spec = recording.named("fraud-v7-deployment").inputs["spec"]["template"]["spec"]
    assert spec["automountServiceAccountToken"] is False


def test_policies_outlive_the_last_pod() -> None:
    """Deleted one by one, policies would be gone while pods drain; a namespace's own deletion ends pods first."""
    recording = made()
    space = recording.named("fraud-namespace")

    objects = [r for r in recording.resources.values() if r.type.startswith("kubernetes:")]
    assert {r.name for r in objects if r.request.deletedWith != space.urn} == {
        "fraud-namespace",
        "fraud-endpoint",
        "fraud-v7-autoscaler",
        "fraud-v7-deployment",
    }


def test_the_autoscaler_then_the_pods_then_the_namespace_let_go() -> None:
    """Pulumi deletes in the opposite order of what waits for what."""
    recording = made()

    for earlier, later in (
        ("fraud-endpoint", "fraud-namespace"),
        ("fraud-v7-autoscaler", "fraud-v7-deployment"),
        ("fraud-v7-deployment", "fraud-namespace"),
    ):
        assert recording.waits_for(earlier, later)


@pytest.mark.parametrize("timeout_seconds", [5.0, 297.0, 3600.0])
def test_pods_that_finish_their_last_request_are_waited_for(timeout_seconds: float) -> None:
    """The namespace controller looks again after half of the pods' grace: up to one and a half graces in all."""
    recording = made(timeout_seconds=timeout_seconds)
    deployment, space = recording.named("fraud-v7-deployment"), recording.named("fraud-namespace")
    grace = deployment.inputs["spec"]["template"]["spec"]["terminationGracePeriodSeconds"]

    assert float(deployment.request.customTimeouts.delete.removesuffix("s")) > grace
    assert float(space.request.customTimeouts.delete.removesuffix("s")) > 1.5 * grace


def test_a_quota_bounds_the_namespace_only_when_one_is_given() -> None:
    assert made().of_kind("ResourceQuota") == []

    (quota,) = made(quota={"cpu": 8, "memory_mib": 4096, "pods": 4}).of_kind("ResourceQuota")
    assert quota.inputs["spec"]["hard"] == {"limits.cpu": "8000m", "limits.memory": "4096Mi", "pods": "4"}


def test_bad_inputs_are_told_at_once_and_nothing_is_registered() -> None:
    def program() -> None:
        bad: Any = {"platform": REF, "model_url": "models:/fraud/7", "cpu": 0, "quota": {"pods": 0, "gpus": 1}}
        with pytest.raises(ArgsError) as caught:
            ModelEndpoint("Fraud_1", bad)
        for words in (
            "name = 'Fraud_1', must be a DNS label",
            "unknown input 'model_url'",
            "model_uri is missing",
            "cpu = 0, must be at least 0.05",
            "quota.pods = 0, must be at least 1",
            "quota.gpus is unknown, must be one of cpu, memory_mib, pods",
        ):
            assert words in str(caught.value)

    assert record(program).resources == {}


def test_a_preview_knows_everything_but_what_the_engine_must_create() -> None:
    given: Any = {"platform": REF, "model_uri": "models:/fraud/7"}

    recording = record(lambda: ModelEndpoint("fraud", given), preview=True)

    assert recording.outputs[recording.named("fraud").urn]["url"] == "https://models.example/serving-endpoints/fraud"


def test_a_model_whose_image_cannot_be_built_leaves_nothing_in_the_cluster() -> None:
    recording = made()

    objects = [r.name for r in recording.resources.values() if r.type.startswith("kubernetes:")]
    assert [name for name in objects if not recording.waits_for(name, "fraud-image-build")] == []
