"""Kind: one type of resource, as calls of boto3."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from botocore.exceptions import ClientError

Props = dict[str, Any]
"""Properties in the words of Pulumi's provider: camelCase."""


@dataclass(frozen=True, kw_only=True)
class Kind:
    """How one type of resource is made, read, changed and removed."""

    token: str
    """For example aws:ec2/vpc:Vpc."""
    takes: frozenset[str]
    """Inputs that the calls use; any other is refused."""
    required: frozenset[str] = frozenset()
    """Inputs without which AWS refuses."""
    replaces: frozenset[str] = frozenset()
    """Inputs that AWS does not change in place; without `update` every input is one."""
    named: str = ""
    """The input that gets the resource's logical name and seven random digits where it is absent."""
    create: Callable[[Props], tuple[str, Props]]
    """Makes it of its inputs; returns its id and its outputs, without those that are its inputs."""
    read: Callable[[str, Props], Props | None]
    """Its outputs as they are now, by id and state; None when it is gone."""
    update: Callable[[str, Props, Props], None] | None = None
    """Changes it in place: id, the state before, the inputs after."""
    delete: Callable[[str, Props], object]
    """Removes it, by id and state."""

    def replaced_by(self, changed: set[str]) -> set[str]:
        """Which of the changed inputs need another resource."""
        return changed if self.update is None else changed & self.replaces


def words(text: str) -> frozenset[str]:
    """The words of a text, for the sets above."""
    return frozenset(text.split())


def pascal(value: Any) -> Any:
    """The value with the keys of its mappings in PascalCase, as most services of AWS spell them."""
    if isinstance(value, Mapping):
        return {key[0].upper() + key[1:]: pascal(item) for key, item in value.items()}
    return [pascal(item) for item in value] if isinstance(value, list) else value


def tag_list(props: Mapping[str, Any]) -> list[dict[str, str]]:
    """Tags as most services spell them."""
    return [{"Key": key, "Value": value} for key, value in (props.get("tags") or {}).items()]


def given(props: Mapping[str, Any], **fields: str) -> dict[str, Any]:
    """Parameters of a call by the name of the input that each comes from, without those that are absent."""
    return {parameter: props[name] for parameter, name in fields.items() if props.get(name) is not None}


def found(call: Callable[[], Any]) -> Any:
    """What the call returns; None when AWS says that there is no such thing."""
    try:
        return call()
    except ClientError as error:
        code = error.response["Error"]["Code"]
        if "NotFound" in code or "NoSuch" in code or "NonExist" in code or code in {"404", "ResourceNotFoundException"}:
            return None
        raise
