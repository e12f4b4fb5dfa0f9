"""What Karpenter may do: only to what is tagged as its own cluster's."""

import json

from parliament import analyze_policy_string

from headrace.components.cluster.eks.karpenter_role import karpenter_statements

STATEMENTS = karpenter_statements(
    cluster="shop",
    arn="arn:aws:eks:eu-west-1:123456789012:cluster/shop",
    node="arn:aws:iam::123456789012:role/shop-node",
    queue="arn:aws:sqs:eu-west-1:123456789012:shop",
)
CHANGES = ("Create", "Terminate", "Delete", "Tag", "Add", "Remove")


def test_no_action_is_a_pattern() -> None:
    assert not [action for each in STATEMENTS for action in each["Action"] if "*" in action]


def test_whatever_changes_machines_or_profiles_is_bound_to_the_clusters_tag() -> None:
    free = [
        action
        for each in STATEMENTS
        for action in each["Action"]
        if action.partition(":")[2].startswith(CHANGES)
        and not action.startswith("sqs:")
        and "kubernetes.io/cluster/shop" not in json.dumps(each.get("Condition", {}))
    ]

    assert free == ["ec2:CreateFleet"]  # what a fleet is made of; the fleet itself is bound by the next statement


def test_aws_knows_every_action_resource_and_condition() -> None:
    """By parliament, which has AWS' own tables of them."""
    document = json.dumps({"Version": "2012-10-17", "Statement": STATEMENTS})

    found = {
        (each.issue, mismatch["action"])
        for each in analyze_policy_string(document).findings
        for mismatch in each.detail
    }

    assert found == {
        # Karpenter splits the right to start machines: what one is made of, and what is made, which is bound by tags.
        ("RESOURCE_MISMATCH", "ec2:RunInstances"),
        ("RESOURCE_MISMATCH", "ec2:CreateFleet"),
        # AWS' public parameters have no account in their ARN.
        ("RESOURCE_MISMATCH", "ssm:GetParameter"),
    }


def test_roles_are_passed_to_machines_alone_and_only_the_nodes_own() -> None:
    (passing,) = [each for each in STATEMENTS if each["Action"] == ["iam:PassRole"]]

    assert passing["Resource"] == ["arn:aws:iam::123456789012:role/shop-node"]
    assert passing["Condition"] == {"StringEquals": {"iam:PassedToService": "ec2.amazonaws.com"}}


def test_the_policy_fits_where_aws_keeps_it() -> None:
    """Inline policies of a role are 10,240 characters at most, without blanks."""
    assert len(json.dumps(STATEMENTS, separators=(",", ":"))) < 10_240
