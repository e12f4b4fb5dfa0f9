"""EKS by the real Pulumi engine: made, changed, broken off, refreshed and removed, with AWS on the loopback."""

import json
import re
from pathlib import Path

import pytest
from pulumi_aws_program import AwsProgram, deployed

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1200)]

PROGRAM = """
import pulumi
from headrace.components import EksCluster, EksEntrance

cluster = EksCluster("shop", {"deletion_protection": False, "tags": {"team": "platform"}})
for name, certificate in (("open", "platform"), ("public", "acm")):
    EksEntrance(name, {
        "cluster": cluster.ref,
        "host": f"{name}.example.com",
        "zone_id": "ZONE",
        "certificate": certificate,
        "deletion_protection": False,
    })
pulumi.export("ref", cluster.ref)
"""


def zone(program: AwsProgram) -> str:
    made = program.account.client("route53").create_hosted_zone(Name="example.com", CallerReference="test")
    return str(made["HostedZone"]["Id"].rpartition("/")[2])


def counted(output: str) -> dict[str, int]:
    """How many resources the engine created, changed and so on, from the last lines of its report."""
    return {verb: int(number) for number, verb in re.findall(r"^\s+[+~-]{0,2}\s*(\d+) (\w+)$", output, re.MULTILINE)}


def test_a_cluster_is_made_resumed_changed_refreshed_and_removed_and_nothing_stays(tmp_path: Path) -> None:
    with deployed(tmp_path, "") as shop:
        program = PROGRAM.replace("ZONE", zone(shop))
        shop.write(program)
        before = shop.account.inventory()

        # AWS gives up in the middle: what was made stays in the stack's state, and the reason is told.
        shop.faults.write_text(json.dumps({"CreateNodegroup": "InsufficientCapacity"}))
        broken = shop.up()
        assert broken.returncode != 0
        assert "error occurred (InsufficientCapacity) when calling the CreateNodegroup operation" in broken.stdout
        assert shop.account.inventory()["clusters"] == ["shop"]

        shop.faults.write_text("{}")
        resumed = shop.up()
        assert resumed.returncode == 0, resumed.stdout + resumed.stderr
        made = shop.account.inventory()
        assert made["add-ons"] == sorted(
            ["aws-ebs-csi-driver", "coredns", "eks-pod-identity-agent", "kube-proxy", "metrics-server", "vpc-cni"]
        )
        assert len(made["balancers"]) == 2
        assert len(made["nat gateways"]) == 3

        assert set(counted(shop.up().stdout)) == {"unchanged"}

        # Somebody deletes a rule by hand; a refresh sees it.
        events = shop.account.client("events")
        (rule,) = [name for name in made["rules"] if name.startswith("shop-spot")]
        events.remove_targets(Rule=rule, Ids=["pulumi"])
        events.delete_rule(Name=rule)
        assert counted(shop.pulumi("refresh", "--yes", "--skip-preview").stdout)["deleted"] == 2

        # The next update makes it again, and changes in place what is changed of many resources: another disk is
        # another version of the launch template, which the group takes.
        shop.write(program.replace('"tags"', '"nodes": {"max_nodes": 9, "disk_gib": 200}, "tags"'))
        changed = shop.up().stdout
        assert (counted(changed)["created"], counted(changed)["updated"]) == (2, 4)  # the component among them
        kinds = {"aws:ec2:LaunchTemplate", "aws:eks:NodeGroup", "aws:sqs:QueuePolicy"}  # the last names the rule
        assert set(re.findall(r"^ ~ +(\S+) \S+ updated", changed, re.MULTILINE)) == kinds, changed
        (group,) = shop.account.client("eks").list_nodegroups(clusterName="shop")["nodegroups"]
        found = shop.account.client("eks").describe_nodegroup(clusterName="shop", nodegroupName=group)["nodegroup"]
        assert found["scalingConfig"]["maxSize"] == 9
        template = shop.account.client("ec2").describe_launch_template_versions(
            LaunchTemplateId=found["launchTemplate"]["id"], Versions=["$Latest"]
        )["LaunchTemplateVersions"][0]
        assert template["VersionNumber"] == 2
        (disk,) = template["LaunchTemplateData"]["BlockDeviceMappings"]
        assert disk["Ebs"]["VolumeSize"] == 200

        gone = shop.pulumi("destroy", "--yes", "--skip-preview")
        assert gone.returncode == 0, gone.stdout + gone.stderr
        assert shop.account.inventory() == before


CREDENTIALS = """
from headrace.components import EksCluster

EksCluster("shop")
"""


def test_expired_credentials_are_one_sentence_before_anything_is_made(tmp_path: Path) -> None:
    with deployed(tmp_path, CREDENTIALS) as shop:
        before = shop.account.inventory()
        shop.faults.write_text(json.dumps({"GetCallerIdentity": "ExpiredToken"}))

        done = shop.up()

        assert done.returncode != 0
        assert "EksCluster 'shop': the credentials of AWS have expired; log in again" in done.stdout
        assert "Traceback" not in done.stdout
        assert shop.account.inventory() == before


POOL = """
from headrace.components import GpuNodePool

GpuNodePool("h100", {
    "cluster": {"name": "shop", "node_role": "node", "node_security_group": "sg-1"},
    "gpu": "CHOSEN", "gpus_per_node": 8, "max_nodes": 4,
})
"""


def test_what_the_account_or_the_region_lacks_is_one_sentence(tmp_path: Path) -> None:
    with deployed(tmp_path, "", L_417A185B=192) as shop:
        for gpu, sentence in (
            (
                "a100",
                "max_nodes = 4, which are 384 vCPUs of P machines, must be within the account's quota of 192 "
                "(L-417A185B); ask AWS for more under Service Quotas, or lower max_nodes to 2",
            ),
            ("h200", "a machine of the type p5en.48xlarge, which the region does not have"),
        ):
            shop.write(POOL.replace("CHOSEN", gpu))
            done = shop.pulumi("preview")

            assert done.returncode != 0
            assert sentence in done.stdout.replace("\n", " "), done.stdout
            assert "Traceback" not in done.stdout
