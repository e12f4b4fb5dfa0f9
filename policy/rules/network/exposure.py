"""The PopProxy is the one way in: another public Service goes round its authentication."""

from collections.abc import Iterator

from rules import labels
from rules.rule import ObjectRule, Resource, Setting, Settings

_PUBLIC = frozenset(("LoadBalancer", "NodePort"))


def _judge(resource: Resource, settings: Settings) -> Iterator[str]:
    if resource.kind != "Service":
        return
    spec, name = resource.spec, resource.metadata.get("name")
    if name in settings["public_services"]:
        return
    is_the_pop_proxy = resource.labels.get(labels.COMPONENT) == labels.POP_PROXY or (
        (spec.get("selector") or {}).get(labels.COMPONENT) == labels.POP_PROXY
    )
    if spec.get("type") in _PUBLIC and not is_the_pop_proxy:
        yield (
            f"type {spec['type']} opens it to clients who are not authenticated by the PopProxy; use ClusterIP, or "
            "name it in `public_services`"
        )
    if spec.get("externalIPs"):
        yield "externalIPs take over an address of the node; remove them"


RULE = ObjectRule(
    name="kubernetes-service-exposure",
    description="Only the PopProxy's Service is reached from outside the cluster.",
    own_settings=(
        Setting(
            name="public_services",
            meaning="Names of other Services that may be reached from outside.",
            default=(),
            type={"type": "array", "items": {"type": "string"}},
        ),
    ),
    judge=_judge,
)
