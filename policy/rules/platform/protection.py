"""What cannot be made again is protected from deletion."""

from collections.abc import Iterator

from rules.rule import Level, ObjectRule, Resource, Settings

_PRECIOUS = {
    "aws:s3/bucket:Bucket": "models, tables and evidence",
    "aws:s3/bucketV2:BucketV2": "models, tables and evidence",
    "aws:kms/key:Key": "whatever was encrypted with it",
    "aws:eks/cluster:Cluster": "every endpoint",
    "aws:ecr/repository:Repository": "the images that a rollback needs",
    "aws:rds/instance:Instance": "a database",
}


def _judge(resource: Resource, _: Settings) -> Iterator[str]:
    lost = _PRECIOUS.get(resource.type)
    if lost is not None and not resource.is_protected:
        yield f"deleting it loses {lost}; give it the resource option protect=True"


RULE = ObjectRule(
    name="headrace-platform-protection",
    description="Buckets, keys, repositories and clusters are protected from deletion.",
    package="aws",
    level=Level.ADVISORY,
    judge=_judge,
)
