"""Keys."""

from typing import Any, Final

from stand_in_aws.clients import client
from stand_in_aws.kind import Kind, Props, found, given, words


def _kms() -> Any:
    return client("kms")


def _tags(props: Props) -> list[dict[str, str]]:
    return [{"TagKey": key, "TagValue": value} for key, value in (props.get("tags") or {}).items()]


def _create(props: Props) -> tuple[str, Props]:
    made = _kms().create_key(**given(props, Description="description", Policy="policy"), Tags=_tags(props))
    key = made["KeyMetadata"]["KeyId"]
    if props.get("enableKeyRotation"):
        _kms().enable_key_rotation(KeyId=key)
    return key, {"keyId": key, "arn": made["KeyMetadata"]["Arn"]}


def _read(made: str, _: Props) -> Props | None:
    seen = found(lambda: _kms().describe_key(KeyId=made))
    return None if seen is None or seen["KeyMetadata"]["KeyState"] == "PendingDeletion" else {}


def _update(made: str, _: Props, new: Props) -> None:
    _kms().put_key_policy(KeyId=made, PolicyName="default", Policy=new["policy"])
    _kms().tag_resource(KeyId=made, Tags=_tags(new))


KEY: Final = Kind(
    token="aws:kms/key:Key",
    takes=words("description policy enableKeyRotation deletionWindowInDays tags"),
    create=_create,
    read=_read,
    update=_update,
    delete=lambda made, state: _kms().schedule_key_deletion(
        KeyId=made, PendingWindowInDays=int(state.get("deletionWindowInDays", 30))
    ),
)


def _create_alias(props: Props) -> tuple[str, Props]:
    _kms().create_alias(AliasName=props["name"], TargetKeyId=props["targetKeyId"])
    return props["name"], {}


ALIAS: Final = Kind(
    token="aws:kms/alias:Alias",
    takes=words("name targetKeyId"),
    required=words("targetKeyId"),
    create=_create_alias,
    read=lambda made, _: {} if made in {each["AliasName"] for each in _kms().list_aliases()["Aliases"]} else None,
    delete=lambda made, _: _kms().delete_alias(AliasName=made),
)

KINDS: Final = (KEY, ALIAS)
