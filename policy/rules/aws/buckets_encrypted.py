"""What a bucket holds is encrypted with a key that its owner can revoke."""

from collections.abc import Iterator, Sequence
from typing import Any

from rules.aws.buckets import about, buckets
from rules.rule import Resource, Settings, StackRule

_TYPES = (
    "aws:s3/bucketServerSideEncryptionConfiguration:BucketServerSideEncryptionConfiguration",
    "aws:s3/bucketServerSideEncryptionConfigurationV2:BucketServerSideEncryptionConfigurationV2",
)
_BY_KEY = frozenset(("aws:kms", "aws:kms:dsse"))


def _judge(resources: Sequence[Resource], _: Settings) -> Iterator[str]:
    for bucket in buckets(resources):
        own = (bucket.props.get("serverSideEncryptionConfiguration") or {}).get("rule")
        beside = [rule for each in about(bucket, resources, *_TYPES) for rule in each.props.get("rules") or ()]
        if not any(_algorithm(rule) in _BY_KEY for rule in [own, *beside]):
            yield (
                f"{bucket.title}: its objects lie under a key of AWS; add a BucketServerSideEncryptionConfiguration "
                "with sseAlgorithm aws:kms"
            )


def _algorithm(rule: Any) -> Any:
    return ((rule or {}).get("applyServerSideEncryptionByDefault") or {}).get("sseAlgorithm")


RULE = StackRule(
    name="aws-bucket-encryption",
    description="Buckets are encrypted with a KMS key.",
    package="aws",
    judge=_judge,
)
