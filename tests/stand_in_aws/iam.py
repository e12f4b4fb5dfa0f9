"""Roles and what they may do."""

from typing import Any, Final

from stand_in_aws.clients import client
from stand_in_aws.kind import Kind, Props, found, tag_list, words


def _iam() -> Any:
    return client("iam")


def _create_role(props: Props) -> tuple[str, Props]:
    made = _iam().create_role(
        RoleName=props["name"], AssumeRolePolicyDocument=props["assumeRolePolicy"], Tags=tag_list(props)
    )["Role"]
    return props["name"], {"arn": made["Arn"], "uniqueId": made["RoleId"]}


def _update_role(made: str, old: Props, new: Props) -> None:
    _iam().update_assume_role_policy(RoleName=made, PolicyDocument=new["assumeRolePolicy"])
    _iam().untag_role(RoleName=made, TagKeys=list(old.get("tags") or {}))
    _iam().tag_role(RoleName=made, Tags=tag_list(new))


ROLE: Final = Kind(
    token="aws:iam/role:Role",
    takes=words("name assumeRolePolicy tags"),
    required=words("assumeRolePolicy"),
    replaces=words("name"),
    named="name",
    create=_create_role,
    read=lambda made, _: None if found(lambda: _iam().get_role(RoleName=made)) is None else {},
    update=_update_role,
    delete=lambda made, _: _iam().delete_role(RoleName=made),
)


def _attach(props: Props) -> tuple[str, Props]:
    _iam().attach_role_policy(RoleName=props["role"], PolicyArn=props["policyArn"])
    return f"{props['role']}/{props['policyArn']}", {}


def _read_attachment(_: str, state: Props) -> Props | None:
    listed = found(lambda: _iam().list_attached_role_policies(RoleName=state["role"]))
    attached = [each["PolicyArn"] for each in (listed or {}).get("AttachedPolicies", ())]
    return {} if state["policyArn"] in attached else None


ROLE_POLICY_ATTACHMENT: Final = Kind(
    token="aws:iam/rolePolicyAttachment:RolePolicyAttachment",
    takes=words("role policyArn"),
    required=words("role policyArn"),
    create=_attach,
    read=_read_attachment,
    delete=lambda _, state: _iam().detach_role_policy(RoleName=state["role"], PolicyArn=state["policyArn"]),
)


def _put(props: Props) -> tuple[str, Props]:
    _iam().put_role_policy(RoleName=props["role"], PolicyName=props["name"], PolicyDocument=props["policy"])
    return f"{props['role']}:{props['name']}", {}


def _read_policy(_: str, state: Props) -> Props | None:
    seen = found(lambda: _iam().get_role_policy(RoleName=state["role"], PolicyName=state["name"]))
    return None if seen is None else {}


ROLE_POLICY: Final = Kind(
    token="aws:iam/rolePolicy:RolePolicy",
    takes=words("name role policy"),
    required=words("role policy"),
    replaces=words("name role"),
    named="name",
    create=_put,
    read=_read_policy,
    update=lambda _, __, new: _put(new) and None,
    delete=lambda _, state: _iam().delete_role_policy(RoleName=state["role"], PolicyName=state["name"]),
)

KINDS: Final = (ROLE, ROLE_POLICY_ATTACHMENT, ROLE_POLICY)
