"""Logs are encrypted with a key that their owner can revoke: the audit log says what is in the cluster."""

from collections.abc import Iterator

from rules.rule import ObjectRule, Resource, Settings


def _judge(resource: Resource, _: Settings) -> Iterator[str]:
    if resource.type == "aws:cloudwatch/logGroup:LogGroup" and "kmsKeyId" not in resource.props:
        yield "its lines lie under a key of AWS; set kmsKeyId to a KMS key whose policy lets CloudWatch use it"


RULE = ObjectRule(
    name="aws-log-encryption",
    description="Log groups are encrypted with a KMS key.",
    package="aws",
    judge=_judge,
)
