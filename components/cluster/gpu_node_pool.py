"""GpuNodePool: nodes with one shape of GPUs, made by Karpenter when a pod wants one and removed when none does.

It makes two objects in the cluster of its provider: an EC2NodeClass and a NodePool. Before that it asks AWS whether the
region has such machines and the account may run as many. Karpenter itself is another component. For nodes that exist
already, in any Kubernetes, there is AdoptedGpuNodePool.

A model goes to the pool by `node_selector: {"serving.headrace.dev/gpu-pool": "<name>"}`. One that needs eight GPUs in a
pool whose nodes have fewer stays unscheduled, and its endpoint's status says why.
"""

import re
from collections.abc import Iterator, Mapping
from typing import Any, Final, NotRequired, TypedDict

import pulumi
from pulumi_aws import ec2, servicequotas

from headrace.components.cluster.gpu_node_class import node_class, node_pool, sharing_settings
from headrace.components.cluster.gpu_shapes import QUOTAS, Capacity, GpuShape, shape_faults, shape_of
from headrace.components.kubernetes import checks, manifests
from headrace.components.kubernetes.object import KubernetesObject
from headrace.contract import names
from headrace.contract.names import GPU_POOL_LABEL

_RESERVATION: Final = re.compile(r"cr-[0-9a-f]{8,}")
_DEFAULT_DISK_GIB: Final = 300
"""Two images of engines with 10 GB each, weights of a 70B model at 16 bits, and what the kubelet keeps free."""
_LOWEST_DISK_GIB: Final = 50
_MOST_PARTS: Final = {"time_slices": 48, "mig": 7}
"""MIG: what an A100 or H100 can be cut into. Slices: a pod that waits behind 47 others is not served."""


class GpuSharing(TypedDict):
    """How several pods share one GPU."""

    kind: str
    """time_slices: they take turns, and share its memory without a border between them. mig: it is cut into instances
    with their own memory; a100, h100 and h200 only."""
    parts: int
    """Pods a GPU: 2 to 48 slices, 2 to 7 instances."""


class GpuNodePoolArgs(TypedDict):
    """Inputs of GpuNodePool."""

    cluster: pulumi.Input[Mapping[str, Any]]
    """The output `ref` of an EksCluster."""
    gpu: str
    """t4, a10g, l4, l40s, a100, a100_80, h100 or h200."""
    max_nodes: int
    """The most nodes at once. Required, because nodes with eight H100 cost more in an hour than all others in a day."""
    gpus_per_node: NotRequired[int]
    """1, 4 or 8, as AWS has machines. Default 1."""
    capacity: NotRequired[str]
    """on_demand, spot or reserved. Default on_demand: what serves is not taken away."""
    reservations: NotRequired[list[str]]
    """reserved: ids of the Capacity Reservations and Capacity Blocks to use, for example cr-0123456789abcdef0."""
    disk_gib: NotRequired[int]
    """Disk for images and weights. Default 300."""
    sharing: NotRequired[GpuSharing]
    """How several pods share a GPU. Absent: each has its own."""
    labels: NotRequired[dict[str, str]]
    """Put on both objects beside our own labels."""
    tags: NotRequired[dict[str, str]]
    """Put on the machines."""


class GpuNodePool(pulumi.ComponentResource):
    """A bounded pool of GPU nodes that is empty while no model wants one."""

    node_selector: pulumi.Output[Mapping[str, str]]
    """What leads a model's pods to the pool: its `node_selector`."""
    gpu_memory_gib: pulumi.Output[float]
    """Memory of one GPU: the `gpu_memory_gib` of a model's runtime."""

    def __init__(self, name: str, args: GpuNodePoolArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        subject = f"GpuNodePool '{name}'"
        checks.require(subject, _faults(name, args))
        super().__init__("headrace:index:GpuNodePool", name, dict(args), opts)
        count, nodes = int(args.get("gpus_per_node", 1)), int(args["max_nodes"])
        shape, capacity = shape_of(args["gpu"], count), Capacity(args.get("capacity", Capacity.ON_DEMAND))
        checks.require(subject, _unavailable(self, shape, capacity, nodes))

        sharing = args.get("sharing")
        kind, parts = (sharing["kind"], int(sharing["parts"])) if sharing else ("", 1)
        labels = manifests.standard_labels("gpu-node-pool", args.get("labels", {}))
        cluster = pulumi.Output.from_input(args["cluster"])
        known = {key: cluster[key] for key in ("name", "node_role", "node_security_group")}
        # absent in the ref of a cluster that an older release made
        known["disk_key"] = cluster.apply(lambda ref: ref.get("disk_key"))
        made = node_class(
            name,
            cluster=known,
            labels=labels,
            tags={"Name": name, **args.get("tags", {})},
            disk_gib=int(args.get("disk_gib", _DEFAULT_DISK_GIB)),
            settings=sharing_settings(shape, kind=kind, parts=parts),
            reservations=args.get("reservations", []),
        )
        child = pulumi.ResourceOptions(parent=self)
        first = KubernetesObject(f"{name}-node-class", made, child)
        pool = node_pool(name, shape=shape, capacity=capacity, max_nodes=nodes, labels=labels, parts=parts)
        after = pulumi.ResourceOptions(parent=self, depends_on=[first])
        KubernetesObject(f"{name}-node-pool", pool, after)

        self.node_selector = pulumi.Output.from_input({GPU_POOL_LABEL: name})
        self.gpu_memory_gib = pulumi.Output.from_input(shape.memory_gib / (parts if kind == "mig" else 1))
        self.register_outputs({"node_selector": self.node_selector, "gpu_memory_gib": self.gpu_memory_gib})


def _faults(name: str, args: GpuNodePoolArgs) -> Iterator[str]:
    yield from checks.known_keys(args, GpuNodePoolArgs.__annotations__)
    yield from checks.present(args, "cluster", "gpu", "max_nodes")
    if not names.DNS_LABEL.fullmatch(name):
        yield f"the name {name!r} becomes that of the NodePool, must be a DNS label"
    if args.get("gpu"):
        yield from shape_faults(args["gpu"], args.get("gpus_per_node", 1))
    if args.get("max_nodes") is not None:
        yield from checks.at_least("max_nodes", args["max_nodes"], 1)
    capacity, reservations = args.get("capacity", Capacity.ON_DEMAND), args.get("reservations", [])
    yield from checks.choice("capacity", capacity, Capacity)
    if (capacity == Capacity.RESERVED) != bool(reservations):
        yield f"capacity = {str(capacity)!r} and {len(reservations)} reservations; give both, or neither"
    for reservation in reservations:
        if not _RESERVATION.fullmatch(str(reservation)):
            yield f"reservations has {reservation!r}, must be an id such as cr-0123456789abcdef0"
    yield from checks.at_least("disk_gib", args.get("disk_gib", _DEFAULT_DISK_GIB), _LOWEST_DISK_GIB)
    if "sharing" in args:
        yield from _sharing_faults(args["sharing"], args)
    yield from checks.labels("labels", args.get("labels", {}))


def _sharing_faults(sharing: GpuSharing, args: GpuNodePoolArgs) -> Iterator[str]:
    yield from (f"sharing: {fault}" for fault in checks.known_keys(sharing, GpuSharing.__annotations__))
    kind, parts = sharing.get("kind", ""), sharing.get("parts", 0)
    if kind not in _MOST_PARTS:
        yield f"sharing.kind = {kind!r}, must be one of {', '.join(_MOST_PARTS)}"
    elif not 2 <= parts <= _MOST_PARTS[kind]:
        yield f"sharing.parts = {parts!r}, must be between 2 and {_MOST_PARTS[kind]} for {kind}"
    gpu, count = args.get("gpu"), args.get("gpus_per_node", 1)
    if kind == "mig" and not list(shape_faults(gpu, count)) and not shape_of(str(gpu), int(count)).mig:
        yield f"sharing.kind = 'mig', but {gpu} cannot be cut into instances; use time_slices, or an a100, h100 or h200"


def _unavailable(pool: pulumi.Resource, shape: GpuShape, capacity: Capacity, nodes: int) -> Iterator[str]:
    """What AWS has not or does not allow, asked before anything is made."""
    asked = pulumi.InvokeOptions(parent=pool)
    wanted: Any = [{"name": "instance-type", "values": [shape.instance_type]}]  # pulumi-aws calls them Mappings of str
    offered = ec2.get_instance_type_offerings(filters=wanted, location_type="region", opts=asked)
    if offered.instance_types is not None and shape.instance_type not in offered.instance_types:
        yield (
            f"gpu = {shape.gpu!r} is a machine of the type {shape.instance_type}, which the region does not have; "
            "choose another GPU or another region"
        )
        return
    code = QUOTAS.get((shape.family, capacity))
    if code is None:  # what is reserved counts nowhere else
        return
    quota = servicequotas.get_service_quota(service_code="ec2", quota_code=code, opts=asked).value
    if quota is not None and quota < nodes * shape.vcpus:
        yield (
            f"max_nodes = {nodes}, which are {nodes * shape.vcpus} vCPUs of {shape.family} machines, must be within "
            f"the account's quota of {quota:g} ({code}); ask AWS for more under Service Quotas, or lower max_nodes to "
            f"{int(quota) // shape.vcpus}"
        )
