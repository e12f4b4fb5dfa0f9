"""Roles and bindings that give too much."""

from typing import Any

from judging import Case, kubernetes
from rules.rights import admin, escalation, secrets, wildcards


def _role(kind: str = "Role", **rule: Any) -> Any:
    spelled = {"apiGroups": ["apps"], "resources": ["deployments"], "verbs": ["get"], **rule}
    return kubernetes(f"rbac.authorization.k8s.io/v1:{kind}", rules=[spelled])


def _binding(role: str, subject: str = "autoscaler") -> Any:
    names = {"roleRef": {"kind": "ClusterRole", "name": role}, "subjects": [{"kind": "Group", "name": subject}]}
    return kubernetes("rbac.authorization.k8s.io/v1:ClusterRoleBinding", **names)


CASES = [
    Case(wildcards.RULE, [_role()]),
    Case(wildcards.RULE, [_role(verbs=["*"])], "verbs: ['*']"),
    Case(wildcards.RULE, [_role("ClusterRole", resources=["*"])], "resources: ['*']"),
    Case(wildcards.RULE, [_role(apiGroups=["*"])], "apiGroups: ['*']"),
    Case(admin.RULE, [_binding("headrace-scale")]),
    Case(admin.RULE, [_binding("cluster-admin")], "may do everything"),
    Case(admin.RULE, [_binding("view", "system:authenticated")], "system:authenticated stands for"),
    Case(escalation.RULE, [_role()]),
    Case(escalation.RULE, [_role(verbs=["impersonate"])], "impersonate make other rights"),
    Case(escalation.RULE, [_role(resources=["pods/exec"], verbs=["create"])], "pods/exec lead"),
    Case(escalation.RULE, [_role(resources=["nodes/proxy"], verbs=["get"])], "nodes/proxy lead"),
    Case(secrets.RULE, [_role("ClusterRole")]),
    Case(secrets.RULE, [_role("Role", apiGroups=[""], resources=["secrets"])]),
    Case(secrets.RULE, [_role("ClusterRole", apiGroups=[""], resources=["secrets"], resourceNames=["tls"])]),
    Case(secrets.RULE, [_role("ClusterRole", apiGroups=[""], resources=["secrets"])], "every Secret of the cluster"),
]
