"""No bucket can be opened to the public, whatever a policy says later."""

from collections.abc import Iterator, Sequence

from rules.aws.buckets import about, buckets
from rules.rule import Resource, Settings, StackRule

_SWITCHES = ("blockPublicAcls", "blockPublicPolicy", "ignorePublicAcls", "restrictPublicBuckets")
_TYPE = "aws:s3/bucketPublicAccessBlock:BucketPublicAccessBlock"


def _judge(resources: Sequence[Resource], _: Settings) -> Iterator[str]:
    for bucket in buckets(resources):
        blocks = list(about(bucket, resources, _TYPE))
        if not any(all(block.props.get(switch) is True for switch in _SWITCHES) for block in blocks):
            yield (
                f"{bucket.title}: a policy or an ACL can open it to the public; add a BucketPublicAccessBlock with "
                f"{', '.join(_SWITCHES)} true"
            )


RULE = StackRule(
    name="aws-bucket-public",
    description="Buckets cannot be opened to the public.",
    package="aws",
    judge=_judge,
)
