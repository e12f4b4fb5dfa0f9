"""Repositories of images: immutable, scanned, under the platform's key, and made when an image is first pushed."""

import json
from typing import Final

import pulumi
from pulumi_aws import ecr, kms

from headrace.components.cluster.eks.owner import Owner

PLATFORM_IMAGES: Final = ("control", "envoy", "prometheus")
"""Made beforehand, so that the first push needs no right to make repositories; those of models come as they are."""
_KEPT_UNTAGGED_DAYS: Final = 14
_LIFECYCLE: Final = json.dumps(
    {
        "rules": [
            {
                "rulePriority": 1,
                "description": "Layers of pushes that failed; every image of ours has a tag",
                "selection": {
                    "tagStatus": "untagged",
                    "countType": "sinceImagePushed",
                    "countUnit": "days",
                    "countNumber": _KEPT_UNTAGGED_DAYS,
                },
                "action": {"type": "expire"},
            }
        ]
    }
)
"""Tagged images stay: a Deployment that runs pins one, and a rollback wants it."""


def registry(owner: Owner, key: kms.Key, *, protected: bool) -> pulumi.Output[str]:
    """Makes the repositories; returns the host and path under which images are pushed."""
    made = [
        ecr.Repository(
            f"{owner.name}-{image}-images",
            name=f"{owner.name}/{image}",
            image_tag_mutability="IMMUTABLE",  # a tag is the digest's beginning here, so it never has to move
            image_scanning_configuration={"scan_on_push": True},
            encryption_configurations=[{"encryption_type": "KMS", "kms_key": key.arn}],
            force_delete=not protected,
            tags=owner.tagged(f"{image}-images"),
            opts=owner.options(protected=protected),
        )
        for image in PLATFORM_IMAGES
    ]
    for image, repository in zip(PLATFORM_IMAGES, made, strict=True):
        ecr.LifecyclePolicy(
            f"{owner.name}-{image}-images", repository=repository.name, policy=_LIFECYCLE, opts=owner.options()
        )
    ecr.RepositoryCreationTemplate(
        f"{owner.name}-images",
        prefix=owner.name,
        description="Images of models",
        applied_fors=["CREATE_ON_PUSH"],
        image_tag_mutability="IMMUTABLE",
        encryption_configurations=[{"encryption_type": "KMS", "kms_key": key.arn}],
        lifecycle_policy=_LIFECYCLE,
        resource_tags=dict(owner.tags),
        opts=owner.options(),
    )
    host: pulumi.Output[str] = made[0].repository_url.apply(lambda url: url.rpartition("/")[0])
    return host
