"""The nodes that are always there: for the platform's own pods and for Karpenter, which makes all others."""

from collections.abc import Iterator, Mapping
from typing import Any, Final, NotRequired, TypedDict

import pulumi
from pulumi_aws import ec2, eks, iam, kms

from headrace.components.cluster.eks.network import NetworkRef
from headrace.components.cluster.eks.owner import Owner
from headrace.components.cluster.eks.roles import role
from headrace.components.kubernetes import checks

NODE_POLICIES: Final = ("AmazonEKSWorkerNodePolicy", "AmazonEC2ContainerRegistryPullOnly")
"""What a node needs to join and to pull; pods that call AWS have roles of their own."""
METADATA_OPTIONS: Final[ec2.LaunchTemplateMetadataOptionsArgsDict] = {
    "http_endpoint": "enabled",
    "http_tokens": "required",
    "http_put_response_hop_limit": 1,  # a pod is two hops away, so that no model takes the node's role
}
DEFAULT_TYPES: Final = ("m7i.xlarge", "m6i.xlarge")
"""4 cores and 16 GiB: two hold the platform with two copies of each program. A second type, where the first is out."""
_DEFAULT_NODES: Final = (2, 6)
_DEFAULT_DISK_GIB: Final = 100
"""A model's image is 1 to 10 GB, and the kubelet begins to delete at 85 %."""
_LOWEST_DISK_GIB: Final = 20


class EksNodes(TypedDict):
    """The group of nodes that is always there."""

    instance_types: NotRequired[list[str]]
    """In the order of preference, all with the same cores and memory. Default m7i.xlarge, m6i.xlarge."""
    min_nodes: NotRequired[int]
    """Default 2, so that the loss of one stops nothing."""
    max_nodes: NotRequired[int]
    """Default 6."""
    disk_gib: NotRequired[int]
    """Disk of each node. Default 100."""


def nodes_faults(nodes: Mapping[str, Any]) -> Iterator[str]:
    """What is wrong with `nodes`."""
    yield from (f"nodes: {fault}" for fault in checks.known_keys(nodes, EksNodes.__annotations__))
    yield from checks.texts("nodes.instance_types", nodes.get("instance_types", []))
    lowest, highest = _bounds(nodes)
    yield from checks.at_least("nodes.min_nodes", lowest, 1)
    yield from checks.at_least("nodes.disk_gib", nodes.get("disk_gib", _DEFAULT_DISK_GIB), _LOWEST_DISK_GIB)
    if isinstance(lowest, int | float) and isinstance(highest, int | float) and highest < lowest:
        yield f"nodes.max_nodes = {highest:g}, must be at least nodes.min_nodes ({lowest:g})"


def node_role(owner: Owner) -> iam.Role:
    """The role of all nodes, those of the group and those that Karpenter makes."""
    return role(owner, "node", service="ec2", managed=NODE_POLICIES)


def node_group(
    owner: Owner,
    cluster: eks.Cluster,
    *,
    network: NetworkRef,
    nodes: EksNodes,
    key: kms.Key,
    may: iam.Role,
    after: list[pulumi.Resource],
) -> eks.NodeGroup:
    """The group; it counts as made when its nodes are ready."""
    lowest, highest = _bounds(nodes)
    template = ec2.LaunchTemplate(
        f"{owner.name}-nodes",
        update_default_version=True,
        metadata_options=METADATA_OPTIONS,
        block_device_mappings=[
            {
                "device_name": "/dev/xvda",
                "ebs": {
                    "encrypted": "true",  # it holds models, and what swap and logs hold of requests
                    "kms_key_id": key.arn,
                    "volume_size": int(nodes.get("disk_gib", _DEFAULT_DISK_GIB)),
                    "volume_type": "gp3",
                    "delete_on_termination": "true",
                },
            }
        ],
        tag_specifications=[{"resource_type": kind, "tags": owner.tagged("node")} for kind in ("instance", "volume")],
        tags=owner.tagged("nodes"),
        opts=owner.options(),
    )
    return eks.NodeGroup(
        f"{owner.name}-nodes",
        cluster_name=cluster.name,
        node_role_arn=may.arn,
        subnet_ids=network["private_subnets"],
        ami_type="AL2023_x86_64_STANDARD",
        capacity_type="ON_DEMAND",  # what decides about everything else is not taken away within two minutes
        instance_types=list(nodes.get("instance_types", DEFAULT_TYPES)),
        scaling_config={"min_size": lowest, "max_size": highest, "desired_size": lowest},
        update_config={"max_unavailable": 1},
        launch_template={"id": template.id, "version": template.latest_version.apply(str)},
        tags=owner.tagged("nodes"),
        # Who scales the group, a person or an autoscaler, owns how many there are.
        opts=pulumi.ResourceOptions.merge(
            owner.options(*after), pulumi.ResourceOptions(ignore_changes=["scalingConfig.desiredSize"])
        ),
    )


def _bounds(nodes: Mapping[str, Any]) -> tuple[Any, Any]:
    lowest, highest = nodes.get("min_nodes", _DEFAULT_NODES[0]), nodes.get("max_nodes", _DEFAULT_NODES[1])
    return lowest, highest
