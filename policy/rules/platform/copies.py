"""Proxies and the control plane have copies, so that a lost node does not stop traffic."""

from collections.abc import Iterator

from rules import labels
from rules.rule import Level, ObjectRule, Resource, Setting, Settings

_NEED_COPIES = frozenset((labels.POP_PROXY, labels.LOAD_BALANCER, labels.ROUTING))


def _judge(resource: Resource, settings: Settings) -> Iterator[str]:
    component = resource.labels.get(labels.COMPONENT) or (
        ((resource.spec.get("selector") or {}).get("matchLabels") or {}).get(labels.COMPONENT)
    )
    if resource.kind != "Deployment" or component not in _NEED_COPIES:
        return
    replicas, fewest = resource.spec.get("replicas"), settings["fewest_copies"]
    copies = 1 if replicas is None else replicas
    if copies < fewest:
        yield f"{copies:g} copies, must be at least {fewest:g}; set the platform's input replicas"


RULE = ObjectRule(
    name="headrace-platform-copies",
    description="The proxies and the control plane have copies.",
    level=Level.ADVISORY,
    own_settings=(
        Setting(
            name="fewest_copies",
            meaning="Fewest copies of each proxy and of the control plane.",
            default=2,
            type={"type": "number", "minimum": 1},
        ),
    ),
    judge=_judge,
)
