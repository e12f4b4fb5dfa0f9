"""Security groups and their rules."""

from typing import Any, Final

from stand_in_aws.ec2 import arn_of, ec2, first, retag, tagging
from stand_in_aws.kind import Kind, Props, found, given, words


def _permissions(rules: Any) -> list[dict[str, Any]]:
    return [
        {
            "IpProtocol": rule["protocol"],
            "FromPort": rule["fromPort"],
            "ToPort": rule["toPort"],
            "IpRanges": [{"CidrIp": block} for block in rule.get("cidrBlocks") or ()],
        }
        for rule in rules or ()
    ]


def _create_group(props: Props) -> tuple[str, Props]:
    group = ec2().create_security_group(
        GroupName=props["name"],
        Description=props.get("description", "Managed by Pulumi"),
        VpcId=props["vpcId"],
        **tagging("security-group", props),
    )["GroupId"]
    if opened := _permissions(props.get("ingress")):
        ec2().authorize_security_group_ingress(GroupId=group, IpPermissions=opened)
    if opened := _permissions(props.get("egress")):
        ec2().authorize_security_group_egress(GroupId=group, IpPermissions=opened)
    return group, {"arn": arn_of("security-group", group)}


def _read_group(made: str, _: Props) -> Props | None:
    described = found(lambda: ec2().describe_security_groups(GroupIds=[made]))
    return None if first(described, "SecurityGroups") is None else {}


SECURITY_GROUP: Final = Kind(
    token="aws:ec2/securityGroup:SecurityGroup",
    takes=words("name vpcId description ingress egress tags"),
    required=words("vpcId"),
    replaces=words("name vpcId description ingress egress"),
    named="name",
    create=_create_group,
    read=_read_group,
    update=retag,
    delete=lambda made, _: ec2().delete_security_group(GroupId=made),
)


def _create_rule(props: Props) -> tuple[str, Props]:
    permission = {
        **given(props, IpProtocol="ipProtocol", FromPort="fromPort", ToPort="toPort"),
        "UserIdGroupPairs": [{"GroupId": props["referencedSecurityGroupId"], "Description": props["description"]}],
    }
    made = ec2().authorize_security_group_ingress(
        GroupId=props["securityGroupId"], IpPermissions=[permission], **tagging("security-group-rule", props)
    )
    return made["SecurityGroupRules"][0]["SecurityGroupRuleId"], {}


def _read_rule(made: str, _: Props) -> Props | None:
    described = found(lambda: ec2().describe_security_group_rules(SecurityGroupRuleIds=[made]))
    return None if first(described, "SecurityGroupRules") is None else {}


SECURITY_GROUP_RULE: Final = Kind(
    token="aws:vpc/securityGroupIngressRule:SecurityGroupIngressRule",
    takes=words("securityGroupId referencedSecurityGroupId ipProtocol fromPort toPort description tags"),
    required=words("securityGroupId ipProtocol"),
    replaces=words("securityGroupId referencedSecurityGroupId ipProtocol fromPort toPort description"),
    create=_create_rule,
    read=_read_rule,
    update=retag,
    delete=lambda made, state: ec2().revoke_security_group_ingress(
        GroupId=state["securityGroupId"], SecurityGroupRuleIds=[made]
    ),
)


def _adopt_default(props: Props) -> tuple[str, Props]:
    """The VPC's own group, whose rules are taken away; it goes with the VPC."""
    filters = [{"Name": "vpc-id", "Values": [props["vpcId"]]}, {"Name": "group-name", "Values": ["default"]}]
    group = ec2().describe_security_groups(Filters=filters)["SecurityGroups"][0]
    if group["IpPermissions"]:
        ec2().revoke_security_group_ingress(GroupId=group["GroupId"], IpPermissions=group["IpPermissions"])
    if group["IpPermissionsEgress"]:
        ec2().revoke_security_group_egress(GroupId=group["GroupId"], IpPermissions=group["IpPermissionsEgress"])
    return group["GroupId"], {}


DEFAULT_SECURITY_GROUP: Final = Kind(
    token="aws:ec2/defaultSecurityGroup:DefaultSecurityGroup",
    takes=words("vpcId tags"),
    required=words("vpcId"),
    replaces=words("vpcId"),
    create=_adopt_default,
    read=_read_group,
    update=retag,
    delete=lambda _, __: None,
)

KINDS: Final = (SECURITY_GROUP, SECURITY_GROUP_RULE, DEFAULT_SECURITY_GROUP)
