"""No role holds a right from which others can be made."""

from collections.abc import Iterator

from rules.rights.roles import grants
from rules.rule import ObjectRule, Resource, Settings

_VERBS = frozenset(("escalate", "bind", "impersonate"))
_RESOURCES = frozenset(
    (
        "pods/exec",
        "pods/attach",
        "pods/ephemeralcontainers",
        "nodes/proxy",
        "serviceaccounts/token",
        "certificatesigningrequests/approval",
    )
)
"""Writing to these runs a program in another's pod, reaches a kubelet, or makes credentials."""
_WRITES = frozenset(("create", "update", "patch", "get", "*"))
"""`get` too: a WebSocket's upgrade to exec and proxy is a GET."""


def _judge(resource: Resource, _: Settings) -> Iterator[str]:
    for grant in grants(resource):
        if verbs := sorted(grant.verbs & _VERBS):
            yield f"the verbs {', '.join(verbs)} make other rights; remove them"
        if grant.verbs & _WRITES and (resources := sorted(grant.resources & _RESOURCES)):
            yield f"{', '.join(resources)} lead to other accounts' rights; remove them"


RULE = ObjectRule(
    name="kubernetes-role-escalation",
    description="Roles hold no right from which others can be made.",
    judge=_judge,
)
