"""Managed add-ons of an EKS cluster: what every cluster needs, kept up to date with it by AWS."""

import json
from collections.abc import Mapping
from typing import Any, Final

import pulumi
from pulumi_aws import eks

from headrace.components.cluster.eks.owner import Owner
from headrace.components.cluster.eks.roles import role

_BEFORE_NODES: Final = ("vpc-cni", "kube-proxy", "eks-pod-identity-agent")
"""A node is not ready without them, and the group of nodes waits for nodes that are."""
_ON_NODES: Final = ("coredns", "aws-ebs-csi-driver", "metrics-server")
_ROLES: Final[Mapping[str, tuple[str, str]]] = {
    "vpc-cni": ("aws-node", "AmazonEKS_CNI_Policy"),
    "aws-ebs-csi-driver": ("ebs-csi-controller-sa", "AmazonEBSCSIDriverPolicyV2"),
}
"""ServiceAccount and AWS' policy of those that call AWS; so the nodes' own role needs none of it."""
_SETTINGS: Final[Mapping[str, Mapping[str, Any]]] = {
    # Without it NetworkPolicies are objects that nobody reads, and every pod can reach every other.
    "vpc-cni": {"enableNetworkPolicy": "true", "env": {"ENABLE_PREFIX_DELEGATION": "true"}},
    "coredns": {"autoScaling": {"enabled": True, "minReplicas": 2, "maxReplicas": 10}},
}


def addons_before_nodes(owner: Owner, cluster: eks.Cluster) -> list[pulumi.Resource]:
    """Network, Service addresses and identities; the nodes come after them."""
    return [_addon(owner, cluster, name) for name in _BEFORE_NODES]


def addons_on_nodes(owner: Owner, cluster: eks.Cluster, nodes: pulumi.Resource) -> list[pulumi.Resource]:
    """Those that are pods on any node, and degraded until there is one."""
    return [_addon(owner, cluster, name, nodes) for name in _ON_NODES]


def _addon(owner: Owner, cluster: eks.Cluster, name: str, *after: pulumi.Resource) -> eks.Addon:
    """The add-on in AWS' default version for the cluster's own."""
    identities: list[eks.AddonPodIdentityAssociationArgsDict] = []
    if name in _ROLES:
        account, policy = _ROLES[name]
        may = role(owner, name, service="pods.eks", managed=[policy])
        identities = [{"role_arn": may.arn, "service_account": account}]
    return eks.Addon(
        f"{owner.name}-{name}",
        cluster_name=cluster.name,
        addon_name=name,
        configuration_values=json.dumps(_SETTINGS[name]) if name in _SETTINGS else None,
        pod_identity_associations=identities or None,
        resolve_conflicts_on_create="OVERWRITE",
        resolve_conflicts_on_update="PRESERVE",  # what an operator changed by hand outlives an upgrade
        tags=owner.tagged(name),
        opts=owner.options(*after),
    )
