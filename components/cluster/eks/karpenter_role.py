"""What Karpenter may do at AWS: make nodes of its own cluster, and nothing to any other.

The statements are those of Karpenter's documentation for version 1, which bind each right to the cluster's tag.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Final

import pulumi
from pulumi_aws import eks, iam, sqs

from headrace.components.cluster.eks.owner import Owner
from headrace.components.cluster.eks.roles import Statement, pod_role

NAMESPACE: Final = "kube-system"
ACCOUNT: Final = "karpenter"
_MADE: Final = ("fleet", "instance", "volume", "network-interface", "launch-template")


def karpenter_role(owner: Owner, cluster: eks.Cluster, node: iam.Role, queue: sqs.Queue) -> iam.Role:
    """The role of Karpenter's pods."""
    known = pulumi.Output.all(arn=cluster.arn, node=node.arn, queue=queue.arn)
    return pod_role(
        owner,
        "karpenter",
        cluster=cluster.name,
        namespace=NAMESPACE,
        account=ACCOUNT,
        statements=known.apply(lambda arns: karpenter_statements(cluster=owner.name, **arns)),
    )


def karpenter_statements(*, cluster: str, arn: str, node: str, queue: str) -> list[Statement]:
    """The policy's statements for a cluster's name and ARN, the ARN of the nodes' role and that of the queue."""
    region, own = arn.split(":")[3], f"kubernetes.io/cluster/{cluster}"
    ec2 = f"arn:aws:ec2:{region}"
    made = [f"{ec2}:*:{kind}/*" for kind in _MADE]
    requested = {f"aws:RequestTag/{own}": "owned"}
    existing = {f"aws:ResourceTag/{own}": "owned"}
    here = "topology.kubernetes.io/region"
    profile = "arn:aws:iam::*:instance-profile/*"
    return [
        _allow(
            ["ec2:RunInstances", "ec2:CreateFleet"],
            [
                *(f"{ec2}::{kind}/*" for kind in ("image", "snapshot")),
                *(
                    f"{ec2}:*:{kind}/*"
                    for kind in (
                        *("spot-instances-request", "security-group", "subnet", "launch-template"),
                        "capacity-reservation",
                    )
                ),
            ],
        ),
        _allow(
            ["ec2:RunInstances", "ec2:CreateFleet", "ec2:CreateLaunchTemplate"],
            made,
            StringEquals=requested,
            StringLike={"aws:RequestTag/karpenter.sh/nodepool": "*"},
        ),
        _allow(
            ["ec2:CreateTags"],
            made,
            StringEquals={**requested, "ec2:CreateAction": ["RunInstances", "CreateFleet", "CreateLaunchTemplate"]},
            StringLike={"aws:RequestTag/karpenter.sh/nodepool": "*"},
        ),
        _allow(
            ["ec2:CreateTags"],
            [f"{ec2}:*:instance/*"],
            StringEquals=existing,
            StringLike={"aws:ResourceTag/karpenter.sh/nodepool": "*"},
            **{"ForAllValues:StringEquals": {"aws:TagKeys": ["karpenter.sh/nodeclaim", "Name"]}},
        ),
        _allow(
            ["ec2:TerminateInstances", "ec2:DeleteLaunchTemplate"],
            [f"{ec2}:*:instance/*", f"{ec2}:*:launch-template/*"],
            StringEquals=existing,
            StringLike={"aws:ResourceTag/karpenter.sh/nodepool": "*"},
        ),
        _allow(
            [
                *("ec2:DescribeAvailabilityZones", "ec2:DescribeCapacityReservations", "ec2:DescribeImages"),
                *("ec2:DescribeInstances", "ec2:DescribeInstanceTypeOfferings", "ec2:DescribeInstanceTypes"),
                *("ec2:DescribeLaunchTemplates", "ec2:DescribeSecurityGroups", "ec2:DescribeSpotPriceHistory"),
                "ec2:DescribeSubnets",
            ],
            ["*"],
            StringEquals={"aws:RequestedRegion": region},
        ),
        _allow(["ssm:GetParameter"], [f"arn:aws:ssm:{region}::parameter/aws/service/*"]),
        _allow(["pricing:GetProducts"], ["*"]),
        _allow(["sqs:DeleteMessage", "sqs:GetQueueAttributes", "sqs:GetQueueUrl", "sqs:ReceiveMessage"], [queue]),
        _allow(["iam:PassRole"], [node], StringEquals={"iam:PassedToService": "ec2.amazonaws.com"}),
        _allow(
            ["iam:CreateInstanceProfile"],
            [profile],
            StringEquals={**requested, f"aws:RequestTag/{here}": region},
            StringLike={"aws:RequestTag/karpenter.k8s.aws/ec2nodeclass": "*"},
        ),
        _allow(
            ["iam:TagInstanceProfile"],
            [profile],
            StringEquals={
                **existing,
                **requested,
                f"aws:ResourceTag/{here}": region,
                f"aws:RequestTag/{here}": region,
            },
            StringLike={
                "aws:ResourceTag/karpenter.k8s.aws/ec2nodeclass": "*",
                "aws:RequestTag/karpenter.k8s.aws/ec2nodeclass": "*",
            },
        ),
        _allow(
            ["iam:AddRoleToInstanceProfile", "iam:RemoveRoleFromInstanceProfile", "iam:DeleteInstanceProfile"],
            [profile],
            StringEquals={**existing, f"aws:ResourceTag/{here}": region},
            StringLike={"aws:ResourceTag/karpenter.k8s.aws/ec2nodeclass": "*"},
        ),
        _allow(["iam:GetInstanceProfile"], [profile]),
        _allow(["iam:ListInstanceProfiles"], ["*"]),
        _allow(["eks:DescribeCluster"], [arn]),
    ]


def _allow(actions: Sequence[str], resources: Sequence[str], **conditions: Mapping[str, Any]) -> Statement:
    statement: dict[str, Any] = {"Effect": "Allow", "Action": list(actions), "Resource": list(resources)}
    return {**statement, "Condition": conditions} if conditions else statement
