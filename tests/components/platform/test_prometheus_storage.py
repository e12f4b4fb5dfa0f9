"""How long the platform's own Prometheus remembers: minutes with its pod, or days on a volume."""

from typing import Any

import pytest
from pod_security import violations
from stand_ins import DELIVERY, FOUND

from headrace.components import ServingPlatform
from headrace.components.platform.prometheus_storage import checked_storage, storage_faults
from headrace.components.testing import record

pytestmark = pytest.mark.usefixtures("stand_in_images")


def platform(**inputs: Any) -> Any:
    def program() -> None:
        ServingPlatform("platform", {"image_delivery": DELIVERY, "host": "models.example", **inputs})

    return record(program, answers=FOUND)


def deployed(recording: Any) -> tuple[Any, Any, list[str]]:
    """Of Prometheus: its Deployment's spec, the source of its volume, its arguments."""
    spec = recording.named("platform-observability-deployment").inputs["spec"]
    pod = spec["template"]["spec"]
    assert list(violations(pod)) == []
    [volume] = [each for each in pod["volumes"] if each["name"] == "data"]
    return spec, volume, pod["containers"][0]["args"]


def test_without_a_word_it_keeps_ten_minutes_on_its_nodes_disk_and_an_update_leaves_no_gap() -> None:
    recording = platform()
    spec, volume, arguments = deployed(recording)

    assert volume["emptyDir"] == {"sizeLimit": "1Gi"}
    assert spec["strategy"]["type"] == "RollingUpdate"
    assert "--storage.tsdb.retention.time=10m" in arguments
    assert not recording.of_kind("PersistentVolumeClaim")


def test_on_a_volume_it_keeps_days_as_far_as_the_volume_holds_them_and_no_two_pods_share_it() -> None:
    recording = platform(monitoring={"volume_gib": 10, "storage_class": "fast", "retention_days": 30})
    spec, volume, arguments = deployed(recording)
    [claim] = recording.of_kind("PersistentVolumeClaim")

    assert claim.inputs["spec"] == {
        "accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "10Gi"}}, "storageClassName": "fast",
    }  # fmt: skip
    assert volume["persistentVolumeClaim"] == {"claimName": claim.inputs["metadata"]["name"]}
    assert spec["strategy"] == {"type": "Recreate"}
    assert {"--storage.tsdb.retention.time=30d", "--storage.tsdb.retention.size=8192MB"} <= set(arguments)
    assert recording.waits_for("platform-observability-deployment", claim.name)


@pytest.mark.parametrize(("given", "words"), [({}, "ten minutes"), ({"volume_gib": 5}, "15 days on a volume of 5 GiB")])
def test_a_preview_says_what_is_kept(given: Any, words: str) -> None:
    assert words in checked_storage(given).sentence()


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"volume_gib": 0}, "monitoring.volume_gib = 0, must be"),
        ({"retention_days": 3}, "monitoring.retention_days is for volume_gib only; remove it or set volume_gib"),
        ({"storage_class": "fast"}, "monitoring.storage_class is for volume_gib only; remove it or set volume_gib"),
        ({"size": 3}, "size"),
    ],
)
def test_what_is_wrong_is_said(given: Any, said: str) -> None:
    assert said in "; ".join(storage_faults(given, place="monitoring"))


def test_a_platform_that_reads_the_users_prometheus_keeps_none_of_its_own() -> None:
    [fault] = storage_faults({"volume_gib": 5}, place="monitoring", has_own=False)

    assert fault.startswith("monitoring is for a Prometheus of the platform's own; remove it")
