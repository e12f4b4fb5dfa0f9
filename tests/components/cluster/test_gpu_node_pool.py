"""GpuNodePool: one shape of GPUs as Karpenter's objects, bounded and tainted."""

import tomllib
from typing import Any

import pytest

from headrace.components import AdoptedGpuNodePool, GpuNodePool
from headrace.components.kubernetes.checks import ArgsError
from headrace.components.testing import Recording, record

CLUSTER = {"server": "https://eks.example", "name": "shop", "node_role": "shop-node", "node_security_group": "sg-1"}
OFFERED = "aws:ec2/getInstanceTypeOfferings:getInstanceTypeOfferings"
QUOTA = "aws:servicequotas/getServiceQuota:getServiceQuota"


def made(answers: Any = None, **args: Any) -> Recording:
    given = {"cluster": CLUSTER, "gpu": "l4", "max_nodes": 4, **args}
    return record(lambda: GpuNodePool("pool", given), answers=answers)  # type: ignore[arg-type]


def pool(recording: Recording) -> dict[str, Any]:
    return dict(recording.named("pool-node-pool").inputs["spec"])


def test_a_pool_is_one_machine_bounded_tainted_and_empty_when_nobody_wants_it() -> None:
    spec = pool(made())

    (kind,) = [each["values"] for each in spec["template"]["spec"]["requirements"] if "instance-type" in each["key"]]
    assert kind == ["g6.xlarge"]
    assert spec["limits"] == {"nvidia.com/gpu": "4", "nodes": "4"}
    assert spec["template"]["spec"]["taints"][0]["key"] == "nvidia.com/gpu"
    assert spec["disruption"]["consolidationPolicy"] == "WhenEmpty"
    assert "replicas" not in spec


def test_eight_gpus_are_a_machine_of_eight_and_a_model_is_led_there() -> None:
    recording = made(gpu="h100", gpus_per_node=8, max_nodes=2)

    assert pool(recording)["limits"]["nvidia.com/gpu"] == "16"
    outputs = recording.outputs[recording.named("pool").urn]
    assert outputs["node_selector"] == {"serving.headrace.dev/gpu-pool": "pool"}
    assert pool(recording)["template"]["metadata"]["labels"] == outputs["node_selector"]
    assert outputs["gpu_memory_gib"] == 80


@pytest.mark.parametrize(("capacity", "word"), [("on_demand", "on-demand"), ("spot", "spot"), ("reserved", "reserved")])
def test_capacity_is_what_was_asked_for(capacity: str, word: str) -> None:
    reservations = ["cr-0123456789abcdef0"] if capacity == "reserved" else []
    recording = made(capacity=capacity, reservations=reservations)

    (types,) = [
        each["values"] for each in pool(recording)["template"]["spec"]["requirements"] if "capacity" in each["key"]
    ]
    assert types == [word]
    terms = recording.named("pool-node-class").inputs["spec"].get("capacityReservationSelectorTerms", [])
    assert [each["id"] for each in terms] == reservations


def test_nodes_keep_their_role_from_pods_and_their_disks_are_encrypted() -> None:
    spec = made().named("pool-node-class").inputs["spec"]

    assert spec["metadataOptions"]["httpTokens"] == "required"
    assert spec["metadataOptions"]["httpPutResponseHopLimit"] == 1
    assert all(disk["ebs"]["encrypted"] for disk in spec["blockDeviceMappings"])
    assert not any("kmsKeyID" in disk["ebs"] for disk in spec["blockDeviceMappings"])
    assert spec["role"] == "shop-node"


def test_disks_are_under_the_key_of_a_cluster_that_has_one() -> None:
    recording = made(cluster={**CLUSTER, "disk_key": "arn:aws:kms:eu-west-1:123456789012:key/7"})

    disks = recording.named("pool-node-class").inputs["spec"]["blockDeviceMappings"]
    assert [disk["ebs"]["kmsKeyID"] for disk in disks] == ["arn:aws:kms:eu-west-1:123456789012:key/7"] * 2


def test_time_slices_are_settings_of_the_system_and_count_in_the_bound() -> None:
    recording = made(sharing={"kind": "time_slices", "parts": 4})

    settings = tomllib.loads(recording.named("pool-node-class").inputs["spec"]["userData"])["settings"]
    nvidia = settings["kubelet-device-plugins"]["nvidia"]
    assert nvidia["device-sharing-strategy"] == "time-slicing"
    assert nvidia["time-slicing"]["replicas"] == 4
    assert pool(recording)["limits"] == {"nvidia.com/gpu": "16", "nodes": "4"}


def test_an_instance_of_a_cut_gpu_has_its_part_of_the_memory() -> None:
    recording = made(gpu="h100", sharing={"kind": "mig", "parts": 4})

    settings = tomllib.loads(recording.named("pool-node-class").inputs["spec"]["userData"])["settings"]
    assert settings["kubelet-device-plugins"]["nvidia"]["mig"]["profile"] == {"h100.80gb": "4"}
    assert recording.outputs[recording.named("pool").urn]["gpu_memory_gib"] == 20


def test_a_region_without_the_machine_is_told_before_anything_is_made() -> None:
    with pytest.raises(ArgsError, match=r"machine of the type g6.xlarge, which the region does not have"):
        made(answers={OFFERED: {"instanceTypes": []}})


def test_a_quota_that_is_too_small_is_told_with_what_fits() -> None:
    answers = {OFFERED: {"instanceTypes": ["p5.48xlarge"]}, QUOTA: {"value": 384}}

    with pytest.raises(ArgsError, match=r"768 vCPUs of P machines.*quota of 384 .*lower max_nodes to 2"):
        made(answers=answers, gpu="h100", gpus_per_node=8)


@pytest.mark.parametrize(
    ("args", "sentence"),
    [
        ({"gpu": "v100"}, "gpu = 'v100', must be one of t4, a10g, l4"),
        ({"gpus_per_node": 2}, "gpus_per_node = 2, must be one of 1, 4, 8 for l4"),
        ({"max_nodes": 0}, "max_nodes = 0, must be at least 1"),
        ({"max_nodes": None}, "max_nodes is missing"),
        ({"capacity": "cheap"}, "capacity = 'cheap', must be one of on_demand, spot, reserved"),
        ({"capacity": "reserved"}, "capacity = 'reserved' and 0 reservations; give both, or neither"),
        ({"capacity": "reserved", "reservations": ["x"]}, "reservations has 'x', must be an id such as cr-"),
        ({"sharing": {"kind": "mig", "parts": 2}}, "but l4 cannot be cut into instances; use time_slices"),
        ({"sharing": {"kind": "mps", "parts": 2}}, "sharing.kind = 'mps', must be one of time_slices, mig"),
        ({"sharing": {"kind": "time_slices", "parts": 1}}, "sharing.parts = 1, must be between 2 and 48"),
        ({"disk_gib": 5}, "disk_gib = 5, must be at least 50"),
        ({"size": 5}, "unknown input 'size'"),
    ],
)
def test_bad_inputs_are_explained(args: dict[str, Any], sentence: str) -> None:
    with pytest.raises(ArgsError, match=sentence.replace("[", r"\[")):
        made(**args)


def test_nodes_that_exist_are_known_by_their_labels_and_nothing_is_made() -> None:
    labels = {"cloud.google.com/gke-accelerator": "nvidia-l4"}

    recording = record(lambda: AdoptedGpuNodePool("l4", {"node_selector": labels, "gpu_memory_gib": 24}))

    assert [resource.name for resource in recording.resources.values()] == ["l4"]
    assert recording.outputs[recording.named("l4").urn] == {"node_selector": labels, "gpu_memory_gib": 24}


def test_every_node_is_no_pool() -> None:
    with pytest.raises(ArgsError, match="node_selector is empty, which is every node"):
        record(lambda: AdoptedGpuNodePool("l4", {"node_selector": {}, "gpu_memory_gib": 24}))
