"""Pods that copy large weights: the container, its volume, and who owns that."""

from typing import Any

import pytest
from pod_security import violations
from stand_ins import REF_OF_A_PLATFORM, large_source

from headrace.components import ModelEndpoint
from headrace.components.testing import Recording, record

pytestmark = pytest.mark.usefixtures("stand_in_images")

MLFLOW = "http://10.1.2.3:5000"


def made(weights: dict[str, Any], **more: Any) -> Recording:
    given: Any = {"platform": REF_OF_A_PLATFORM, "model_uri": "models:/fraud/7", "weights": weights, **more}
    return record(lambda: ModelEndpoint("fraud", given, sources={"models:/fraud/7": large_source(server=MLFLOW)}))


def pod(recording: Recording) -> Any:
    return recording.named("fraud-v7-deployment").inputs["spec"]["template"]["spec"]


def test_a_large_models_pods_copy_its_weights_before_it_starts_and_keep_the_restricted_standard() -> None:
    spec = pod(made({}))
    (first,), (model,) = spec["initContainers"], spec["containers"]
    volumes = {volume["name"]: volume for volume in spec["volumes"]}

    assert first["args"] == ["weights"]
    assert first["image"] == model["image"]
    variables = {entry["name"]: entry["value"] for entry in first["env"]}
    assert variables["HEADRACE_WEIGHTS_SOURCE"] == "mlflow-artifacts:/1/models/m-1/artifacts"
    assert variables["HEADRACE_WEIGHTS_TRACKING_URI"] == MLFLOW
    assert volumes["weights"] == {"name": "weights", "emptyDir": {"sizeLimit": "8256Mi"}}
    assert first["resources"]["requests"]["ephemeral-storage"] == "9280Mi"
    mount = {"name": "weights", "mountPath": "/opt/model/weights"}
    assert mount in first["volumeMounts"]
    assert {**mount, "readOnly": True} in model["volumeMounts"]
    assert spec["securityContext"]["fsGroupChangePolicy"] == "OnRootMismatch"
    assert list(violations(spec)) == []


def test_the_deployment_is_given_the_time_that_copying_takes() -> None:
    deadlines = [
        recording.named("fraud-v7-deployment").inputs["spec"]["progressDeadlineSeconds"]
        for recording in (made({}), made({"above_mib": 100_000}))
    ]

    assert deadlines[0] - deadlines[1] == 164  # 8 GiB at 50 MiB/s


def test_a_directory_of_the_nodes_is_a_volume_of_the_administrators_of_which_each_endpoint_has_a_folder() -> None:
    recording = made({"cache": {"node_path": "/var/lib/headrace/weights", "mib": 100_000}})
    (volume,), (claim,) = recording.of_kind("PersistentVolume"), recording.of_kind("PersistentVolumeClaim")
    spec = pod(recording)
    (first,) = spec["initContainers"]

    assert volume.inputs["spec"]["local"] == {"path": "/var/lib/headrace/weights"}
    assert volume.inputs["spec"]["claimRef"]["namespace"] == claim.inputs["metadata"]["namespace"] == "endpoint-fraud"
    assert claim.inputs["spec"]["volumeName"] == volume.inputs["metadata"]["name"]
    assert {"name": "weights", "persistentVolumeClaim": {"claimName": "weights"}} in spec["volumes"]
    for container in (first, spec["containers"][0]):
        (mount,) = [mount for mount in container["volumeMounts"] if mount["name"] == "weights"]
        assert mount["subPath"] == "endpoint-fraud"
    assert {"name": "HEADRACE_WEIGHTS_LIMIT_BYTES", "value": str(100_000 * 1024**2)} in first["env"]
    assert first["resources"]["requests"]["ephemeral-storage"] == "64Mi"
    assert recording.waits_for("fraud-v7-deployment", "fraud-weights")
    assert list(violations(spec)) == []


def test_a_claim_of_the_users_is_mounted_whole() -> None:
    spec = pod(made({"cache": {"claim": "shared"}}))

    assert {"name": "weights", "persistentVolumeClaim": {"claimName": "shared"}} in spec["volumes"]
    assert {"name": "weights", "mountPath": "/opt/model/weights"} in spec["initContainers"][0]["volumeMounts"]
