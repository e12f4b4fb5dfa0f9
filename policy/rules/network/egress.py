"""Egress is named: a model that may open any connection can carry away what it is asked."""

from collections.abc import Iterator, Mapping
from typing import Any

from rules import labels
from rules.rule import ObjectRule, Resource, Setting, Settings

_EVERYWHERE = frozenset(("0.0.0.0/0", "::/0"))


def _judge(resource: Resource, settings: Settings) -> Iterator[str]:
    if resource.kind != "NetworkPolicy":
        return
    is_of_a_model = labels.ENDPOINT in resource.labels
    for rule in resource.spec.get("egress") or ():
        if not (rule or {}).get("ports"):
            if _leads_everywhere(rule or {}):
                yield "an egress rule leads to every address on every port; name the addresses in `to` and the `ports`"
        elif is_of_a_model and not settings["models_may_reach_everything"] and _leads_everywhere(rule):
            yield (
                "a model may reach every address on the ports of an egress rule; name the addresses that the model "
                "needs"
            )


def _leads_everywhere(rule: Mapping[str, Any]) -> bool:
    peers = rule.get("to") or ()
    return not peers or any(((peer or {}).get("ipBlock") or {}).get("cidr") in _EVERYWHERE for peer in peers)


RULE = ObjectRule(
    name="kubernetes-networkpolicy-egress",
    description="NetworkPolicies name the addresses and ports that pods may reach.",
    own_settings=(
        Setting(
            name="models_may_reach_everything",
            meaning="Whether an endpoint's egress may lead to every address, on ports that are named.",
            default=False,
            type={"type": "boolean"},
        ),
    ),
    judge=_judge,
)
