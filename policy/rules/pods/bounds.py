"""Containers say what they need and how much they may take, so that one endpoint's load stays its own."""

from collections.abc import Iterator

from rules.pods.pod_specs import pods
from rules.rule import ObjectRule, Resource, Settings

_REQUIRED = {"requests": ("cpu", "memory"), "limits": ("memory", "ephemeral-storage")}
"""No limit on CPU is asked for: a neighbour's share is safe by requests, and throttled proxies slow every endpoint."""


def _judge(resource: Resource, _: Settings) -> Iterator[str]:
    for pod in pods(resource):
        for container in pod.containers:
            resources = container.get("resources") or {}
            for field, quantities in _REQUIRED.items():
                missing = [quantity for quantity in quantities if not (resources.get(field) or {}).get(quantity)]
                if missing:
                    remedy = f"set resources.{field} for {' and '.join(missing)}"
                    yield f"container {container.get('name')} can starve its neighbours; {remedy}"


RULE = ObjectRule(
    name="kubernetes-container-bounds",
    description="Containers request CPU and memory and limit memory and storage.",
    judge=_judge,
)
