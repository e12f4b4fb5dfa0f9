"""Only ports that are meant to be public are open to the world."""

from collections.abc import Iterator, Mapping
from typing import Any

from rules.rule import ObjectRule, Resource, Setting, Settings

_EVERYWHERE = frozenset(("0.0.0.0/0", "::/0"))


def _judge(resource: Resource, settings: Settings) -> Iterator[str]:
    for rule in _ingress(resource):
        first, last = rule.get("fromPort"), rule.get("toPort")
        is_public = all(port in settings["public_ports"] for port in (first, last)) and first == last
        if _sources(rule) & _EVERYWHERE and not is_public:
            ports = (
                "every port"
                if first is None or rule.get("protocol", rule.get("ipProtocol")) == "-1"
                else (f"port {first:g}" if first == last else f"ports {first:g} to {last:g}")
            )
            yield f"everybody reaches {ports}; list the addresses, or add the port to `public_ports`"


def _ingress(resource: Resource) -> Iterator[Mapping[str, Any]]:
    if resource.type == "aws:ec2/securityGroup:SecurityGroup":
        yield from resource.props.get("ingress") or ()
    elif resource.type == "aws:vpc/securityGroupIngressRule:SecurityGroupIngressRule" or (
        resource.type == "aws:ec2/securityGroupRule:SecurityGroupRule" and resource.props.get("type") == "ingress"
    ):
        yield resource.props


def _sources(rule: Mapping[str, Any]) -> set[Any]:
    blocks = [*(rule.get("cidrBlocks") or ()), *(rule.get("ipv6CidrBlocks") or ())]
    return {*blocks, rule.get("cidrIpv4"), rule.get("cidrIpv6")}


RULE = ObjectRule(
    name="aws-securitygroup-ingress",
    description="Security groups open only public ports to everybody.",
    package="aws",
    own_settings=(
        Setting(
            name="public_ports",
            meaning="Ports that everybody may reach.",
            default=(443,),
            type={"type": "array", "items": {"type": "integer"}},
        ),
    ),
    judge=_judge,
)
