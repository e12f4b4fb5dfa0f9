"""A NetworkPolicy that lets everybody in on every port is none."""

from collections.abc import Iterator

from rules.rule import ObjectRule, Resource, Settings


def _judge(resource: Resource, _: Settings) -> Iterator[str]:
    if resource.kind != "NetworkPolicy":
        return
    for rule in resource.spec.get("ingress") or ():
        if not (rule or {}).get("from") and not (rule or {}).get("ports"):
            yield "an ingress rule lets everybody in on every port; name who may connect in `from`, or the `ports`"


RULE = ObjectRule(
    name="kubernetes-networkpolicy-ingress",
    description="NetworkPolicies that let everybody in name the ports.",
    judge=_judge,
)
