"""Buckets of the platform: models, as MLflow stores them, and tables of requests."""

from typing import Any, Final

import pulumi
from pulumi_aws import kms, s3

from headrace.components.cluster.eks.owner import Owner
from headrace.components.cluster.eks.roles import document

_OLD_VERSION_DAYS: Final = 30
"""How long what was overwritten or deleted can be had back."""


def bucket(owner: Owner, suffix: str, key: kms.Key, *, protected: bool) -> s3.Bucket:
    """A bucket that nobody outside the account can open, under a key of one's own, that forgets nothing at once."""
    made = s3.Bucket(
        f"{owner.name}-{suffix}",
        force_destroy=not protected,
        tags=owner.tagged(suffix),
        opts=owner.options(protected=protected),
    )
    closed = s3.BucketPublicAccessBlock(
        f"{owner.name}-{suffix}-closed",
        bucket=made.bucket,
        block_public_acls=True,
        block_public_policy=True,
        ignore_public_acls=True,
        restrict_public_buckets=True,
        opts=owner.options(),
    )
    s3.BucketServerSideEncryptionConfiguration(
        f"{owner.name}-{suffix}-encryption",
        bucket=made.bucket,
        rules=[
            {
                "apply_server_side_encryption_by_default": {"sse_algorithm": "aws:kms", "kms_master_key_id": key.arn},
                "bucket_key_enabled": True,  # else every object is a call of KMS, which is paid
            }
        ],
        opts=owner.options(),
    )
    s3.BucketVersioning(
        f"{owner.name}-{suffix}-versions",
        bucket=made.bucket,
        versioning_configuration={"status": "Enabled"},
        opts=owner.options(),
    )
    s3.BucketLifecycleConfiguration(
        f"{owner.name}-{suffix}-lifecycle",
        bucket=made.bucket,
        rules=[
            {
                "id": "forget",
                "status": "Enabled",
                "filter": {"prefix": ""},
                "noncurrent_version_expiration": {"noncurrent_days": _OLD_VERSION_DAYS},
                "abort_incomplete_multipart_upload": {"days_after_initiation": 7},
            }
        ],
        opts=owner.options(),
    )
    s3.BucketPolicy(
        f"{owner.name}-{suffix}-policy",
        bucket=made.bucket,
        policy=document([_nothing_in_the_clear(made)]),
        opts=owner.options(closed),  # AWS refuses two changes of a bucket's access at once
    )
    return made


def _nothing_in_the_clear(bucket: s3.Bucket) -> dict[str, Any]:
    return {
        "Sid": "NothingInTheClear",
        "Effect": "Deny",
        "Principal": "*",
        "Action": "s3:*",
        "Resource": [bucket.arn, pulumi.Output.concat(bucket.arn, "/*")],
        "Condition": {"Bool": {"aws:SecureTransport": "false"}},
    }
