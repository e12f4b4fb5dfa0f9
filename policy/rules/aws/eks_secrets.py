"""Secrets of a cluster are encrypted with a key that its owner can revoke."""

from collections.abc import Iterator

from rules.rule import ObjectRule, Resource, Settings


def _judge(resource: Resource, _: Settings) -> Iterator[str]:
    if resource.type != "aws:eks/cluster:Cluster":
        return
    encryption = resource.props.get("encryptionConfig") or {}
    if "secrets" not in (encryption.get("resources") or ()):
        yield "Secrets lie in etcd under a key of AWS; set encryptionConfig with resources ['secrets'] and a KMS key"


RULE = ObjectRule(
    name="aws-eks-secrets",
    description="A cluster's Secrets are encrypted with a KMS key.",
    package="aws",
    judge=_judge,
)
