"""Buckets and what is said of them."""

from collections.abc import Callable
from typing import Any, Final

from stand_in_aws.clients import client, region
from stand_in_aws.kind import Kind, Props, found, pascal, tag_list, words


def _s3() -> Any:
    return client("s3")


def _create(props: Props) -> tuple[str, Props]:
    name = props["bucket"]
    _s3().create_bucket(Bucket=name, CreateBucketConfiguration={"LocationConstraint": region()})
    _tag(name, {}, props)
    return name, {"arn": f"arn:aws:s3:::{name}", "bucketRegionalDomainName": f"{name}.s3.{region()}.amazonaws.com"}


def _tag(made: str, _: Props, new: Props) -> None:
    if tags := tag_list(new):
        _s3().put_bucket_tagging(Bucket=made, Tagging={"TagSet": tags})


def _delete(made: str, state: Props) -> None:
    if state.get("forceDestroy"):
        listed = _s3().list_object_versions(Bucket=made)
        for each in (*listed.get("Versions", ()), *listed.get("DeleteMarkers", ())):
            _s3().delete_object(Bucket=made, Key=each["Key"], VersionId=each["VersionId"])
    _s3().delete_bucket(Bucket=made)


BUCKET: Final = Kind(
    token="aws:s3/bucket:Bucket",
    takes=words("bucket forceDestroy tags"),
    replaces=words("bucket"),
    named="bucket",
    create=_create,
    read=lambda made, _: None if found(lambda: _s3().head_bucket(Bucket=made)) is None else {},
    update=_tag,
    delete=_delete,
)


def _about(
    kind: str,
    takes: str,
    put: Callable[[Props], object],
    read: Callable[[str], object],
    delete: Callable[[str], object],
) -> Kind:
    """Something that is said of a bucket, and has its name as id."""

    def create(props: Props) -> tuple[str, Props]:
        put(props)
        return props["bucket"], {}

    return Kind(
        token=f"aws:s3/{kind[0].lower()}{kind[1:]}:{kind}",
        takes=words(takes) | {"bucket"},
        required=words(takes) | {"bucket"},
        replaces=words("bucket"),
        create=create,
        read=lambda made, _: None if found(lambda: read(made)) is None else {},
        update=lambda _, __, new: put(new) and None,
        delete=lambda made, _: delete(made),
    )


_SWITCHES: Final = "blockPublicAcls blockPublicPolicy ignorePublicAcls restrictPublicBuckets"
PUBLIC_ACCESS_BLOCK: Final = _about(
    "BucketPublicAccessBlock",
    _SWITCHES,
    lambda props: _s3().put_public_access_block(
        Bucket=props["bucket"],
        PublicAccessBlockConfiguration=pascal({switch: props[switch] for switch in _SWITCHES.split()}),
    ),
    lambda made: _s3().get_public_access_block(Bucket=made),
    lambda made: _s3().delete_public_access_block(Bucket=made),
)


def _encryption(props: Props) -> object:
    rules = [
        {
            "ApplyServerSideEncryptionByDefault": {
                "SSEAlgorithm": rule["applyServerSideEncryptionByDefault"]["sseAlgorithm"],
                "KMSMasterKeyID": rule["applyServerSideEncryptionByDefault"]["kmsMasterKeyId"],
            },
            "BucketKeyEnabled": rule["bucketKeyEnabled"],
        }
        for rule in props["rules"]
    ]
    return _s3().put_bucket_encryption(Bucket=props["bucket"], ServerSideEncryptionConfiguration={"Rules": rules})


ENCRYPTION: Final = _about(
    "BucketServerSideEncryptionConfiguration",
    "rules",
    _encryption,
    lambda made: _s3().get_bucket_encryption(Bucket=made),
    lambda made: _s3().delete_bucket_encryption(Bucket=made),
)
VERSIONING: Final = _about(
    "BucketVersioning",
    "versioningConfiguration",
    lambda props: _s3().put_bucket_versioning(
        Bucket=props["bucket"], VersioningConfiguration=pascal(props["versioningConfiguration"])
    ),
    lambda made: _s3().get_bucket_versioning(Bucket=made),
    lambda made: _s3().put_bucket_versioning(Bucket=made, VersioningConfiguration={"Status": "Suspended"}),
)


def _lifecycle(props: Props) -> object:
    rules = []
    for rule in props["rules"]:
        spelled = pascal({key: value for key, value in rule.items() if key != "id"})
        rules.append({"ID": rule["id"], **spelled})
    return _s3().put_bucket_lifecycle_configuration(Bucket=props["bucket"], LifecycleConfiguration={"Rules": rules})


LIFECYCLE: Final = _about(
    "BucketLifecycleConfiguration",
    "rules",
    _lifecycle,
    lambda made: _s3().get_bucket_lifecycle_configuration(Bucket=made),
    lambda made: _s3().delete_bucket_lifecycle(Bucket=made),
)
POLICY: Final = _about(
    "BucketPolicy",
    "policy",
    lambda props: _s3().put_bucket_policy(Bucket=props["bucket"], Policy=props["policy"]),
    lambda made: _s3().get_bucket_policy(Bucket=made),
    lambda made: _s3().delete_bucket_policy(Bucket=made),
)

KINDS: Final = (BUCKET, PUBLIC_ACCESS_BLOCK, ENCRYPTION, VERSIONING, LIFECYCLE, POLICY)
