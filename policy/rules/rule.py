"""The shape of a rule: what it looks at, what a stack may set about it, and what it may say."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final

Settings = Mapping[str, Any]
"""What a stack sets about a rule, by the setting's name; every setting of the rule is there."""


class Level(StrEnum):
    """What a violation does, in the words of Pulumi's configuration files."""

    ADVISORY = "advisory"
    """It is told, and the update goes on."""
    MANDATORY = "mandatory"
    """It stops the update."""


@dataclass(frozen=True, kw_only=True)
class Setting:
    """One thing that a stack may set about a rule."""

    name: str
    meaning: str
    default: Any
    type: Mapping[str, Any]
    """Its JSON schema."""

    @property
    def schema(self) -> dict[str, Any]:
        """The setting as the engine wants to know it."""
        default = list(self.default) if isinstance(self.default, tuple) else self.default
        return {**self.type, "default": default, "description": self.meaning}


EXEMPT_NAMESPACES: Final = Setting(
    name="exempt_namespaces",
    meaning="Namespaces whose objects this rule leaves alone.",
    default=(),
    type={"type": "array", "items": {"type": "string"}},
)
EXEMPT: Final = Setting(
    name="exempt",
    meaning="Logical names of resources that this rule leaves alone.",
    default=(),
    type={"type": "array", "items": {"type": "string"}},
)


@dataclass(frozen=True, kw_only=True)
class Resource:
    """One resource as the engine shows it."""

    type: str
    """For example kubernetes:apps/v1:Deployment."""
    props: Mapping[str, Any]
    """Its inputs, in the words of its package."""
    name: str = ""
    """Its logical name in the program."""
    urn: str = ""
    """How other resources depend on it."""
    is_protected: bool = False
    """Whether the program gave it the option `protect`."""
    depends_on: frozenset[str] = frozenset()
    """URNs of the resources that it depends on."""

    @property
    def package(self) -> str:
        """The first word of the type: kubernetes, aws, headrace."""
        return self.type.partition(":")[0]

    @property
    def kind(self) -> str:
        """The last word of the type: for objects of Kubernetes, their kind."""
        return self.type.rsplit(":", 1)[-1]

    @property
    def metadata(self) -> Mapping[str, Any]:
        """The object's metadata; empty when absent."""
        return self.props.get("metadata") or {}

    @property
    def namespace(self) -> str:
        """Where the object lies, of a Namespace its own name; empty for other objects of the cluster."""
        return str(self.metadata.get("name" if self.kind == "Namespace" else "namespace") or "")

    @property
    def labels(self) -> Mapping[str, Any]:
        """The object's labels; empty when absent."""
        return self.metadata.get("labels") or {}

    @property
    def spec(self) -> Mapping[str, Any]:
        """The object's spec; empty when absent."""
        return self.props.get("spec") or {}

    @property
    def title(self) -> str:
        """How a violation names the resource."""
        if self.package != "kubernetes":
            return f"{self.kind} {self.name or '(unnamed)'}"
        name, namespace = self.metadata.get("name", "(unnamed)"), self.metadata.get("namespace")
        return f"{self.kind} {namespace}/{name}" if namespace else f"{self.kind} {name}"


@dataclass(frozen=True, kw_only=True)
class _Rule:
    """What both kinds of rule have."""

    name: str
    """Package, what is judged, and what must hold: kubernetes-container-image-digest."""
    description: str
    package: str = "kubernetes"
    """Resources of other packages are not shown to the rule."""
    level: Level = Level.MANDATORY
    """What a violation does where the stack says nothing."""
    own_settings: tuple[Setting, ...] = ()
    """What a stack may set, beside what it may exempt."""

    @property
    def settings(self) -> tuple[Setting, ...]:
        """All that a stack may set about the rule."""
        return (*self.own_settings, EXEMPT, *((EXEMPT_NAMESPACES,) if self.package == "kubernetes" else ()))

    def _set(self, config: Mapping[str, Any]) -> Settings:
        given = {name: value for name, value in config.items() if value is not None}
        return {setting.name: given.get(setting.name, setting.default) for setting in self.settings}

    def _is_judged(self, resource: Resource, settings: Settings) -> bool:
        if resource.package != self.package or resource.name in settings[EXEMPT.name]:
            return False
        return not resource.namespace or resource.namespace not in settings.get(EXEMPT_NAMESPACES.name, ())


@dataclass(frozen=True, kw_only=True)
class ObjectRule(_Rule):
    """A rule that needs to see one resource only."""

    judge: Callable[[Resource, Settings], Iterator[str]]
    """What is wrong with the resource, without its name."""

    def violations(self, resource: Resource, config: Mapping[str, Any]) -> Iterator[str]:
        """Sentences on what `resource` breaks; none for resources of other packages and exempt ones."""
        settings = self._set(config)
        if self._is_judged(resource, settings):
            for fault in self.judge(resource, settings):
                yield f"{resource.title}: {fault}"


@dataclass(frozen=True, kw_only=True)
class StackRule(_Rule):
    """A rule about how the resources of a stack stand to each other."""

    judge: Callable[[Sequence[Resource], Settings], Iterator[str]]

    def violations(self, resources: Sequence[Resource], config: Mapping[str, Any]) -> Iterable[str]:
        """Sentences on what the stack breaks, exempt resources left out."""
        settings = self._set(config)
        return self.judge([each for each in resources if self._is_judged(each, settings)], settings)
