"""The shape of a rule: what it looks at and what it may say."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

EXEMPT_NAMESPACES: Final = "exempt_namespaces"
"""Key of every rule's configuration: namespaces it leaves alone."""


@dataclass(frozen=True, kw_only=True)
class Resource:
    """One resource as the engine shows it."""

    type: str
    """For example kubernetes:apps/v1:Deployment."""
    props: Mapping[str, Any]
    """Its inputs, in Kubernetes' own words."""

    @property
    def kind(self) -> str:
        """The Kubernetes kind; empty for resources of other packages."""
        return self.type.rsplit(":", 1)[-1] if self.type.startswith("kubernetes:") else ""

    @property
    def metadata(self) -> Mapping[str, Any]:
        """The object's metadata; empty when absent."""
        return self.props.get("metadata") or {}

    @property
    def title(self) -> str:
        """How a violation names the object."""
        name, namespace = self.metadata.get("name", "(unnamed)"), self.metadata.get("namespace")
        return f"{self.kind} {namespace}/{name}" if namespace else f"{self.kind} {name}"


@dataclass(frozen=True, kw_only=True)
class ObjectRule:
    """A rule that needs to see one object only."""

    name: str
    description: str
    judge: Callable[[Resource], Iterator[str]]
    """What is wrong with the object, without its name."""

    def violations(self, resource: Resource, config: Mapping[str, Any]) -> Iterator[str]:
        """Sentences on what `resource` breaks; none for objects of other kinds and exempt namespaces."""
        if resource.kind and resource.metadata.get("namespace") not in _exempt(config):
            for fault in self.judge(resource):
                yield f"{resource.title}: {fault}"


@dataclass(frozen=True, kw_only=True)
class StackRule:
    """A rule about how the objects of a stack stand to each other."""

    name: str
    description: str
    judge: Callable[[Sequence[Resource]], Iterator[str]]

    def violations(self, resources: Sequence[Resource], config: Mapping[str, Any]) -> Iterable[str]:
        """Sentences on what the stack breaks, objects in exempt namespaces left out."""
        return self.judge([r for r in resources if r.kind and r.metadata.get("namespace") not in _exempt(config)])


def _exempt(config: Mapping[str, Any]) -> Sequence[str]:
    return config.get(EXEMPT_NAMESPACES) or ()
