"""EndpointPlacement: which nodes a model's pods go to and before whom, as inputs and rules."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Annotated, Final, NotRequired, TypedDict

from headrace.components.kubernetes import checks
from headrace.components.kubernetes.checks import DNS_SUBDOMAIN
from headrace.components.kubernetes.manifests import Manifest
from headrace.contract.declaration import NotEmpty, Text
from headrace.images.architecture import Architecture

PriorityClass = Annotated[
    str, Text(pattern=rf"(?!system-){DNS_SUBDOMAIN.pattern}", meaning="the name of a PriorityClass, not a system's own")
]


_ARCHITECTURE_LABEL: Final = "kubernetes.io/arch"
"""Of every node, written by its kubelet."""


class TaintEffect(StrEnum):
    """What a taint does to pods that do not tolerate it."""

    NO_SCHEDULE = "NoSchedule"
    PREFER_NO_SCHEDULE = "PreferNoSchedule"
    NO_EXECUTE = "NoExecute"


class EndpointToleration(TypedDict):
    """A taint of nodes that the pods may go to nevertheless."""

    key: str
    """Key of the taint."""
    value: NotRequired[str]
    """Its value. Absent: any."""
    effect: NotRequired[str]
    """NoSchedule, PreferNoSchedule or NoExecute. Absent: any."""


@dataclass(frozen=True, kw_only=True)
class Toleration:
    """EndpointToleration, checked."""

    key: NotEmpty
    value: str | None = None
    effect: TaintEffect | None = None

    def manifest(self) -> Manifest:
        """An entry of a pod's `tolerations`."""
        matched = {"operator": "Exists"} if self.value is None else {"operator": "Equal", "value": self.value}
        return {"key": self.key, **matched, **({} if self.effect is None else {"effect": self.effect.value})}


def wanted_architectures(given: Sequence[str], node_selector: Mapping[str, object]) -> tuple[str, ...]:
    """Processors that the pods must run on: those given, else what the node selector asks for; empty for any."""
    selected = node_selector.get(_ARCHITECTURE_LABEL)
    return tuple(given) or tuple(name for name in Architecture if name == selected)


def affinity_to_architectures(architectures: Sequence[str] | None) -> Manifest:
    """A pod's `affinity` to nodes with the processors that its image is for; amd64 of one that an earlier release
    built, which does not say."""
    fits = {"key": _ARCHITECTURE_LABEL, "operator": "In", "values": [*(architectures or [Architecture.AMD64.value])]}
    terms = [{"matchExpressions": [fits]}]
    return {"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": terms}}}


def node_faults(args: Mapping[str, object]) -> Iterator[str]:
    """What is wrong with `node_selector` and `tolerations`, beyond the types of their fields."""
    if isinstance(selector := args.get("node_selector", {}), Mapping):
        yield from checks.kubernetes_labels("node_selector", selector)
    given = args.get("tolerations", ())
    for position, entry in enumerate(given if isinstance(given, list | tuple) else ()):
        key = entry.get("key") if isinstance(entry, Mapping) else None
        if isinstance(key, str) and key and not checks.is_label_name(key):
            yield f"tolerations[{position}].key = {key!r}, must be a taint's key, for example example.com/team"
