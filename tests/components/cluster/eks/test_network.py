"""EksNetwork: three zones, private nodes, ways out."""

import ipaddress
from typing import Any

import pytest

from headrace.components import EksNetwork
from headrace.components.cluster.eks.network import subnet_blocks
from headrace.components.kubernetes.checks import ArgsError
from headrace.components.testing import Recording, record


def made(**args: Any) -> Recording:
    return record(lambda: EksNetwork("shop", args))  # type: ignore[arg-type]


def test_nodes_have_a_subnet_a_zone_and_none_with_public_addresses() -> None:
    subnets = made().of_kind("Subnet")

    private = [each for each in subnets if "kubernetes.io/role/internal-elb" in each.inputs["tags"]]
    assert {each.inputs["availabilityZone"] for each in private} == {"eu-west-1a", "eu-west-1b", "eu-west-1c"}
    assert {each.inputs["tags"]["karpenter.sh/discovery"] for each in private} == {"shop"}
    assert all(each.inputs.get("mapPublicIpOnLaunch", False) is False for each in subnets)
    assert len(subnets) == 6


@pytest.mark.parametrize("block", ["10.0.0.0/16", "172.20.0.0/18", "192.168.0.0/20"])
def test_subnets_lie_in_the_block_and_apart(block: str) -> None:
    public, private = subnet_blocks(block)

    networks = [ipaddress.ip_network(each) for each in (*public, *private)]
    assert all(each.subnet_of(ipaddress.ip_network(block)) for each in networks)  # type: ignore[arg-type]
    assert not any(a.overlaps(b) for i, a in enumerate(networks) for b in networks[:i])
    assert sum(each.num_addresses for each in networks[3:]) == ipaddress.ip_network(block).num_addresses * 3 // 4


@pytest.mark.parametrize("gateways", [1, 3])
def test_each_zone_has_a_way_out(gateways: int) -> None:
    recording = made(nat_gateways=gateways)

    ways = [route.inputs["natGatewayId"] for route in recording.of_kind("Route") if "natGatewayId" in route.inputs]
    assert len(ways) == 3
    assert len(set(ways)) == len(recording.of_kind("NatGateway")) == gateways


def test_whoever_names_no_security_group_gets_one_that_lets_nothing_through() -> None:
    (closed,) = made().of_kind("DefaultSecurityGroup")

    assert not closed.inputs.get("ingress")
    assert not closed.inputs.get("egress")


def test_aws_own_services_are_reached_inside_the_vpc_and_from_it_alone() -> None:
    recording = made(cidr_block="10.7.0.0/16")

    services = {each.inputs["serviceName"].rpartition("eu-west-1.")[2] for each in recording.of_kind("VpcEndpoint")}
    assert services >= {"s3", "ecr.api", "ecr.dkr", "sts", "ec2", "eks-auth", "sqs"}
    (group,) = recording.of_kind("SecurityGroup")
    assert group.inputs["ingress"] == [
        {"protocol": "tcp", "fromPort": 443, "toPort": 443, "cidrBlocks": ["10.7.0.0/16"]}
    ]


@pytest.mark.parametrize(
    ("args", "sentence"),
    [
        ({"cidr_block": "10.0.0.0/8"}, "cidr_block = '10.0.0.0/8', must be /16 to /20"),
        ({"cidr_block": "8.8.0.0/16"}, "must be of private IPv4 addresses"),
        ({"cidr_block": "ten"}, "cidr_block = 'ten', must be a block such as 10.0.0.0/16"),
        ({"nat_gateways": 2}, "nat_gateways = 2, must be 1 or 3"),
        ({"tags": {"aws:team": "x"}}, "tags has the key 'aws:team'"),
        ({"block": "10.0.0.0/16"}, "unknown input 'block'"),
    ],
)
def test_bad_inputs_are_explained_and_nothing_is_made(args: dict[str, Any], sentence: str) -> None:
    with pytest.raises(ArgsError, match=sentence):
        made(**args)
