"""What must hold for resources of AWS."""

from rules.aws import (
    buckets_closed,
    buckets_encrypted,
    disks_encrypted,
    eks_access,
    eks_endpoint,
    eks_logs,
    eks_secrets,
    iam_wildcards,
    instance_metadata,
    keys_rotate,
    listeners,
    repositories,
    security_groups,
    tags,
)

RULES = (
    eks_endpoint.RULE,
    eks_secrets.RULE,
    eks_logs.RULE,
    eks_access.RULE,
    buckets_closed.RULE,
    buckets_encrypted.RULE,
    disks_encrypted.RULE,
    keys_rotate.RULE,
    repositories.RULE,
    iam_wildcards.RULE,
    security_groups.RULE,
    listeners.RULE,
    instance_metadata.RULE,
    tags.RULE,
)
