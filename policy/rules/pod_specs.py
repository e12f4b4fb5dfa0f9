"""Where pods and containers are in the objects that make them."""

from collections.abc import Iterator, Mapping
from typing import Any, Final

from rules.rule import Resource

_TEMPLATES: Final[Mapping[str, tuple[str, ...]]] = {
    "Pod": ("spec",),
    "Deployment": ("spec", "template", "spec"),
    "ReplicaSet": ("spec", "template", "spec"),
    "StatefulSet": ("spec", "template", "spec"),
    "DaemonSet": ("spec", "template", "spec"),
    "Job": ("spec", "template", "spec"),
    "CronJob": ("spec", "jobTemplate", "spec", "template", "spec"),
}
"""Path of the pod's spec, by kind."""


def pods(resource: Resource) -> Iterator[Mapping[str, Any]]:
    """The spec of the pods that `resource` makes; nothing for kinds that make none."""
    if resource.kind in _TEMPLATES:
        found: Any = resource.props
        for key in _TEMPLATES[resource.kind]:
            found = (found or {}).get(key)
        yield found or {}


def containers(pod: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    """All containers, those that run before or beside the main ones included."""
    for field in ("initContainers", "containers", "ephemeralContainers"):
        yield from pod.get(field) or ()
