"""Disks are encrypted: a snapshot of a node's disk holds models and requests."""

from collections.abc import Iterator

from rules.rule import ObjectRule, Resource, Settings


def _judge(resource: Resource, _: Settings) -> Iterator[str]:
    if resource.type == "aws:ebs/volume:Volume" and resource.props.get("encrypted") is not True:
        yield "the disk is not encrypted; set encrypted to true"
    if resource.type == "aws:ec2/launchTemplate:LaunchTemplate":
        for mapping in resource.props.get("blockDeviceMappings") or ():
            if str((mapping.get("ebs") or {}).get("encrypted")).lower() != "true":
                yield f"the disk {mapping.get('deviceName')} of its nodes is not encrypted; set ebs.encrypted to true"


RULE = ObjectRule(
    name="aws-disk-encryption",
    description="Disks of nodes are encrypted.",
    package="aws",
    judge=_judge,
)
