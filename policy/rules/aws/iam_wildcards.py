"""Policies of IAM list what is allowed."""

import json
from collections.abc import Iterator, Mapping
from typing import Any

from rules.rule import ObjectRule, Resource, Settings

_DOCUMENTS = {
    "aws:iam/policy:Policy": "policy",
    "aws:iam/rolePolicy:RolePolicy": "policy",
    "aws:iam/userPolicy:UserPolicy": "policy",
    "aws:iam/groupPolicy:GroupPolicy": "policy",
    "aws:iam/role:Role": "assumeRolePolicy",
}
_EVERYTHING = "arn:aws:iam::aws:policy/AdministratorAccess"


def _judge(resource: Resource, _: Settings) -> Iterator[str]:
    if resource.props.get("policyArn") == _EVERYTHING:
        yield "AdministratorAccess may do everything; attach a policy that lists what is needed"
    field = _DOCUMENTS.get(resource.type)
    for statement in _statements(resource.props.get(field)) if field else ():
        if statement.get("Effect") != "Allow":
            continue
        for action in _listed(statement.get("Action")):
            if action == "*" or action.endswith(":*"):
                yield f"the action {action!r} allows what nobody has read; list the actions that are needed"
        if "NotAction" in statement:
            yield "NotAction allows what nobody has read; list the actions that are needed in Action"
        principal = statement.get("Principal")
        if principal == "*" or (isinstance(principal, Mapping) and "*" in _listed(principal.get("AWS"))):
            yield "Principal '*' lets every account of AWS in; name the accounts or the service"


def _statements(document: Any) -> Iterator[Mapping[str, Any]]:
    """The statements of a policy that is known; one that is not JSON is refused by AWS itself."""
    try:
        parsed = json.loads(document) if isinstance(document, str) else document
    except json.JSONDecodeError:
        return
    if isinstance(parsed, Mapping):
        yield from (each for each in _listed(parsed.get("Statement")) if isinstance(each, Mapping))


def _listed(value: Any) -> list[Any]:
    return list(value) if isinstance(value, (list, tuple)) else [] if value is None else [value]


RULE = ObjectRule(
    name="aws-iam-wildcard",
    description="IAM policies list their actions, and roles who may take them.",
    package="aws",
    judge=_judge,
)
