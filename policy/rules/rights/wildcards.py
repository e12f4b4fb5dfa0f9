"""Rights are spelled out: `*` also grants what the next release of Kubernetes adds."""

from collections.abc import Iterator

from rules.rights.roles import grants
from rules.rule import ObjectRule, Resource, Settings


def _judge(resource: Resource, _: Settings) -> Iterator[str]:
    for grant in grants(resource):
        for field, values in (("verbs", grant.verbs), ("resources", grant.resources), ("apiGroups", grant.groups)):
            if "*" in values:
                yield f"{field}: ['*'] grants what nobody has read; list what is needed"


RULE = ObjectRule(
    name="kubernetes-role-wildcard",
    description="Roles list their verbs, resources and API groups.",
    judge=_judge,
)
