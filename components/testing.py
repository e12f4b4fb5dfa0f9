"""Tests of programs: `record` runs one without an engine or a cluster, and returns what it registered as data.

    def test_the_endpoint_may_sleep() -> None:
        recording = record(program, config={"shop:host": "models.example"}, project="shop")
        assert recording.named("fraud").inputs["scale"] == {"min_replicas": 0}

Pulumi's own mocks show inputs only. A Recording has parents, dependencies, options and registered outputs too, so that
a test can hold all resources to one rule. docs/testing.md has a whole example.
"""

# mypy: disable-error-code="import-untyped, no-untyped-call, untyped-decorator"
# Pulumi's mocks and protobuf's helper carry no types.

import asyncio
import hashlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final
from unittest import mock

import pulumi
from google.protobuf.json_format import MessageToDict
from pulumi.runtime import mocks
from pulumi.runtime.settings import get_root_resource, set_root_resource

from headrace.components.endpoint import model_source
from headrace.contract import names
from headrace.contract.errors import PermanentError

__all__ = ["ANSWERS", "Recording", "Registered", "record"]

_DIGEST: Final = "sha256:" + "a" * 64
_DEPLOYER: Final = "arn:aws:iam::123456789012:role/deployer"
ANSWERS: Final[Mapping[str, Mapping[str, Any]]] = {
    "pulumi-python:dynamic/headrace:ImageBuild": {"image": f"registry.example/image@{_DIGEST}", "digest": _DIGEST},
    "pulumi-python:dynamic/headrace:Certificate": {
        "certificate": "server certificate",
        "private_key": "server key",
        "ca_certificate": "authority certificate",
        "ca_private_key": "authority key",
    },
    "pulumi-python:dynamic/headrace:Identities": {
        "authority": "authority certificate",
        "trusted": "authority certificate",
        "pairs": {
            program: {"certificate": f"{program} certificate", "private_key": f"{program} key"}
            for program in (names.ROUTING, names.POP_PROXY, names.LOAD_BALANCER)
        },
    },
    "kubernetes:discovery.k8s.io/v1:EndpointSlice": {
        "ports": [{"port": 16443}],
        "endpoints": [{"addresses": ["192.0.2.10"]}],
    },
    "kubernetes:core/v1:Service": {
        "spec": {"clusterIPs": ["10.96.0.1"]},
        "status": {"loadBalancer": {"ingress": [{"hostname": "lb.example"}]}},
    },
    "aws:index/getRegion:getRegion": {"region": "eu-west-1"},
    "aws:index/getCallerIdentity:getCallerIdentity": {"accountId": "123456789012", "arn": _DEPLOYER},
    "aws:iam/getSessionContext:getSessionContext": {"issuerArn": _DEPLOYER},
    "aws:index/getAvailabilityZones:getAvailabilityZones": {"names": ["eu-west-1a", "eu-west-1b", "eu-west-1c"]},
    "aws:ec2/vpc:Vpc": {"arn": "arn:aws:ec2:eu-west-1:123456789012:vpc/vpc-1"},
    "aws:eks/cluster:Cluster": {
        "arn": "arn:aws:eks:eu-west-1:123456789012:cluster/cluster",
        "endpoint": "https://eks.example",
        "certificateAuthority": {"data": "YXV0aG9yaXR5"},
    },
    "aws:eks/nodeGroup:NodeGroup": {"resources": [{"autoscalingGroups": [{"name": "nodes"}]}]},
    "aws:ec2/launchTemplate:LaunchTemplate": {"latestVersion": 1},
    "aws:lb/loadBalancer:LoadBalancer": {"dnsName": "lb.example", "zoneId": "Z2"},
    "aws:ecr/repository:Repository": {"repositoryUrl": "123456789012.dkr.ecr.eu-west-1.amazonaws.com/cluster/image"},
}
"""Outputs that Headrace's resources get by type, and answers to what it asks AWS: images, certificates, the API server,
a load balancer, an account with a cluster of EKS."""

_SIGNATURE = "4dabf18193072939515e22adb298388d"
"""Key that marks special values on Pulumi's wire; secrets carry it beside `value`."""


@dataclass(frozen=True, kw_only=True)
class Registered:
    """One resource as the program asked the engine for it."""

    urn: str
    type: str
    """For example `kubernetes:apps/v1:Deployment` or `headrace:index:ModelEndpoint`."""
    name: str
    """Logical name."""
    parent: str
    """URN of the parent; the stack's for a resource without one."""
    inputs: dict[str, Any]
    """Plain data, secrets in clear."""
    secrets: frozenset[str]
    """Dotted paths of the inputs that were secret."""
    depends_on: frozenset[str]
    """URNs that the resource depends on, by option or through its inputs."""
    provider: str
    """URN and id of the provider, joined by `::`; empty for the default provider."""
    request: Any
    """The RegisterResourceRequest message, which has the options that are not fields here."""


@dataclass
class Recording:
    """Everything that one run of a program registered, in the order of registration."""

    resources: dict[str, Registered] = field(default_factory=dict)
    """By URN."""
    outputs: dict[str, dict[str, Any]] = field(default_factory=dict)
    """Registered outputs by URN, secrets in clear."""
    read: list[str] = field(default_factory=list)
    """Ids of existing objects that the program read."""
    exports: dict[str, Any] = field(default_factory=dict)
    """The program's stack outputs."""
    returned: Any = None
    """The return value of the program."""

    def named(self, name: str) -> Registered:
        """The one resource with this logical name. Raises ValueError when there is none or more than one."""
        (found,) = [resource for resource in self.resources.values() if resource.name == name]
        return found

    def of_kind(self, kind: str) -> list[Registered]:
        """All resources whose type ends in `:kind`, for example `Deployment`."""
        return [resource for resource in self.resources.values() if resource.type.rsplit(":", 1)[-1] == kind]

    def ancestors(self, resource: Registered) -> Iterator[Registered]:
        """Parent, grandparent and so on, without the stack."""
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

    def call(self, args: mocks.MockCallArgs) -> tuple[dict[str, Any], list[tuple[str, str]]]:
        return dict(self._answers.get(args.token, {})), []

    def new_resource(self, args: mocks.MockResourceArgs) -> tuple[str, dict[str, Any]]:
        answers = self._answers.get(args.typ, {})
        return f"{args.name}-id", {**_of_aws(args), **args.inputs, **_name(args), **answers}


def _name(args: mocks.MockResourceArgs) -> dict[str, Any]:
    """The metadata of an object without a name, with the one that pulumi-kubernetes invents: any that is not taken."""
    metadata = args.inputs.get("metadata")
    if not args.typ.startswith("kubernetes:") or not isinstance(metadata, Mapping) or "name" in metadata:
        return {}
    return {"metadata": {**metadata, "name": f"{args.name}-{hashlib.sha256(args.name.encode()).hexdigest()[:8]}"}}


def _of_aws(args: mocks.MockResourceArgs) -> dict[str, Any]:
    """The ARN of a resource of AWS, and the name that pulumi-aws invents for one without."""
    package, kind, _ = args.typ.split(":", 2) if args.typ.count(":") > 1 else ("", "", "")
    if package != "aws":
        return {}
    name = f"{args.name}-{hashlib.sha256(args.name.encode()).hexdigest()[:7]}"
    arn = f"arn:aws:{kind.partition('/')[0]}:eu-west-1:123456789012:{name}"
    return {"arn": arn, "bucket" if kind == "s3/bucket" else "name": name}


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
    models: Mapping[str, Path] | None = None,
    project: str = "headrace",
    stack: str = "test",
    preview: bool = False,
) -> Recording:
    """Runs `program` and returns what it registered.

    `program` is a function that does what a `__main__.py` does, for example `lambda: runpy.run_path("__main__.py")`.
    `config` is the stack's configuration, by `<project>:<key>`. Each resource gets its inputs as outputs at once, and
    those that `answers` and ANSWERS have for its type; a function of a provider answers what they have for its token.
    `models` gives the folder of a saved model (with its MLmodel file) for each `model_uri`, and no tracking server is
    asked; without `models` the real one is. With `preview` the program sees a preview (`is_dry_run`).

    Raises whatever the program raises, for example ArgsError for inputs that break a rule.
    """
    recording = Recording()
    _keep_event_loop()
    set_root_resource(None)  # type: ignore[arg-type]  # a new stack, without the outputs of the program before
    monitor = _Monitor(_Answers({**ANSWERS, **(answers or {})}), recording)
    pulumi.runtime.set_mocks(monitor.mocks, project=project, stack=stack, preview=preview, monitor=monitor)
    pulumi.runtime.set_all_config(dict(config or {}))

    @pulumi.runtime.test
    def run() -> Any:
        recording.returned = program()
        root = get_root_resource()
        return pulumi.Output.all(**getattr(root, "outputs", {})).apply(recording.exports.update)

    with nullcontext() if models is None else _registry(models):
        run()
    return recording


def _registry(models: Mapping[str, Path]) -> AbstractContextManager[Any]:
    """Within it, a tracking server that holds these models and no other is asked."""
    resolve = model_source.resolve

    def resolved(model_uri: str, tracking_uri: str = "") -> model_source.ModelSource:
        if model_uri not in models:
            raise PermanentError(f"model_uri = {model_uri!r} does not exist; `models` has {', '.join(sorted(models))}")
        found = resolve(str(models[model_uri]), tracking_uri)
        version = model_uri.rpartition("/")[2]
        name = f"v{version}" if version.isdigit() else found.version_name
        return replace(found, uri=model_uri, version_name=name)

    return mock.patch.object(model_source, "resolve", resolved)


def _keep_event_loop() -> None:
    """Makes an event loop for Pulumi, which takes the thread's: a test that called `asyncio.run` before leaves none."""
    try:
        loop = asyncio.get_event_loop_policy().get_event_loop()
    except RuntimeError:
        loop = asyncio.new_event_loop()
        asyncio.set_event_loop(loop)
    loop.set_exception_handler(_tell_once)


def _tell_once(loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
    """Drops what `record` has raised already: a program's exception is in each of its outputs that nobody awaits."""
    if "never retrieved" not in context["message"]:
        loop.default_exception_handler(context)


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
