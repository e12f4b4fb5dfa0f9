"""Resources carry the tags by which cost and ownership are told."""

from collections.abc import Iterator

from rules.rule import Level, ObjectRule, Resource, Setting, Settings

_TAGGED = frozenset(
    (
        "aws:ec2/vpc:Vpc",
        "aws:ec2/subnet:Subnet",
        "aws:ec2/launchTemplate:LaunchTemplate",
        "aws:ecr/repository:Repository",
        "aws:eks/cluster:Cluster",
        "aws:eks/nodeGroup:NodeGroup",
        "aws:iam/role:Role",
        "aws:kms/key:Key",
        "aws:lb/loadBalancer:LoadBalancer",
        "aws:s3/bucket:Bucket",
        "aws:s3/bucketV2:BucketV2",
        "aws:sqs/queue:Queue",
    )
)
"""What costs money or holds data, of the types that a platform makes."""


def _judge(resource: Resource, settings: Settings) -> Iterator[str]:
    if resource.type in _TAGGED:
        given = {**(resource.props.get("tagsAll") or {}), **(resource.props.get("tags") or {})}
        if missing := [tag for tag in settings["required"] if not given.get(tag)]:
            yield f"nobody can tell whose it is; set the tags {', '.join(missing)}, best as defaultTags of the provider"


RULE = ObjectRule(
    name="aws-resource-tags",
    description="Resources carry the tags that the organisation requires.",
    package="aws",
    level=Level.ADVISORY,
    own_settings=(
        Setting(
            name="required",
            meaning="Tags that each resource must have. Empty: none.",
            default=(),
            type={"type": "array", "items": {"type": "string"}},
        ),
    ),
    judge=_judge,
)
