"""Files that a model reads beside its own."""

from typing import Any

import pytest
from pod_security import violations
from stand_ins import DELIVERY

from headrace.components import ModelEndpoint
from headrace.components.endpoint.endpoint_volumes import volume_faults
from headrace.components.testing import record

pytestmark = pytest.mark.usefixtures("stand_in_images")

REF: Any = {
    "namespace": "headrace-system",
    "url": "https://models.example",
    "image_delivery": DELIVERY,
    "image_base": {},
}
BUCKET = {
    "mount_path": "/mnt/bucket",
    "driver": "gcsfuse.csi.storage.gke.io",
    "attributes": {"bucketName": "features"},
}
CLAIM = {"mount_path": "/mnt/features", "claim": "features"}


def pod(volumes: dict[str, Any], **more: Any) -> Any:
    given: Any = {"platform": REF, "model_uri": "models:/fraud/7", "volumes": volumes, **more}
    recording = record(lambda: ModelEndpoint("fraud", given))
    return recording.named("fraud-v7-deployment").inputs["spec"]["template"]


def test_a_claim_and_a_bucket_are_mounted_and_cannot_be_written() -> None:
    template = pod({"features": CLAIM, "bucket": BUCKET})
    (container,) = template["spec"]["containers"]
    volumes = {volume["name"]: volume for volume in template["spec"]["volumes"]}

    assert volumes["volume-features"]["persistentVolumeClaim"] == {"claimName": "features", "readOnly": True}
    assert volumes["volume-bucket"]["csi"] == {
        "driver": "gcsfuse.csi.storage.gke.io",
        "readOnly": True,
        "volumeAttributes": {"bucketName": "features"},
    }
    mounts = {mount["mountPath"]: mount for mount in container["volumeMounts"]}
    assert mounts["/mnt/features"] == {"name": "volume-features", "mountPath": "/mnt/features", "readOnly": True}
    assert mounts["/mnt/bucket"]["readOnly"] is True
    assert {"/tmp"} <= set(mounts)
    assert list(violations(template["spec"])) == []
    assert template["metadata"]["annotations"] == {"gke-gcsfuse/volumes": "true"}


def test_an_image_is_mounted_where_the_nodes_can_and_refused_before_anything_is_made_elsewhere() -> None:
    terms = {"mount_path": "/mnt/terms", "image": "registry.example.com:5000/data/terms@sha256:" + "a" * 64}

    template = pod({"terms": terms}, platform={**REF, "image_volumes": True})
    volumes = {volume["name"]: volume for volume in template["spec"]["volumes"]}
    assert volumes["volume-terms"] == {
        "name": "volume-terms",
        "image": {"reference": terms["image"], "pullPolicy": "IfNotPresent"},
    }
    assert list(violations(template["spec"])) == []

    with pytest.raises(Exception, match=r"volumes\['terms'\]\.image needs nodes that mount images .*; set asks_nodes"):
        pod({"terms": terms}, platform={**REF, "image_volumes": False})


def test_pods_with_every_need_keep_the_restricted_standard() -> None:
    template = pod(
        {"features": CLAIM},
        runtime={"gpus": 1},
        environment={"REGION": "eu"},
        node_selector={"kubernetes.io/arch": "amd64"},
        tolerations=[{"key": "dedicated", "value": "models", "effect": "NoSchedule"}],
        priority_class="models",
    )

    assert list(violations(template["spec"])) == []


@pytest.mark.parametrize(
    ("volumes", "words"),
    [
        ({"x": {"mount_path": "/mnt/x"}}, "volumes['x'] has none of claim, driver and image, must have one"),
        ({"x": {**CLAIM, **BUCKET}}, "volumes['x'] has claim and driver, must have one of claim, driver, image"),
        ({"x": {**CLAIM, "attributes": {"a": "b"}}}, "volumes['x'].attributes is for driver only"),
        ({"x": {**BUCKET, "attributes": {"a": 5}}}, "volumes['x'].attributes['a'] = 5, must be a text"),
        ({"X_1": CLAIM}, "volumes has the name 'X_1', must be a DNS label"),
        ({"x" * 57: CLAIM}, "must be a DNS label of at most 56"),
        *(
            ({"x": {"claim": "c", "mount_path": path}}, f"volumes['x'].mount_path = {path!r}, must be an absolute path")
            for path in ("mnt/x", "/mnt/../etc", "/mnt/x/", "/mnt:x", "//mnt/x")
        ),
        *(
            ({"x": {"claim": "c", "mount_path": path}}, f"volumes['x'].mount_path = {path!r} would hide")
            for path in ("/", "/opt/model/model", "/opt/headrace/site", "/tmp", "/usr/lib/x", "/dev/shm", "/var/run/x")
        ),
        ({"a": CLAIM, "b": CLAIM}, "volumes['b'].mount_path = '/mnt/features' lies in or around that of volumes['a']"),
        ({"a": CLAIM, "b": {**CLAIM, "mount_path": "/mnt"}}, "lies in or around that of volumes['a']"),
        ({"a": CLAIM, "b": {**CLAIM, "mount_path": "/mnt/features/b"}}, "lies in or around that of volumes['a']"),
    ],
)
def test_a_volume_that_cannot_be_mounted_is_told(volumes: dict[str, Any], words: str) -> None:
    assert any(words in fault for fault in volume_faults(volumes)), list(volume_faults(volumes))
