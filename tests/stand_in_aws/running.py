"""Starts the server, says what a program under Pulumi's engine needs to find it, and lists what it holds."""

import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import boto3

from stand_in_aws.clients import ADDRESS_VARIABLE, FAULTS_VARIABLE, REGION_VARIABLE
from stand_in_aws.eks import KUBECONFIG_VARIABLE

FOLDER: Final = Path(__file__).parent
"""Has the plugin `pulumi-resource-aws` and the command `aws`, so that it goes on PATH."""
REGION: Final = "eu-west-1"


@contextmanager
def aws(**quotas: float) -> Iterator[str]:
    """AWS on a port of the loopback, as long as the block runs; quotas by their code with `_` for `-`."""
    given = [f"{code.replace('_', '-')}={value}" for code, value in quotas.items()]
    command = [sys.executable, "-m", "stand_in_aws.server", *given]
    with subprocess.Popen(
        command, cwd=FOLDER.parent, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            yield process.stdout.readline().strip()
        finally:
            process.stdin.close()
            process.wait(timeout=30)


def environment(address: str, *, faults: Path | None = None, kubeconfig: Path | None = None) -> dict[str, str]:
    """Variables with which Pulumi's engine uses the stand-in."""
    found = {ADDRESS_VARIABLE: address, REGION_VARIABLE: REGION, "PATH": f"{FOLDER}:{os.environ['PATH']}"}
    if faults is not None:
        found[FAULTS_VARIABLE] = str(faults)
    if kubeconfig is not None:
        found[KUBECONFIG_VARIABLE] = str(kubeconfig)
    return found


@contextmanager
def plugin(variables: Mapping[str, str]) -> Iterator[Mapping[str, str]]:
    """The provider's plugin as long as the block runs, and the variable by which Pulumi's engine uses that one. Without
    it each command of Pulumi starts its own, found on PATH, which costs three seconds of CPU."""
    command = [sys.executable, "-m", "stand_in_aws"]
    environ = {**os.environ, **variables}
    with subprocess.Popen(command, cwd=FOLDER.parent, env=environ, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            yield {"PULUMI_DEBUG_PROVIDERS": f"aws:{process.stdout.readline().strip()}"}
        finally:
            process.terminate()


class Account:
    """What there is in AWS, asked as a person would."""

    def __init__(self, address: str) -> None:
        self._address = address

    def client(self, service: str) -> Any:
        """A client of one service."""
        return boto3.client(
            service,  # type: ignore[call-overload]
            endpoint_url=self._address,
            region_name=REGION,
            aws_access_key_id="person",
            aws_secret_access_key="person",
        )

    def inventory(self) -> Mapping[str, list[str]]:
        """Names or ids of all that exists, by kind."""
        ec2, iam, eks = self.client("ec2"), self.client("iam"), self.client("eks")
        clusters = eks.list_clusters()["clusters"]
        buckets = self.client("s3").list_buckets()["Buckets"]
        rules = self.client("events").list_rules()["Rules"]
        found = {
            "vpcs": [each["VpcId"] for each in ec2.describe_vpcs()["Vpcs"]],
            "subnets": [each["SubnetId"] for each in ec2.describe_subnets()["Subnets"]],
            "gateways": [each["InternetGatewayId"] for each in ec2.describe_internet_gateways()["InternetGateways"]],
            "nat gateways": [
                each["NatGatewayId"]
                for each in ec2.describe_nat_gateways()["NatGateways"]
                if each["State"] != "deleted"
            ],
            "addresses": [each["AllocationId"] for each in ec2.describe_addresses()["Addresses"]],
            "route tables": [each["RouteTableId"] for each in ec2.describe_route_tables()["RouteTables"]],
            "endpoints": [
                each["VpcEndpointId"]
                for each in ec2.describe_vpc_endpoints()["VpcEndpoints"]
                if each["State"].lower() != "deleted"
            ],
            "security groups": [each["GroupId"] for each in ec2.describe_security_groups()["SecurityGroups"]],
            "templates": [each["LaunchTemplateId"] for each in ec2.describe_launch_templates()["LaunchTemplates"]],
            "roles": [each["RoleName"] for each in iam.list_roles()["Roles"]],
            "keys": self._keys(),
            "queues": self.client("sqs").list_queues().get("QueueUrls", []),
            "rules": [each["Name"] for each in rules],
            "log groups": [each["logGroupName"] for each in self.client("logs").describe_log_groups()["logGroups"]],
            "repositories": [
                each["repositoryName"] for each in self.client("ecr").describe_repositories()["repositories"]
            ],
            "buckets": [each["Name"] for each in buckets],
            "clusters": clusters,
            "add-ons": [addon for name in clusters for addon in eks.list_addons(clusterName=name)["addons"]],
            "balancers": [
                each["LoadBalancerName"] for each in self.client("elbv2").describe_load_balancers()["LoadBalancers"]
            ],
            "targets": [
                each["TargetGroupName"] for each in self.client("elbv2").describe_target_groups()["TargetGroups"]
            ],
            "groups of machines": [
                each["AutoScalingGroupName"]
                for each in self.client("autoscaling").describe_auto_scaling_groups()["AutoScalingGroups"]
            ],
            "certificates": [
                each["CertificateArn"] for each in self.client("acm").list_certificates()["CertificateSummaryList"]
            ],
        }
        return {kind: sorted(names) for kind, names in found.items()}

    def _keys(self) -> list[str]:
        """Keys that are not about to be deleted: AWS keeps those for a month."""
        kms = self.client("kms")
        ids = [each["KeyId"] for each in kms.list_keys()["Keys"]]
        return [key for key in ids if kms.describe_key(KeyId=key)["KeyMetadata"]["KeyState"] != "PendingDeletion"]
