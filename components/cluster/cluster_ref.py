"""ClusterRef: what others must know of a cluster, as plain data that any stack or language can hand on."""

from typing import NotRequired, TypedDict


class ClusterRef(TypedDict):
    """The output `ref` of ServingCluster and EksCluster.

    Components declare it as a mapping to anything, as they do PlatformRef, so that its fields are spelled alike in
    every language.
    """

    server: str
    """Address of the API server."""
    name: NotRequired[str]
    """EKS: the cluster's name, which is also the value of the tag `karpenter.sh/discovery` of its subnets."""
    region: NotRequired[str]
    """EKS: where it is."""
    node_role: NotRequired[str]
    """EKS: name of the IAM role of the nodes that Karpenter makes."""
    node_security_group: NotRequired[str]
    """EKS: id of the security group of all nodes."""
    interruption_queue: NotRequired[str]
    """EKS: name of the SQS queue in which AWS says that it takes a node back."""
    vpc: NotRequired[str]
    """EKS: id of the network."""
    disk_key: NotRequired[str]
    """EKS: ARN of the KMS key of the nodes' disks; absent, AWS' own key."""
    public_subnets: NotRequired[list[str]]
    """EKS: ids of the subnets of load balancers."""
    node_group: NotRequired[str]
    """EKS: name of the autoscaling group of the nodes that are always there."""
