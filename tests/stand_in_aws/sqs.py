"""Queues."""

from typing import Any, Final

from stand_in_aws.clients import client
from stand_in_aws.kind import Kind, Props, found, words


def _sqs() -> Any:
    return client("sqs")


def _attributes(props: Props) -> dict[str, str]:
    spelled = {"messageRetentionSeconds": "MessageRetentionPeriod", "sqsManagedSseEnabled": "SqsManagedSseEnabled"}
    return {to: str(props[name]).lower() for name, to in spelled.items() if name in props}


def _create(props: Props) -> tuple[str, Props]:
    url = _sqs().create_queue(QueueName=props["name"], Attributes=_attributes(props), tags=props.get("tags") or {})[
        "QueueUrl"
    ]
    arn = _sqs().get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    return url, {"url": url, "arn": arn}


def _read(made: str, _: Props) -> Props | None:
    seen = found(lambda: _sqs().get_queue_attributes(QueueUrl=made, AttributeNames=["All"]))
    return None if seen is None else {}


def _update(made: str, _: Props, new: Props) -> None:
    _sqs().set_queue_attributes(QueueUrl=made, Attributes=_attributes(new))
    _sqs().tag_queue(QueueUrl=made, Tags=new.get("tags") or {})


QUEUE: Final = Kind(
    token="aws:sqs/queue:Queue",
    takes=words("name messageRetentionSeconds sqsManagedSseEnabled tags"),
    replaces=words("name"),
    named="name",
    create=_create,
    read=_read,
    update=_update,
    delete=lambda made, _: _sqs().delete_queue(QueueUrl=made),
)


def _set_policy(queue: str, policy: str) -> None:
    _sqs().set_queue_attributes(QueueUrl=queue, Attributes={"Policy": policy})


def _create_policy(props: Props) -> tuple[str, Props]:
    _set_policy(props["queueUrl"], props["policy"])
    return props["queueUrl"], {}


QUEUE_POLICY: Final = Kind(
    token="aws:sqs/queuePolicy:QueuePolicy",
    takes=words("queueUrl policy"),
    required=words("queueUrl policy"),
    replaces=words("queueUrl"),
    create=_create_policy,
    read=lambda made, _: _read(made, {}),
    update=lambda made, _, new: _set_policy(made, new["policy"]),
    delete=lambda made, _: _set_policy(made, ""),
)

KINDS: Final = (QUEUE, QUEUE_POLICY)
