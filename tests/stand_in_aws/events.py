"""Rules of EventBridge, and groups of logs."""

from typing import Any, Final

from stand_in_aws.clients import client, region
from stand_in_aws.kind import Kind, Props, found, given, tag_list, words

_TARGET: Final = "pulumi"


def _events() -> Any:
    return client("events")


def _logs() -> Any:
    return client("logs")


def _put_rule(props: Props) -> tuple[str, Props]:
    parameters = given(props, Description="description", EventPattern="eventPattern")
    made = _events().put_rule(Name=props["name"], **parameters, Tags=tag_list(props))
    return props["name"], {"arn": made["RuleArn"]}


RULE: Final = Kind(
    token="aws:cloudwatch/eventRule:EventRule",
    takes=words("name description eventPattern tags"),
    replaces=words("name"),
    named="name",
    create=_put_rule,
    read=lambda made, _: None if found(lambda: _events().describe_rule(Name=made)) is None else {},
    update=lambda _, __, new: _put_rule(new) and None,
    delete=lambda made, _: _events().delete_rule(Name=made),
)


def _put_target(props: Props) -> tuple[str, Props]:
    _events().put_targets(Rule=props["rule"], Targets=[{"Id": _TARGET, "Arn": props["arn"]}])
    return f"{props['rule']}-{_TARGET}", {"targetId": _TARGET}


def _read_target(_: str, state: Props) -> Props | None:
    listed = found(lambda: _events().list_targets_by_rule(Rule=state["rule"]))
    return {} if listed and listed["Targets"] else None


TARGET: Final = Kind(
    token="aws:cloudwatch/eventTarget:EventTarget",
    takes=words("rule arn"),
    required=words("rule arn"),
    create=_put_target,
    read=_read_target,
    delete=lambda _, state: _events().remove_targets(Rule=state["rule"], Ids=[_TARGET]),
)


def _create_group(props: Props) -> tuple[str, Props]:
    key = given(props, kmsKeyId="kmsKeyId")
    _logs().create_log_group(logGroupName=props["name"], **key, tags=props.get("tags") or {})
    _retain(props["name"], {}, props)
    return props["name"], {"arn": f"arn:aws:logs:{region()}:123456789012:log-group:{props['name']}"}


def _retain(made: str, _: Props, new: Props) -> None:
    if "retentionInDays" in new:
        _logs().put_retention_policy(logGroupName=made, retentionInDays=new["retentionInDays"])


def _read_group(made: str, _: Props) -> Props | None:
    listed = _logs().describe_log_groups(logGroupNamePrefix=made)["logGroups"]
    return {} if made in {each["logGroupName"] for each in listed} else None


LOG_GROUP: Final = Kind(
    token="aws:cloudwatch/logGroup:LogGroup",
    takes=words("name retentionInDays kmsKeyId tags"),
    replaces=words("name kmsKeyId"),  # AWS changes the key in place, which moto lacks
    named="name",
    create=_create_group,
    read=_read_group,
    update=_retain,
    delete=lambda made, _: _logs().delete_log_group(logGroupName=made),
)

KINDS: Final = (RULE, TARGET, LOG_GROUP)
