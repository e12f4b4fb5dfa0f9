"""Nobody is bound to the roles that may do everything."""

from collections.abc import Iterator

from rules.rule import ObjectRule, Resource, Settings

_BINDINGS = frozenset(("RoleBinding", "ClusterRoleBinding"))
_ROLES = frozenset(("cluster-admin", "admin"))
_EVERYBODY = frozenset(("system:anonymous", "system:unauthenticated", "system:authenticated", "system:masters"))


def _judge(resource: Resource, _: Settings) -> Iterator[str]:
    if resource.kind not in _BINDINGS:
        return
    role = (resource.props.get("roleRef") or {}).get("name")
    if role in _ROLES:
        yield f"the role {role} may do everything; bind a role that lists what is needed"
    for subject in resource.props.get("subjects") or ():
        if subject.get("name") in _EVERYBODY:
            yield f"the subject {subject['name']} stands for callers nobody knows; name a ServiceAccount or a group"


RULE = ObjectRule(
    name="kubernetes-binding-admin",
    description="Bindings give no account every right, and nobody rights who is not known.",
    judge=_judge,
)
