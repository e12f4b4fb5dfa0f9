"""A recording Pulumi monitor: runs a program without an engine and keeps what it registered.

Pulumi's own mocks show inputs only; this keeps parents, options and registered outputs too, so that tests can hold
every component to the same rules.
"""

import asyncio
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import pulumi
from google.protobuf.json_format import MessageToDict
from pulumi.runtime import mocks
from pulumi.runtime.settings import get_root_resource

_SIGNATURE = "4dabf18193072939515e22adb298388d"
"""Key that marks special values on Pulumi's wire; secrets carry it beside `value`."""


@dataclass(frozen=True, kw_only=True)
class Registered:
    """One resource as the engine would have been asked for it."""

    urn: str
    type: str
    name: str
    parent: str
    """URN of the parent."""
    inputs: dict[str, Any]
    """Plain data, secrets in clear."""
    secrets: frozenset[str]
    """Dotted paths of the inputs that were secret."""
    depends_on: frozenset[str]
    """URNs, explicit and through inputs."""
    provider: str
    request: Any
    """The protobuf message, for the options not named here."""


@dataclass
class Recording:
    """Everything one run registered."""

    resources: dict[str, Registered] = field(default_factory=dict)
    """By URN."""
    outputs: dict[str, dict[str, Any]] = field(default_factory=dict)
    """Registered outputs by URN, secrets in clear."""
    read: list[str] = field(default_factory=list)
    """Ids of the existing objects that were looked up."""
    exports: dict[str, Any] = field(default_factory=dict)
    """What the program exported."""
    returned: Any = None
    """What the program returned."""

    def named(self, name: str) -> Registered:
        """The one resource with this logical name."""
        (found,) = [resource for resource in self.resources.values() if resource.name == name]
        return found

    def of_kind(self, kind: str) -> list[Registered]:
        """All resources whose type ends in `:kind`."""
        return [resource for resource in self.resources.values() if resource.type.rsplit(":", 1)[-1] == kind]

    def ancestors(self, resource: Registered) -> Iterator[Registered]:
        """Parent, grandparent and so on, the stack left out."""
        while resource.parent in self.resources:
            resource = self.resources[resource.parent]
            yield resource

    def children(self, resource: Registered) -> list[Registered]:
        """Direct children."""
        return [child for child in self.resources.values() if child.parent == resource.urn]

    def waits_for(self, later: str, earlier: str) -> bool:
        """Whether the resource named `later` depends on `earlier`, through any chain of dependencies and parents."""
        wanted, seen, todo = self.named(earlier).urn, set[str](), [self.named(later).urn]
        while todo:
            urn = todo.pop()
            if urn == wanted:
                return True
            if urn not in seen and urn in self.resources:
                seen.add(urn)
                todo += [*self.resources[urn].depends_on, self.resources[urn].parent]
        return False


class _Answers(mocks.Mocks):
    """Every resource exists at once and is what was asked for, plus `answers` by type."""

    def __init__(self, answers: Mapping[str, Mapping[str, Any]]) -> None:
        self._answers = answers

    def call(self, args: mocks.MockCallArgs) -> tuple[dict[str, Any], None]:
        return {}, None

    def new_resource(self, args: mocks.MockResourceArgs) -> tuple[str, dict[str, Any]]:
        return f"{args.name}-id", {**args.inputs, **self._answers.get(args.typ, {})}


class _Monitor(mocks.MockMonitor):
    def __init__(self, answers: mocks.Mocks, recording: Recording) -> None:
        super().__init__(answers)
        self._recording = recording

    def RegisterResource(self, request: Any) -> Any:  # the name is Pulumi's
        response = super().RegisterResource(request)
        if request.type != "pulumi:pulumi:Stack":
            secrets: set[str] = set()
            self._recording.resources[response.urn] = Registered(
                urn=response.urn,
                type=request.type,
                name=request.name,
                parent=request.parent,
                inputs=_plain(MessageToDict(request.object), "", secrets),
                secrets=frozenset(secrets),
                depends_on=frozenset(request.dependencies),
                provider=request.provider,
                request=request,
            )
        return response

    def ReadResource(self, request: Any) -> Any:
        self._recording.read.append(request.id)
        return super().ReadResource(request)

    def RegisterResourceOutputs(self, request: Any) -> Any:  # the name is Pulumi's
        self._recording.outputs[request.urn] = _plain(MessageToDict(request.outputs), "", set())
        return super().RegisterResourceOutputs(request)


def record(
    program: Callable[[], Any],
    *,
    config: Mapping[str, str] | None = None,
    answers: Mapping[str, Mapping[str, Any]] | None = None,
    stack: str = "test",
    preview: bool = False,
) -> Recording:
    """Runs `program` and returns what it registered. `answers` adds outputs to the resources of a type."""
    recording = Recording()
    _keep_event_loop()
    monitor = _Monitor(_Answers(answers or {}), recording)
    pulumi.runtime.set_mocks(monitor.mocks, project="headrace", stack=stack, preview=preview, monitor=monitor)
    pulumi.runtime.set_all_config(dict(config or {}))

    @pulumi.runtime.test
    def run() -> Any:
        recording.returned = program()
        root = get_root_resource()
        return pulumi.Output.all(**getattr(root, "outputs", {})).apply(recording.exports.update)

    run()
    return recording


def _keep_event_loop() -> None:
    """Pulumi takes the thread's event loop, and a test that called `asyncio.run` before leaves none."""
    try:
        asyncio.get_event_loop_policy().get_event_loop()
    except RuntimeError:
        asyncio.set_event_loop(asyncio.new_event_loop())


def _plain(value: Any, path: str, secrets: set[str]) -> Any:
    if isinstance(value, dict):
        if _SIGNATURE in value and "value" in value:
            secrets.add(path)
            return _plain(value["value"], path, secrets)
        return {key: _plain(item, f"{path}.{key}".lstrip("."), secrets) for key, item in value.items()}
    if isinstance(value, list):
        return [_plain(item, f"{path}[{index}]", secrets) for index, item in enumerate(value)]
    if isinstance(value, float) and value.is_integer():
        return int(value)
    return value
