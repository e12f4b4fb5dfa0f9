"""An endpoint's pods have a ceiling that somebody has thought about."""

from collections.abc import Iterator

from rules.rule import ObjectRule, Resource, Setting, Settings

_DEFAULT_MOST = 100
"""The autoscaler's own, where the object says nothing (contract/apa.py)."""


def _judge(resource: Resource, settings: Settings) -> Iterator[str]:
    if resource.kind != "AutopilotPodAutoscaler":
        return
    most, allowed = resource.spec.get("maxReplicas"), settings["most_replicas"]
    asked = _DEFAULT_MOST if most is None else most
    if asked > allowed:
        yield (
            f"it may ask for {asked:g} pods and this stack allows {allowed:g}; set scale.max_replicas of the endpoint, "
            "or `most_replicas`"
        )


RULE = ObjectRule(
    name="headrace-endpoint-ceiling",
    description="Endpoints may not grow beyond what the stack allows.",
    own_settings=(
        Setting(
            name="most_replicas",
            meaning="Most pods that one version may have.",
            default=_DEFAULT_MOST,
            type={"type": "number", "minimum": 1},
        ),
    ),
    judge=_judge,
)
