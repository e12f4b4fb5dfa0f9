"""Networks, machines' templates and addresses."""

from typing import Any, Final

from stand_in_aws.clients import client, region
from stand_in_aws.kind import Kind, Props, found, given, pascal, tag_list, words


def ec2() -> Any:
    """The client."""
    return client("ec2")


def tagging(kind: str, props: Props) -> dict[str, Any]:
    """The parameter that tags what a call makes."""
    tags = tag_list(props)
    return {"TagSpecifications": [{"ResourceType": kind, "Tags": tags}]} if tags else {}


def retag(made: str, old: Props, new: Props) -> None:
    """Changes tags in place."""
    gone = set(old.get("tags") or {}) - set(new.get("tags") or {})
    if gone:
        ec2().delete_tags(Resources=[made], Tags=[{"Key": key} for key in gone])
    if tags := tag_list(new):
        ec2().create_tags(Resources=[made], Tags=tags)


def first(described: Any, key: str) -> Any:
    """The first of what was described, or None."""
    return described[key][0] if described and described[key] else None


def arn_of(kind: str, made: str) -> str:
    """The ARN of something of EC2."""
    return f"arn:aws:ec2:{region()}:123456789012:{kind}/{made}"


def _create_vpc(props: Props) -> tuple[str, Props]:
    vpc = ec2().create_vpc(CidrBlock=props["cidrBlock"], **tagging("vpc", props))["Vpc"]["VpcId"]
    for name in ("enableDnsSupport", "enableDnsHostnames"):
        if name in props:
            ec2().modify_vpc_attribute(VpcId=vpc, **{name[0].upper() + name[1:]: {"Value": props[name]}})
    return vpc, {"arn": arn_of("vpc", vpc)}


def _read_vpc(made: str, _: Props) -> Props | None:
    seen = first(found(lambda: ec2().describe_vpcs(VpcIds=[made])), "Vpcs")
    return None if seen is None else {"cidrBlock": seen["CidrBlock"]}


VPC: Final = Kind(
    token="aws:ec2/vpc:Vpc",
    takes=words("cidrBlock enableDnsHostnames enableDnsSupport tags"),
    required=words("cidrBlock"),
    replaces=words("cidrBlock enableDnsHostnames enableDnsSupport"),
    create=_create_vpc,
    read=_read_vpc,
    update=retag,
    delete=lambda made, _: ec2().delete_vpc(VpcId=made),
)


def _read_subnet(made: str, _: Props) -> Props | None:
    seen = first(found(lambda: ec2().describe_subnets(SubnetIds=[made])), "Subnets")
    return None if seen is None else {"vpcId": seen["VpcId"], "availabilityZone": seen["AvailabilityZone"]}


def _create_subnet(props: Props) -> tuple[str, Props]:
    parameters = given(props, VpcId="vpcId", CidrBlock="cidrBlock", AvailabilityZone="availabilityZone")
    subnet = ec2().create_subnet(**parameters, **tagging("subnet", props))["Subnet"]["SubnetId"]
    return subnet, {"arn": arn_of("subnet", subnet)}


SUBNET: Final = Kind(
    token="aws:ec2/subnet:Subnet",
    takes=words("vpcId cidrBlock availabilityZone mapPublicIpOnLaunch tags"),
    required=words("vpcId cidrBlock"),
    replaces=words("vpcId cidrBlock availabilityZone"),
    create=_create_subnet,
    read=_read_subnet,
    update=retag,
    delete=lambda made, _: ec2().delete_subnet(SubnetId=made),
)


def _create_gateway(props: Props) -> tuple[str, Props]:
    made = ec2().create_internet_gateway(**tagging("internet-gateway", props))["InternetGateway"]
    ec2().attach_internet_gateway(InternetGatewayId=made["InternetGatewayId"], VpcId=props["vpcId"])
    return made["InternetGatewayId"], {}


def _read_gateway(made: str, _: Props) -> Props | None:
    described = found(lambda: ec2().describe_internet_gateways(InternetGatewayIds=[made]))
    return None if first(described, "InternetGateways") is None else {}


def _delete_gateway(made: str, state: Props) -> None:
    ec2().detach_internet_gateway(InternetGatewayId=made, VpcId=state["vpcId"])
    ec2().delete_internet_gateway(InternetGatewayId=made)


INTERNET_GATEWAY: Final = Kind(
    token="aws:ec2/internetGateway:InternetGateway",
    takes=words("vpcId tags"),
    required=words("vpcId"),
    replaces=words("vpcId"),
    create=_create_gateway,
    read=_read_gateway,
    update=retag,
    delete=_delete_gateway,
)


def _create_address(props: Props) -> tuple[str, Props]:
    made = ec2().allocate_address(Domain=props.get("domain", "vpc"), **tagging("elastic-ip", props))
    return made["AllocationId"], {"publicIp": made["PublicIp"], "allocationId": made["AllocationId"]}


def _read_address(made: str, _: Props) -> Props | None:
    seen = first(found(lambda: ec2().describe_addresses(AllocationIds=[made])), "Addresses")
    return None if seen is None else {"publicIp": seen["PublicIp"]}


EIP: Final = Kind(
    token="aws:ec2/eip:Eip",
    takes=words("domain tags"),
    replaces=words("domain"),
    create=_create_address,
    read=_read_address,
    update=retag,
    delete=lambda made, _: ec2().release_address(AllocationId=made),
)


def _create_nat(props: Props) -> tuple[str, Props]:
    parameters = given(props, SubnetId="subnetId", AllocationId="allocationId")
    return ec2().create_nat_gateway(**parameters, **tagging("natgateway", props))["NatGateway"]["NatGatewayId"], {}


def _read_nat(made: str, _: Props) -> Props | None:
    seen = first(found(lambda: ec2().describe_nat_gateways(NatGatewayIds=[made])), "NatGateways")
    return None if seen is None or seen["State"] == "deleted" else {}


NAT_GATEWAY: Final = Kind(
    token="aws:ec2/natGateway:NatGateway",
    takes=words("subnetId allocationId tags"),
    required=words("subnetId"),
    replaces=words("subnetId allocationId"),
    create=_create_nat,
    read=_read_nat,
    update=retag,
    delete=lambda made, _: ec2().delete_nat_gateway(NatGatewayId=made),
)


def _read_table(made: str, _: Props) -> Props | None:
    described = found(lambda: ec2().describe_route_tables(RouteTableIds=[made]))
    return None if first(described, "RouteTables") is None else {}


ROUTE_TABLE: Final = Kind(
    token="aws:ec2/routeTable:RouteTable",
    takes=words("vpcId tags"),
    required=words("vpcId"),
    replaces=words("vpcId"),
    create=lambda props: (
        ec2().create_route_table(VpcId=props["vpcId"], **tagging("route-table", props))["RouteTable"]["RouteTableId"],
        {},
    ),
    read=_read_table,
    update=retag,
    delete=lambda made, _: ec2().delete_route_table(RouteTableId=made),
)


def _create_route(props: Props) -> tuple[str, Props]:
    parameters = given(
        props,
        RouteTableId="routeTableId",
        DestinationCidrBlock="destinationCidrBlock",
        GatewayId="gatewayId",
        NatGatewayId="natGatewayId",
    )
    ec2().create_route(**parameters)
    return f"r-{props['routeTableId']}_{props['destinationCidrBlock']}", {}


def _read_route(_: str, state: Props) -> Props | None:
    described = found(lambda: ec2().describe_route_tables(RouteTableIds=[state["routeTableId"]]))
    routes = (first(described, "RouteTables") or {}).get("Routes", [])
    kept = any(route.get("DestinationCidrBlock") == state["destinationCidrBlock"] for route in routes)
    return {} if kept else None


ROUTE: Final = Kind(
    token="aws:ec2/route:Route",
    takes=words("routeTableId destinationCidrBlock gatewayId natGatewayId"),
    required=words("routeTableId"),
    create=_create_route,
    read=_read_route,
    delete=lambda _, state: ec2().delete_route(
        RouteTableId=state["routeTableId"], DestinationCidrBlock=state["destinationCidrBlock"]
    ),
)


def _read_association(made: str, _: Props) -> Props | None:
    filters = [{"Name": "association.route-table-association-id", "Values": [made]}]
    return {} if ec2().describe_route_tables(Filters=filters)["RouteTables"] else None


ROUTE_TABLE_ASSOCIATION: Final = Kind(
    token="aws:ec2/routeTableAssociation:RouteTableAssociation",
    takes=words("subnetId routeTableId"),
    required=words("routeTableId"),
    create=lambda props: (
        ec2().associate_route_table(**given(props, SubnetId="subnetId", RouteTableId="routeTableId"))["AssociationId"],
        {},
    ),
    read=_read_association,
    delete=lambda made, _: ec2().disassociate_route_table(AssociationId=made),
)


def _create_endpoint(props: Props) -> tuple[str, Props]:
    parameters = given(
        props,
        VpcId="vpcId",
        ServiceName="serviceName",
        VpcEndpointType="vpcEndpointType",
        PrivateDnsEnabled="privateDnsEnabled",
        RouteTableIds="routeTableIds",
        SubnetIds="subnetIds",
        SecurityGroupIds="securityGroupIds",
    )
    made = ec2().create_vpc_endpoint(**parameters, **tagging("vpc-endpoint", props))["VpcEndpoint"]
    return made["VpcEndpointId"], {}


def _read_endpoint(made: str, _: Props) -> Props | None:
    seen = first(found(lambda: ec2().describe_vpc_endpoints(VpcEndpointIds=[made])), "VpcEndpoints")
    return None if seen is None or seen["State"].lower() == "deleted" else {}


VPC_ENDPOINT: Final = Kind(
    token="aws:ec2/vpcEndpoint:VpcEndpoint",
    takes=words("vpcId serviceName vpcEndpointType privateDnsEnabled routeTableIds subnetIds securityGroupIds tags"),
    required=words("vpcId"),
    replaces=words("vpcId serviceName vpcEndpointType privateDnsEnabled routeTableIds subnetIds securityGroupIds"),
    create=_create_endpoint,
    read=_read_endpoint,
    update=retag,
    delete=lambda made, _: ec2().delete_vpc_endpoints(VpcEndpointIds=[made]),
)


def _template_data(props: Props) -> dict[str, Any]:
    data = pascal(
        {name: props[name] for name in ("metadataOptions", "tagSpecifications") if props.get(name) is not None}
    )
    for specification, own in zip(data.get("TagSpecifications", ()), props.get("tagSpecifications", ()), strict=True):
        specification["Tags"] = tag_list(own)
    if mappings := props.get("blockDeviceMappings"):
        data["BlockDeviceMappings"] = pascal(mappings)
        for mapping in data["BlockDeviceMappings"]:
            for name in ("Encrypted", "DeleteOnTermination"):
                mapping["Ebs"][name] = mapping["Ebs"][name] == "true"
    return data


def _create_template(props: Props) -> tuple[str, Props]:
    made = ec2().create_launch_template(
        LaunchTemplateName=props["name"],
        LaunchTemplateData=_template_data(props),
        **tagging("launch-template", props),
    )["LaunchTemplate"]
    return made["LaunchTemplateId"], {"arn": arn_of("launch-template", made["LaunchTemplateId"])}


def _read_template(made: str, _: Props) -> Props | None:
    described = found(lambda: ec2().describe_launch_templates(LaunchTemplateIds=[made]))
    seen = first(described, "LaunchTemplates")
    return None if seen is None else {"latestVersion": seen["LatestVersionNumber"]}


def _update_template(made: str, old: Props, new: Props) -> None:
    ec2().create_launch_template_version(LaunchTemplateId=made, LaunchTemplateData=_template_data(new))
    retag(made, old, new)


LAUNCH_TEMPLATE: Final = Kind(
    token="aws:ec2/launchTemplate:LaunchTemplate",
    takes=words("name updateDefaultVersion metadataOptions blockDeviceMappings tagSpecifications tags"),
    replaces=words("name"),
    named="name",
    create=_create_template,
    read=_read_template,
    update=_update_template,
    delete=lambda made, _: ec2().delete_launch_template(LaunchTemplateId=made),
)

KINDS: Final = (
    VPC,
    SUBNET,
    INTERNET_GATEWAY,
    EIP,
    NAT_GATEWAY,
    ROUTE_TABLE,
    ROUTE,
    ROUTE_TABLE_ASSOCIATION,
    VPC_ENDPOINT,
    LAUNCH_TEMPLATE,
)
