"""EksNetwork: a VPC over three zones, with private subnets for nodes and public ones for load balancers alone.

Nodes reach AWS' own services through endpoints inside the VPC, and everything else through a NAT gateway in their own
zone. A network that exists already is not adopted here: its NetworkRef is written by hand as EksCluster's `network`.
"""

import ipaddress
from collections.abc import Iterator, Sequence
from typing import Any, Final, NotRequired, TypedDict

import pulumi
from pulumi_aws import ec2, get_availability_zones_output

from headrace.components.cluster.eks.owner import Owner, tag_faults
from headrace.components.kubernetes import checks

ZONES: Final = 3
"""A quorum survives the loss of one; EKS itself asks for two."""
DISCOVERY_TAG: Final = "karpenter.sh/discovery"
"""Tag by which Karpenter finds subnets and security groups; its value is the cluster's name."""
_DEFAULT_BLOCK: Final = "10.0.0.0/16"
_PREFIXES: Final = range(16, 21)
"""AWS takes no block larger than /16; of one smaller than /20, three private subnets have under 700 addresses."""
_ENDPOINTS: Final = ("ec2", "ecr.api", "ecr.dkr", "eks", "eks-auth", "elasticloadbalancing", "logs", "sqs", "sts")
"""Services that nodes and controllers call all day: images and credentials then cross no gateway, and none is paid."""


class NetworkRef(TypedDict):
    """Where a cluster is put: the output `ref` of EksNetwork, or a network that exists already."""

    vpc_id: pulumi.Input[str]
    """Id of the VPC."""
    private_subnets: Sequence[pulumi.Input[str]]
    """Ids of subnets in at least two zones, for nodes and for the control plane's interfaces."""
    public_subnets: Sequence[pulumi.Input[str]]
    """Ids of subnets with a route to the internet, for load balancers. Empty: the platform gets no public address."""


class EksNetworkArgs(TypedDict):
    """Inputs of EksNetwork; none is required."""

    cidr_block: NotRequired[str]
    """Addresses of the VPC, /16 to /20. Default 10.0.0.0/16. Pods have addresses of it, so that a cluster of a hundred
    nodes needs some thousands; it must not overlap networks that are connected to it."""
    cluster_name: NotRequired[str]
    """Name of the cluster that will use it, by which Karpenter finds the subnets. Default: the component's name."""
    nat_gateways: NotRequired[int]
    """1 or 3. Default 3, so that the loss of a zone does not cut the others off; one costs a third."""
    tags: NotRequired[dict[str, str]]
    """Put on everything."""


_NO_ARGS: Final[EksNetworkArgs] = {}


class EksNetwork(pulumi.ComponentResource):
    """The network of an EKS cluster."""

    vpc_id: pulumi.Output[str]
    """Id of the VPC."""
    private_subnets: pulumi.Output[Sequence[str]]
    """Ids of the subnets of nodes, one a zone."""
    public_subnets: pulumi.Output[Sequence[str]]
    """Ids of the subnets of load balancers, one a zone."""

    def __init__(self, name: str, args: EksNetworkArgs = _NO_ARGS, opts: pulumi.ResourceOptions | None = None) -> None:
        block, gateways = args.get("cidr_block", _DEFAULT_BLOCK), int(args.get("nat_gateways", ZONES))
        checks.require(
            f"EksNetwork '{name}'",
            checks.known_keys(args, EksNetworkArgs.__annotations__),
            _block_faults(block),
            [] if gateways in (1, ZONES) else [f"nat_gateways = {gateways}, must be 1 or {ZONES}"],
            tag_faults(args.get("tags", {})),
        )
        super().__init__("headrace:index:EksNetwork", name, dict(args), opts)
        owner = Owner(name=name, tags=args.get("tags", {}), component=self)
        cluster = args.get("cluster_name", name)
        vpc = ec2.Vpc(
            f"{name}-vpc",
            cidr_block=block,
            enable_dns_hostnames=True,  # endpoints have names inside the VPC
            enable_dns_support=True,
            tags=owner.tagged("vpc"),
            opts=owner.options(),
        )
        # Whoever forgets a security group gets this one: it lets nothing in or out.
        ec2.DefaultSecurityGroup(f"{name}-closed", vpc_id=vpc.id, tags=owner.tagged("closed"), opts=owner.options())
        zones = get_availability_zones_output(
            state="available",
            filters=[{"name": "opt-in-status", "values": ["opt-in-not-required"]}],  # no local zones
            opts=pulumi.InvokeOutputOptions(parent=self),
        ).names.apply(_first_zones)
        public, private = subnet_blocks(block)
        outer = _public(owner, vpc, zones, public)
        inner = _private(owner, vpc, zones, private, outer=outer[:gateways], cluster=cluster)
        _endpoints(owner, vpc, block, [subnet.id for subnet, _ in inner], [table.id for _, table in inner])

        self.vpc_id = vpc.id
        self.private_subnets = pulumi.Output.all(*(subnet.id for subnet, _ in inner))
        self.public_subnets = pulumi.Output.all(*(subnet.id for subnet in outer))
        self.register_outputs(
            {"vpc_id": self.vpc_id, "private_subnets": self.private_subnets, "public_subnets": self.public_subnets}
        )


def subnet_blocks(block: str) -> tuple[list[str], list[str]]:
    """Blocks of three public and three private subnets: a private one has a quarter of the VPC, a public one 1/64."""
    first, *quarters = ipaddress.ip_network(block).subnets(prefixlen_diff=2)
    public = list(first.subnets(prefixlen_diff=4))[:ZONES]
    return [str(each) for each in public], [str(each) for each in quarters]


def _block_faults(block: object) -> Iterator[str]:
    try:
        network = ipaddress.ip_network(str(block))
    except ValueError as error:
        yield f"cidr_block = {block!r}, must be a block such as {_DEFAULT_BLOCK}: {error}"
        return
    if not isinstance(network, ipaddress.IPv4Network) or not network.is_private:
        yield f"cidr_block = {block!r}, must be of private IPv4 addresses, for example {_DEFAULT_BLOCK}"
    elif network.prefixlen not in _PREFIXES:
        yield f"cidr_block = {block!r}, must be /{_PREFIXES.start} to /{_PREFIXES.stop - 1}"


def _first_zones(names: Sequence[str]) -> list[str]:
    if len(names) < ZONES:
        raise checks.ArgsError(
            "EksNetwork", [f"the region has {len(names)} availability zones, must have {ZONES}; choose another region"]
        )
    return list(names[:ZONES])


def _public(owner: Owner, vpc: ec2.Vpc, zones: Any, blocks: Sequence[str]) -> list[ec2.Subnet]:
    gateway = ec2.InternetGateway(
        f"{owner.name}-internet", vpc_id=vpc.id, tags=owner.tagged("internet"), opts=owner.options()
    )
    table = ec2.RouteTable(f"{owner.name}-public", vpc_id=vpc.id, tags=owner.tagged("public"), opts=owner.options())
    ec2.Route(
        f"{owner.name}-public-internet",
        route_table_id=table.id,
        destination_cidr_block="0.0.0.0/0",
        gateway_id=gateway.id,
        opts=owner.options(),
    )
    made = []
    for index, block in enumerate(blocks):
        subnet = ec2.Subnet(
            f"{owner.name}-public-{index}",
            vpc_id=vpc.id,
            availability_zone=zones[index],
            cidr_block=block,
            map_public_ip_on_launch=False,  # what is started here by mistake is not on the internet
            tags=owner.tagged(f"public-{index}", **{"kubernetes.io/role/elb": "1"}),
            opts=owner.options(),
        )
        ec2.RouteTableAssociation(
            f"{owner.name}-public-{index}-routes", subnet_id=subnet.id, route_table_id=table.id, opts=owner.options()
        )
        made.append(subnet)
    return made


def _private(
    owner: Owner,
    vpc: ec2.Vpc,
    zones: Any,
    blocks: Sequence[str],
    *,
    outer: Sequence[ec2.Subnet],
    cluster: str,
) -> list[tuple[ec2.Subnet, ec2.RouteTable]]:
    """The subnets of nodes and their routes out, by the gateway of their own zone or the only one."""
    gateways = []
    for index, public in enumerate(outer):
        address = ec2.Eip(
            f"{owner.name}-nat-{index}", domain="vpc", tags=owner.tagged(f"nat-{index}"), opts=owner.options()
        )
        gateways.append(
            ec2.NatGateway(
                f"{owner.name}-nat-{index}",
                subnet_id=public.id,
                allocation_id=address.id,
                tags=owner.tagged(f"nat-{index}"),
                opts=owner.options(),
            )
        )
    made = []
    for index, block in enumerate(blocks):
        subnet = ec2.Subnet(
            f"{owner.name}-private-{index}",
            vpc_id=vpc.id,
            availability_zone=zones[index],
            cidr_block=block,
            tags=owner.tagged(f"private-{index}", **{"kubernetes.io/role/internal-elb": "1", DISCOVERY_TAG: cluster}),
            opts=owner.options(),
        )
        table = ec2.RouteTable(
            f"{owner.name}-private-{index}",
            vpc_id=vpc.id,
            tags=owner.tagged(f"private-{index}"),
            opts=owner.options(),
        )
        ec2.Route(
            f"{owner.name}-private-{index}-out",
            route_table_id=table.id,
            destination_cidr_block="0.0.0.0/0",
            nat_gateway_id=gateways[index % len(gateways)].id,
            opts=owner.options(),
        )
        ec2.RouteTableAssociation(
            f"{owner.name}-private-{index}-routes", subnet_id=subnet.id, route_table_id=table.id, opts=owner.options()
        )
        made.append((subnet, table))
    return made


def _endpoints(
    owner: Owner, vpc: ec2.Vpc, block: str, subnets: list[pulumi.Output[str]], tables: list[pulumi.Output[str]]
) -> None:
    region = vpc.arn.apply(lambda arn: arn.split(":")[3])
    group = ec2.SecurityGroup(
        f"{owner.name}-endpoints",
        vpc_id=vpc.id,
        description="AWS services inside the VPC: TLS from its own addresses",
        ingress=[{"protocol": "tcp", "from_port": 443, "to_port": 443, "cidr_blocks": [block]}],
        tags=owner.tagged("endpoints"),
        opts=owner.options(),
    )
    ec2.VpcEndpoint(
        f"{owner.name}-s3",
        vpc_id=vpc.id,
        service_name=pulumi.Output.concat("com.amazonaws.", region, ".s3"),
        vpc_endpoint_type="Gateway",
        route_table_ids=tables,
        tags=owner.tagged("s3"),
        opts=owner.options(),
    )
    for service in _ENDPOINTS:
        ec2.VpcEndpoint(
            f"{owner.name}-{service.replace('.', '-')}",
            vpc_id=vpc.id,
            service_name=pulumi.Output.concat("com.amazonaws.", region, f".{service}"),
            vpc_endpoint_type="Interface",
            private_dns_enabled=True,
            subnet_ids=subnets,
            security_group_ids=[group.id],
            tags=owner.tagged(service),
            opts=owner.options(),
        )
