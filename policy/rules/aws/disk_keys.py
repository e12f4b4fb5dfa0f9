"""Disks of nodes are encrypted with a key that their owner can revoke."""

from collections.abc import Iterator

from rules.rule import ObjectRule, Resource, Settings

_REMEDY = "lies under a key of AWS; set kmsKeyId to a KMS key whose policy lets EC2 use it"


def _judge(resource: Resource, _: Settings) -> Iterator[str]:
    if resource.type == "aws:ebs/volume:Volume" and "kmsKeyId" not in resource.props:
        yield f"the disk {_REMEDY}"
    if resource.type == "aws:ec2/launchTemplate:LaunchTemplate":
        for mapping in resource.props.get("blockDeviceMappings") or ():
            if "kmsKeyId" not in (mapping.get("ebs") or {}):
                yield f"the disk {mapping.get('deviceName')} of its nodes {_REMEDY}"


RULE = ObjectRule(
    name="aws-disk-key",
    description="Disks of nodes are encrypted with a KMS key of the account.",
    package="aws",
    judge=_judge,
)
