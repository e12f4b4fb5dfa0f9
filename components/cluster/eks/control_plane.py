"""The control plane of an EKS cluster: its role, key, logs, the cluster itself, and who may enter it."""

from collections.abc import Sequence
from typing import Any, Final

from pulumi_aws import cloudwatch, eks, kms

from headrace.components.cluster.eks.account import Account
from headrace.components.cluster.eks.network import NetworkRef
from headrace.components.cluster.eks.owner import Owner
from headrace.components.cluster.eks.roles import document, role

LOG_TYPES: Final = ["api", "audit", "authenticator", "controllerManager", "scheduler"]
"""All there are: after an incident nobody can ask for those that were not kept."""
_ADMIN_POLICY: Final = "arn:aws:eks::aws:cluster-access-policy/AmazonEKSClusterAdminPolicy"
_KEY_WAIT_DAYS: Final = 30
"""The longest that AWS allows: whatever a deleted key encrypted is lost."""


def control_plane(
    owner: Owner,
    *,
    deployer: Account,
    network: NetworkRef,
    version: str | None,
    administrators: Sequence[str],
    public_access: Sequence[str],
    log_days: int,
    protected: bool,
) -> tuple[eks.Cluster, kms.Key]:
    """Makes it and returns the cluster, and the key of everything that the platform keeps."""
    key = _key(owner, deployer.id, protected=protected)
    group = cloudwatch.LogGroup(
        f"{owner.name}-logs",
        name=f"/aws/eks/{owner.name}/cluster",  # where EKS writes; made by EKS itself it would be kept for ever
        retention_in_days=log_days,
        tags=owner.tagged("logs"),
        opts=owner.options(),
    )
    may = role(owner, "control-plane", service="eks", managed=["AmazonEKSClusterPolicy"])
    cluster = eks.Cluster(
        f"{owner.name}-cluster",
        name=owner.name,
        version=version,
        role_arn=may.arn,
        access_config={"authentication_mode": "API", "bootstrap_cluster_creator_admin_permissions": False},
        bootstrap_self_managed_addons=False,  # addons.py has the same as managed ones
        deletion_protection=protected,
        enabled_cluster_log_types=LOG_TYPES,
        encryption_config={"provider": {"key_arn": key.arn}, "resources": ["secrets"]},
        upgrade_policy={"support_type": "STANDARD"},  # extended support costs six times as much, silently
        vpc_config=_interfaces(network, public_access),
        tags=owner.tagged("cluster"),
        opts=owner.options(group, protected=protected),
    )
    for index, principal in enumerate(administrators or [deployer.principal]):
        _administrator(owner, cluster, index, principal)
    return cluster, key


def _interfaces(network: NetworkRef, public_access: Sequence[str]) -> eks.ClusterVpcConfigArgsDict:
    interfaces: eks.ClusterVpcConfigArgsDict = {
        "subnet_ids": network["private_subnets"],
        "endpoint_private_access": True,
        "endpoint_public_access": bool(public_access),
    }
    if public_access:
        interfaces["public_access_cidrs"] = list(public_access)
    return interfaces


def _key(owner: Owner, account: str, *, protected: bool) -> kms.Key:
    """One key, whose owner can take all of the platform's data away from everybody by disabling it.

    Its policy leaves the rights to IAM, as the key that nobody can administer any more could not even be deleted.
    """
    key = kms.Key(
        f"{owner.name}-key",
        description=f"Secrets, buckets and images of the cluster {owner.name}",
        enable_key_rotation=True,
        deletion_window_in_days=_KEY_WAIT_DAYS,
        policy=document(
            [
                {
                    "Effect": "Allow",
                    "Principal": {"AWS": f"arn:aws:iam::{account}:root"},
                    "Action": _KEY_ACTIONS,
                    "Resource": "*",
                }
            ]
        ),
        tags=owner.tagged("key"),
        opts=owner.options(protected=protected),
    )
    kms.Alias(f"{owner.name}-key", name=f"alias/{owner.name}", target_key_id=key.key_id, opts=owner.options())
    return key


_KEY_ACTIONS: Final = [
    *("kms:Create*", "kms:Describe*", "kms:Enable*", "kms:List*", "kms:Put*", "kms:Update*", "kms:Revoke*"),
    *("kms:Disable*", "kms:Get*", "kms:Delete*", "kms:TagResource", "kms:UntagResource", "kms:ScheduleKeyDeletion"),
    *("kms:CancelKeyDeletion", "kms:RotateKeyOnDemand", "kms:Encrypt", "kms:Decrypt", "kms:ReEncrypt*"),
    "kms:GenerateDataKey*",
]
"""What AWS' default key policy permits as kms:*, without the replication of keys and the import of their material."""


def _administrator(owner: Owner, cluster: Any, index: int, principal: str) -> None:
    entry = eks.AccessEntry(
        f"{owner.name}-administrator-{index}",
        cluster_name=cluster.name,
        principal_arn=principal,
        type="STANDARD",
        tags=owner.tagged(f"administrator-{index}"),
        opts=owner.options(),
    )
    eks.AccessPolicyAssociation(
        f"{owner.name}-administrator-{index}",
        cluster_name=cluster.name,
        principal_arn=principal,
        policy_arn=_ADMIN_POLICY,
        access_scope={"type": "cluster"},
        opts=owner.options(entry),
    )
