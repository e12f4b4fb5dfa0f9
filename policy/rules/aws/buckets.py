"""Buckets, and the resources that say something of them."""

from collections.abc import Iterator, Sequence

from rules.rule import Resource

_BUCKETS = frozenset(("aws:s3/bucket:Bucket", "aws:s3/bucketV2:BucketV2"))


def buckets(resources: Sequence[Resource]) -> Iterator[Resource]:
    """The buckets of a stack."""
    yield from (each for each in resources if each.type in _BUCKETS)


def about(bucket: Resource, resources: Sequence[Resource], *types: str) -> Iterator[Resource]:
    """Resources of `types` that depend on the bucket or name it."""
    for each in resources:
        if each.type in types and (
            (bucket.urn and bucket.urn in each.depends_on)
            or (bucket.props.get("bucket") is not None and each.props.get("bucket") == bucket.props["bucket"])
        ):
            yield each
