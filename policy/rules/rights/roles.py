"""The rules of roles, one at a time."""

from collections.abc import Iterator
from dataclasses import dataclass

from rules.rule import Resource

ROLES = frozenset(("Role", "ClusterRole"))
READS = frozenset(("get", "list", "watch", "*"))


@dataclass(frozen=True, kw_only=True)
class Grant:
    """One rule of a role."""

    groups: frozenset[str]
    resources: frozenset[str]
    verbs: frozenset[str]
    names: frozenset[str]
    """Objects that the rule is about; empty: all."""


def grants(resource: Resource) -> Iterator[Grant]:
    """The rules of a role; nothing for other kinds."""
    if resource.kind in ROLES:
        for rule in resource.props.get("rules") or ():
            yield Grant(
                groups=frozenset(rule.get("apiGroups") or ()),
                resources=frozenset(rule.get("resources") or ()),
                verbs=frozenset(rule.get("verbs") or ()),
                names=frozenset(rule.get("resourceNames") or ()),
            )
