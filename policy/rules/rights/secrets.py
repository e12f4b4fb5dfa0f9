"""Secrets of the whole cluster are read by nobody."""

from collections.abc import Iterator

from rules.rights.roles import READS, grants
from rules.rule import ObjectRule, Resource, Settings


def _judge(resource: Resource, _: Settings) -> Iterator[str]:
    if resource.kind != "ClusterRole":
        return
    for grant in grants(resource):
        if "secrets" in grant.resources and grant.verbs & READS and not grant.names:
            yield "it reads every Secret of the cluster; use a Role in one namespace, or name them in resourceNames"


RULE = ObjectRule(
    name="kubernetes-role-secrets",
    description="ClusterRoles do not read Secrets that they do not name.",
    judge=_judge,
)
