"""A NetworkPolicy that lets pods reach everything on every port is none."""

from collections.abc import Iterator, Mapping
from typing import Any

from rules.rule import ObjectRule, Resource, Settings

_EVERYWHERE = frozenset(("0.0.0.0/0", "::/0"))


def _judge(resource: Resource, _: Settings) -> Iterator[str]:
    if resource.kind != "NetworkPolicy":
        return
    for rule in resource.spec.get("egress") or ():
        if not (rule or {}).get("ports") and _leads_everywhere(rule or {}):
            yield "an egress rule leads to every address on every port; name the addresses in `to` or the `ports`"


def _leads_everywhere(rule: Mapping[str, Any]) -> bool:
    peers = rule.get("to") or ()
    return not peers or any(((peer or {}).get("ipBlock") or {}).get("cidr") in _EVERYWHERE for peer in peers)


RULE = ObjectRule(
    name="kubernetes-networkpolicy-egress",
    description="NetworkPolicies that lead everywhere name the ports.",
    judge=_judge,
)
