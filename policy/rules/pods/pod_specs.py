"""Where pods and containers are in the objects that make them."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from rules.rule import Resource

_TEMPLATES: Final[Mapping[str, tuple[str, ...]]] = {
    "Pod": (),
    "Deployment": ("spec", "template"),
    "ReplicaSet": ("spec", "template"),
    "StatefulSet": ("spec", "template"),
    "DaemonSet": ("spec", "template"),
    "Job": ("spec", "template"),
    "CronJob": ("spec", "jobTemplate", "spec", "template"),
}
"""Path of the pod's template, by kind; a Pod is its own."""
_KEEP_RUNNING: Final = frozenset(("Deployment", "ReplicaSet", "StatefulSet"))


@dataclass(frozen=True, kw_only=True)
class PodTemplate:
    """The pods that an object makes."""

    spec: Mapping[str, Any]
    labels: Mapping[str, Any]

    @property
    def containers(self) -> Iterator[Mapping[str, Any]]:
        """All containers, those that run before or beside the main ones included."""
        for field in ("initContainers", "containers", "ephemeralContainers"):
            yield from self.spec.get(field) or ()


def pods(resource: Resource) -> Iterator[PodTemplate]:
    """The template of the pods that `resource` makes; nothing for kinds that make none."""
    if resource.package == "kubernetes" and resource.kind in _TEMPLATES:
        found: Any = resource.props
        for key in _TEMPLATES[resource.kind]:
            found = (found or {}).get(key)
        found = found or {}
        yield PodTemplate(spec=found.get("spec") or {}, labels=(found.get("metadata") or {}).get("labels") or {})


def servers(resource: Resource) -> Iterator[PodTemplate]:
    """The template of pods that are kept running and may be behind a Service."""
    if resource.kind in _KEEP_RUNNING:
        yield from pods(resource)
