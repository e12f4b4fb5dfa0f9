"""The control plane of an EKS cluster: its role, key, logs, the cluster itself, and who may enter it."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from pulumi_aws import cloudwatch, eks, kms

from headrace.components.cluster.eks.account import Account
from headrace.components.cluster.eks.network import NetworkRef
from headrace.components.cluster.eks.owner import Owner
from headrace.components.cluster.eks.roles import Statement, document, role

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
    key = _key(owner, deployer, protected=protected)
    group = cloudwatch.LogGroup(
        f"{owner.name}-logs",
        name=f"/aws/eks/{owner.name}/cluster",  # where EKS writes; made by EKS itself it would be kept for ever
        retention_in_days=log_days,
        kms_key_id=key.arn,  # of the key with its policy, without which CloudWatch refuses it
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


def _key(owner: Owner, deployer: Account, *, protected: bool) -> kms.Key:
    """One key, whose owner can take all of the platform's data away from everybody by disabling it.

    Its policy leaves the rights to IAM, as the key that nobody can administer any more could not even be deleted; but
    for two services of AWS that use it in no role of ours: CloudWatch for the logs of this cluster alone, and EC2 for
    disks, where whoever of this account makes a node has the right by making it, as with AWS' own key for disks.
    """
    key = kms.Key(
        f"{owner.name}-key",
        description=f"Secrets, logs, disks, buckets and images of the cluster {owner.name}",
        enable_key_rotation=True,
        deletion_window_in_days=_KEY_WAIT_DAYS,
        policy=document(key_statements(cluster=owner.name, account=deployer.id, region=deployer.region)),
        tags=owner.tagged("key"),
        opts=owner.options(protected=protected),
    )
    kms.Alias(f"{owner.name}-key", name=f"alias/{owner.name}", target_key_id=key.key_id, opts=owner.options())
    return key


def key_statements(*, cluster: str, account: str, region: str) -> list[Statement]:
    """The policy's statements of the key of that cluster."""
    group = f"arn:aws:logs:{region}:{account}:log-group:/aws/eks/{cluster}/cluster"
    through_ec2 = {"kms:CallerAccount": account, "kms:ViaService": f"ec2.{region}.amazonaws.com"}

    def allow(sid: str, principal: Mapping[str, str], actions: Sequence[str], **condition: object) -> Statement:
        statement = {"Sid": sid, "Effect": "Allow", "Principal": principal, "Action": list(actions), "Resource": "*"}
        return {**statement, "Condition": condition} if condition else statement

    return [
        allow("Administration", {"AWS": f"arn:aws:iam::{account}:root"}, _KEY_ACTIONS),
        allow(
            "Logs",
            {"Service": f"logs.{region}.amazonaws.com"},
            _USE_ACTIONS,
            ArnEquals={"kms:EncryptionContext:aws:logs:arn": group},
        ),
        allow("Disks", {"AWS": "*"}, _USE_ACTIONS, StringEquals=through_ec2),
        allow(
            "DisksOfNodes",
            {"AWS": "*"},
            ["kms:CreateGrant"],
            StringEquals=through_ec2,
            Bool={"kms:GrantIsForAWSResource": "true"},
        ),
    ]


_USE_ACTIONS: Final = ("kms:Encrypt", "kms:Decrypt", "kms:ReEncrypt*", "kms:GenerateDataKey*", "kms:DescribeKey")
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
