"""EksCluster: closed by default, and what each input opens."""

import json
from typing import Any

import pytest
import yaml

from headrace.components import EksCluster
from headrace.components.cluster.eks.eks_cluster import kubeconfig
from headrace.components.kubernetes.checks import ArgsError
from headrace.components.testing import Recording, Registered, record

KEY = "arn:aws:kms:eu-west-1:123456789012:key/7"
NETWORK = {"vpc_id": "vpc-7", "private_subnets": ["subnet-1", "subnet-2"], "public_subnets": []}


def made(**args: Any) -> Recording:
    return record(lambda: EksCluster("shop", args))  # type: ignore[arg-type]


def cluster(recording: Recording) -> Registered:
    return recording.named("shop-cluster")


def test_the_api_server_is_reached_from_inside_alone_and_every_call_is_kept() -> None:
    inputs = cluster(made()).inputs

    assert inputs["vpcConfig"]["endpointPublicAccess"] is False
    assert inputs["vpcConfig"]["endpointPrivateAccess"] is True
    assert set(inputs["enabledClusterLogTypes"]) >= {"api", "audit", "authenticator"}
    assert inputs["encryptionConfig"]["resources"] == ["secrets"]
    assert inputs["deletionProtection"] is True


def test_who_deploys_is_the_only_administrator_and_is_named() -> None:
    recording = made()

    assert cluster(recording).inputs["accessConfig"] == {
        "authenticationMode": "API",
        "bootstrapClusterCreatorAdminPermissions": False,
    }
    people = [each for each in recording.of_kind("AccessEntry") if each.inputs["type"] == "STANDARD"]
    assert [each.inputs["principalArn"] for each in people] == ["arn:aws:iam::123456789012:role/deployer"]


def test_named_administrators_replace_who_deploys() -> None:
    named = ["arn:aws:iam::123456789012:role/platform", "arn:aws:iam::123456789012:user/ops"]

    recording = made(administrators=named)

    policies = recording.of_kind("AccessPolicyAssociation")
    assert sorted(each.inputs["principalArn"] for each in policies) == sorted(named)


def test_a_network_that_exists_is_used_and_none_is_made() -> None:
    recording = made(network=NETWORK)

    assert recording.of_kind("Vpc") == []
    assert cluster(recording).inputs["vpcConfig"]["subnetIds"] == ["subnet-1", "subnet-2"]
    assert recording.outputs[recording.named("shop").urn]["ref"]["vpc"] == "vpc-7"


def test_network_policies_are_enforced() -> None:
    """Without the setting they would be objects that nobody reads."""
    (network,) = [each for each in made().of_kind("Addon") if each.inputs["addonName"] == "vpc-cni"]
    settings = json.loads(network.inputs["configurationValues"])

    assert settings["enableNetworkPolicy"] == "true"


def test_nodes_wait_for_what_makes_them_ready_and_the_rest_waits_for_nodes() -> None:
    recording = made()

    (group,) = recording.of_kind("NodeGroup")
    before = [r for r in recording.of_kind("Addon") if r.inputs["addonName"] in {"vpc-cni", "kube-proxy"}]
    assert len(before) == 2
    assert {each.urn for each in before} <= group.depends_on
    assert recording.named("shop-node-entry").urn in group.depends_on
    (names,) = [each for each in recording.of_kind("Addon") if each.inputs["addonName"] == "coredns"]
    assert group.urn in names.depends_on


def test_what_holds_data_is_under_a_key_of_ones_own_and_closed() -> None:
    recording = made()

    assert len(recording.of_kind("BucketPublicAccessBlock")) == len(recording.of_kind("Bucket")) == 2
    rules = [each.inputs["rules"][0] for each in recording.of_kind("BucketServerSideEncryptionConfiguration")]
    assert {rule["applyServerSideEncryptionByDefault"]["sseAlgorithm"] for rule in rules} == {"aws:kms"}
    assert {each.inputs["imageTagMutability"] for each in recording.of_kind("Repository")} == {"IMMUTABLE"}
    (key,) = recording.of_kind("Key")
    assert key.inputs["enableKeyRotation"] is True


def test_one_key_is_that_of_secrets_logs_disks_buckets_and_images() -> None:
    recording = record(lambda: EksCluster("shop"), answers={"aws:kms/key:Key": {"arn": KEY}})

    assert cluster(recording).inputs["encryptionConfig"]["provider"]["keyArn"] == KEY
    (group,) = recording.of_kind("LogGroup")
    assert group.inputs["kmsKeyId"] == KEY
    (template,) = recording.of_kind("LaunchTemplate")
    assert [disk["ebs"]["kmsKeyId"] for disk in template.inputs["blockDeviceMappings"]] == [KEY]
    images = [*recording.of_kind("Repository"), *recording.of_kind("RepositoryCreationTemplate")]
    assert {each.inputs["encryptionConfigurations"][0]["kmsKey"] for each in images} == {KEY}
    rules = [each.inputs["rules"][0] for each in recording.of_kind("BucketServerSideEncryptionConfiguration")]
    assert {rule["applyServerSideEncryptionByDefault"]["kmsMasterKeyId"] for rule in rules} == {KEY}
    assert recording.outputs[recording.named("shop").urn]["ref"]["disk_key"] == KEY


def test_the_key_lets_in_the_logs_of_this_cluster_and_disks_of_this_account() -> None:
    """What AWS says itself of keys for CloudWatch, and of its own key for disks."""
    policy = json.loads(made().of_kind("Key")[0].inputs["policy"])

    statements = {each["Sid"]: each for each in policy["Statement"]}
    logs = statements["Logs"]
    assert logs["Principal"] == {"Service": "logs.eu-west-1.amazonaws.com"}
    group = "arn:aws:logs:eu-west-1:123456789012:log-group:/aws/eks/shop/cluster"
    assert logs["Condition"] == {"ArnEquals": {"kms:EncryptionContext:aws:logs:arn": group}}
    for sid in ("Disks", "DisksOfNodes"):
        assert statements[sid]["Condition"]["StringEquals"] == {
            "kms:CallerAccount": "123456789012",
            "kms:ViaService": "ec2.eu-west-1.amazonaws.com",
        }
    assert statements["DisksOfNodes"]["Action"] == ["kms:CreateGrant"]
    assert statements["DisksOfNodes"]["Condition"]["Bool"] == {"kms:GrantIsForAWSResource": "true"}


def test_protection_off_lets_everything_go() -> None:
    recording = made(deletion_protection=False)

    assert cluster(recording).inputs["deletionProtection"] is False
    assert all(each.inputs["forceDestroy"] is True for each in recording.of_kind("Bucket"))
    assert all(each.inputs["forceDelete"] is True for each in recording.of_kind("Repository"))


def test_everything_that_can_have_tags_has_the_users() -> None:
    recording = made(tags={"team": "fraud"})

    tagged = [each for each in recording.resources.values() if each.inputs.get("tags")]
    assert len(tagged) > 50
    assert all(each.inputs["tags"].get("team") == "fraud" for each in tagged)


def test_the_kubeconfig_asks_the_command_line_and_holds_no_credentials() -> None:
    document = yaml.safe_load(kubeconfig("arn:aws:eks:eu-west-1:123456789012:cluster/shop", "https://x", "YXV0aA=="))

    (user,) = document["users"]
    assert user["user"]["exec"]["command"] == "aws"
    assert user["user"]["exec"]["args"][-4:] == ["--region", "eu-west-1", "--cluster-name", "shop"]
    assert set(user["user"]) == {"exec"}


def test_the_ref_is_what_pools_and_entrances_need() -> None:
    recording = made()

    ref = recording.outputs[recording.named("shop").urn]["ref"]
    assert set(ref) >= {"server", "name", "region", "node_role", "interruption_queue", "public_subnets", "node_group"}
    assert (ref["region"], ref["server"]) == ("eu-west-1", "https://eks.example")


@pytest.mark.parametrize(
    ("args", "sentences"),
    [
        (
            {"kubernetes_version": 1.35, "log_days": 9, "administrators": ["me"]},
            ["kubernetes_version = 1.35, must be a minor version in quotes", "log_days = 9", "administrators has 'me'"],
        ),
        ({"public_access": ["0.0.0.0/0"]}, ["public_access has '0.0.0.0/0', which is everybody"]),
        ({"public_access": ["office"]}, ["public_access has 'office', must be a block such as 192.0.2.0/24"]),
        ({"nodes": {"min_nodes": 4, "max_nodes": 2}}, ["nodes.max_nodes = 2, must be at least nodes.min_nodes"]),
        ({"nodes": {"types": []}}, ["nodes: unknown input 'types'"]),
        ({"network": {"vpc_id": "vpc-1", "private_subnets": ["a"]}}, ["private_subnets has 1 subnet"]),
        ({"network": {"vpc": "vpc-1"}}, ["network: unknown input 'vpc'", "network: vpc_id is missing"]),
        ({"zones": 3}, ["unknown input 'zones'"]),
    ],
)
def test_all_faults_are_told_at_once_and_nothing_is_made(args: dict[str, Any], sentences: list[str]) -> None:
    with pytest.raises(ArgsError) as caught:
        made(**args)

    assert all(sentence in str(caught.value) for sentence in sentences)


def test_a_name_that_aws_would_cut_is_refused() -> None:
    with pytest.raises(ArgsError, match="the name 'Shop' becomes the cluster's"):
        record(lambda: EksCluster("Shop"))
