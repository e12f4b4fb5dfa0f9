"""IAM roles: who may take one, and what it may do."""

import json
from collections.abc import Mapping, Sequence
from typing import Any, Final

import pulumi
from pulumi_aws import eks, iam

from headrace.components.cluster.eks.owner import Owner

_VERSION: Final = "2012-10-17"
"""Of the policy language; the older one lacks variables."""
Statement = Mapping[str, Any]


def role(
    owner: Owner,
    suffix: str,
    *,
    service: str,
    managed: Sequence[str] = (),
    statements: pulumi.Input[Sequence[Statement]] | None = None,
) -> iam.Role:
    """A role that `service` takes (`ec2`, `eks`, `pods.eks`), with AWS' own policies and with statements of ours.

    `statements` may be an output, or hold some.
    """
    actions = ["sts:AssumeRole", "sts:TagSession"] if service == "pods.eks" else ["sts:AssumeRole"]
    made = iam.Role(
        f"{owner.name}-{suffix}",
        assume_role_policy=json.dumps(
            {
                "Version": _VERSION,
                "Statement": [
                    {"Effect": "Allow", "Action": actions, "Principal": {"Service": f"{service}.amazonaws.com"}}
                ],
            }
        ),
        tags=owner.tagged(suffix),
        opts=owner.options(),
    )
    for policy in managed:
        iam.RolePolicyAttachment(
            f"{owner.name}-{suffix}-{policy.rpartition('/')[2]}",
            role=made.name,
            policy_arn=f"arn:aws:iam::aws:policy/{policy}",
            opts=owner.options(),
        )
    if statements is not None:
        iam.RolePolicy(
            f"{owner.name}-{suffix}-rights",
            role=made.name,
            policy=document(statements),
            opts=owner.options(),
        )
    return made


def pod_role(
    owner: Owner,
    suffix: str,
    *,
    cluster: pulumi.Input[str],
    namespace: str,
    account: str,
    managed: Sequence[str] = (),
    statements: pulumi.Input[Sequence[Statement]] | None = None,
) -> iam.Role:
    """A role for the pods of one ServiceAccount, by EKS Pod Identity: no key is kept anywhere, and no other pod of the
    node can take it."""
    made = role(owner, suffix, service="pods.eks", managed=managed, statements=statements)
    eks.PodIdentityAssociation(
        f"{owner.name}-{suffix}-identity",
        cluster_name=cluster,
        namespace=namespace,
        service_account=account,
        role_arn=made.arn,
        tags=owner.tagged(suffix),
        opts=owner.options(),
    )
    return made


def document(statements: pulumi.Input[Sequence[Statement]]) -> pulumi.Output[str]:
    """A policy of these statements, which may be an output, or hold some."""
    return pulumi.Output.json_dumps({"Version": _VERSION, "Statement": statements})
