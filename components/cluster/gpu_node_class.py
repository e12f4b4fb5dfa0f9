"""What a GPU node is made of, as Karpenter's EC2NodeClass and NodePool. Pure.

The system is Bottlerocket: its NVIDIA variant has driver, container toolkit and device plugin inside, so that a new
node offers its GPUs without a DaemonSet that would first have to be pulled.
"""

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any, Final

import pulumi

from headrace.components.cluster.gpu_shapes import Capacity, GpuShape
from headrace.components.kubernetes.manifests import Labels, Manifest, kubernetes_object, metadata
from headrace.contract.names import GPU_POOL_LABEL

GPU_RESOURCE: Final = "nvidia.com/gpu"
SYSTEM: Final = "bottlerocket@v1.54.0"
"""Pinned: with `latest` all nodes are replaced on the day of a release."""
_CAPACITY_TYPES: Final = {
    Capacity.ON_DEMAND: ["on-demand"],
    Capacity.SPOT: ["spot"],
    Capacity.RESERVED: ["reserved"],
}
_SYSTEM_DISK: Final = "4Gi"
"""Bottlerocket's read-only part; images lie on the second disk."""
_IDLE: Final = "5m"
"""How long an empty node waits to be removed: the next request of a model that scales to zero finds its image there."""
_AGE: Final = "720h"
"""A node of thirty days is replaced: that is how it gets its security updates."""
_DRAIN: Final = "1h"
"""Longest time that a pod may refuse to go, so that a node with a hole is not kept by it."""


def node_class(
    name: str,
    *,
    cluster: Mapping[str, Any],
    labels: Labels,
    tags: Mapping[str, str],
    disk_gib: int,
    settings: str,
    reservations: Sequence[str],
) -> Manifest:
    """The EC2NodeClass: where nodes are, what they may do, their disks and the system's `settings`.

    `cluster` is a ClusterRef, whose values may be outputs.
    """
    discovered = {"tags": {"karpenter.sh/discovery": cluster["name"]}}
    spec: Manifest = {
        "amiFamily": "Bottlerocket",
        "amiSelectorTerms": [{"alias": SYSTEM}],
        "role": cluster["node_role"],
        "subnetSelectorTerms": [discovered],
        "securityGroupSelectorTerms": [{"id": cluster["node_security_group"]}],
        "metadataOptions": {
            "httpEndpoint": "enabled",
            "httpTokens": "required",
            "httpPutResponseHopLimit": 1,  # pods are two hops away, so that no model takes the node's role
        },
        "blockDeviceMappings": pulumi.Output.from_input(cluster.get("disk_key")).apply(partial(_disks, disk_gib)),
        "instanceStorePolicy": "RAID0",  # where the machine has local disks, they hold the images
        "tags": dict(tags),
    }
    if settings:
        spec["userData"] = settings
    if reservations:
        spec["capacityReservationSelectorTerms"] = [{"id": each} for each in reservations]
    described = metadata(name, labels=labels)
    return kubernetes_object("karpenter.k8s.aws/v1", "EC2NodeClass", described, spec=spec)


def node_pool(
    name: str, *, shape: GpuShape, capacity: Capacity, max_nodes: int, labels: Labels, parts: int = 1
) -> Manifest:
    """The NodePool: which machines, how many at most, who may go there. `parts` is how many pods share a GPU."""
    return kubernetes_object(
        "karpenter.sh/v1",
        "NodePool",
        metadata(name, labels=labels),
        spec={
            "template": {
                "metadata": {"labels": {GPU_POOL_LABEL: name}},
                "spec": {
                    "nodeClassRef": {"group": "karpenter.k8s.aws", "kind": "EC2NodeClass", "name": name},
                    "requirements": [
                        _one_of("node.kubernetes.io/instance-type", [shape.instance_type]),
                        _one_of("karpenter.sh/capacity-type", _CAPACITY_TYPES[capacity]),
                        _one_of("kubernetes.io/arch", ["amd64"]),
                    ],
                    # As on every managed Kubernetes; pods that get a GPU tolerate it, all others stay away.
                    "taints": [{"key": GPU_RESOURCE, "value": "true", "effect": "NoSchedule"}],
                    "expireAfter": _AGE,
                    "terminationGracePeriod": _DRAIN,
                },
            },
            # An occupied node is not emptied to save a cheaper one: loading an LLM again takes minutes.
            "disruption": {"consolidationPolicy": "WhenEmpty", "consolidateAfter": _IDLE},
            "limits": {GPU_RESOURCE: str(max_nodes * shape.count * parts), "nodes": str(max_nodes)},
        },
    )


def sharing_settings(shape: GpuShape, *, kind: str, parts: int) -> str:
    """Bottlerocket's settings for a GPU that several pods share; empty where each has its own."""
    table = "settings.kubelet-device-plugins.nvidia"
    if kind == "time_slices":
        return (
            f'[{table}]\ndevice-sharing-strategy = "time-slicing"\n\n[{table}.time-slicing]\nreplicas = {parts}\n'
            "rename-by-default = false\nfail-requests-greater-than-one = true\n"
        )
    if kind == "mig":
        return f'[{table}]\ndevice-partitioning-strategy = "mig"\n\n[{table}.mig.profile]\n"{shape.mig}" = "{parts}"\n'
    return ""


def _one_of(key: str, values: Sequence[str]) -> Manifest:
    return {"key": key, "operator": "In", "values": list(values)}


def _disks(disk_gib: int, key: str | None) -> list[Manifest]:
    own = {"kmsKeyID": key} if key else {}
    return [
        _disk("/dev/xvda", _SYSTEM_DISK, **own),
        # 500 MB/s: an engine's image of 10 GB is unpacked in seconds, not in a minute and a half.
        _disk("/dev/xvdb", f"{disk_gib}Gi", throughput=500, **own),
    ]


def _disk(device: str, size: str, **more: Any) -> Manifest:
    ebs = {"volumeSize": size, "volumeType": "gp3", "encrypted": True, "deleteOnTermination": True, **more}
    return {"deviceName": device, "ebs": ebs}
