"""Inputs of ModelEndpoint: as Pulumi reads them, as they are declared, and all that can be wrong with them."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, fields, replace
from typing import Annotated, Any, Final, NotRequired, TypedDict

import pulumi

from headrace.components.endpoint.endpoint_egress import EgressRule, EndpointEgress, egress_faults
from headrace.components.endpoint.endpoint_environment import environment_faults
from headrace.components.endpoint.endpoint_identity import (
    EndpointServiceAccount,
    ServiceAccount,
    service_account_faults,
)
from headrace.components.endpoint.endpoint_packages import EndpointPackages, Packages
from headrace.components.endpoint.endpoint_placement import EndpointToleration, PriorityClass, Toleration, node_faults
from headrace.components.endpoint.endpoint_recording import EndpointInferenceTable, table_faults
from headrace.components.endpoint.endpoint_rollout import EndpointRollout, rollout_faults
from headrace.components.endpoint.endpoint_scale import EndpointScale, scale_faults
from headrace.components.endpoint.endpoint_versions import EndpointVersion, VersionInputs, version_faults
from headrace.components.endpoint.endpoint_volumes import EndpointVolume, VolumeSource, volume_faults
from headrace.components.endpoint.endpoint_weights import EndpointWeights, Weights, weights_faults
from headrace.components.endpoint.runtime_choice import EndpointRuntime, runtime_faults
from headrace.components.kubernetes import checks
from headrace.contract.codec import read
from headrace.contract.declaration import Bounds, Items, NotEmpty
from headrace.contract.model_endpoint import ModelEndpointSpec
from headrace.images.architecture import Architecture

_MAY_BE_OUTPUTS: Final = frozenset(("platform", "environment", "evidence", "service_account"))


class EndpointQuota(TypedDict):
    """The most that all pods of an endpoint may ask for together."""

    cpu: NotRequired[float]
    """Cores, as limits. Absent: not bounded."""
    memory_mib: NotRequired[int]
    """Memory in MiB. Absent: not bounded."""
    pods: NotRequired[int]
    """Number of pods. Absent: not bounded."""


class EndpointLimits(TypedDict):
    """How many requests a minute are let in; more are refused with 429 and when to come again."""

    caller_requests_per_minute: NotRequired[int]
    """Requests of one caller, which is one token subject. Absent: not bounded."""
    requests_per_minute: NotRequired[int]
    """Requests of all callers together. Absent: not bounded."""


class ModelEndpointArgs(TypedDict):
    """Inputs of ModelEndpoint."""

    platform: pulumi.Input[Mapping[str, Any]]
    """The `ref` of the ServingPlatform that serves it, from this program or a StackReference."""
    model_uri: NotRequired[str]
    """Registered model to serve, for example models:/fraud/7. Absent: versions say what serves."""
    versions: NotRequired[list[EndpointVersion]]
    """Several versions and their shares of the requests. Absent: the one that model_uri names."""
    tracking_uri: NotRequired[str]
    """MLflow tracking server that knows the model. Absent: MLFLOW_TRACKING_URI, as for MLflow itself."""
    evidence: NotRequired[pulumi.Input[str]]
    """Signed evidence of the model from the stack before, its output `evidence`: the image that served there serves
    here, and none is built. Absent: an image is built where there is none."""
    allowed_subjects: NotRequired[list[str]]
    """Token subjects that may call. Absent or empty, and no groups either: every caller whose token the platform
    accepts."""
    allowed_groups: NotRequired[list[str]]
    """Groups whose members may call, each with its issuer's prefix, beside the subjects. Absent or empty: none."""
    timeout_seconds: NotRequired[float]
    """Longest time one request may take. Default 297, the limit of the reference platform."""
    rollout: NotRequired[EndpointRollout]
    """How another version takes over, where there is one version. Absent: all at once, as soon as it has a ready
    pod."""
    limits: NotRequired[EndpointLimits]
    """How many requests a minute are let in. Absent: as many as come."""
    stopped: NotRequired[bool]
    """Whether the endpoint has no pods and refuses every request with 503. Absent: it serves."""
    inference_table: NotRequired[EndpointInferenceTable]
    """Delta table with a row for each request. Absent: nothing is recorded."""
    cpu: NotRequired[float]
    """Cores that one pod may use. Default 1."""
    memory_mib: NotRequired[int]
    """Memory of one pod in MiB. Absent: derived from the size of the model."""
    start_seconds: NotRequired[int]
    """How long a pod may take to load the model and answer. Absent: derived from the size of the model."""
    packages: NotRequired[EndpointPackages]
    """Debian packages that the model needs, or that its own packages are compiled with. Absent: none beside those of
    the platform's base."""
    runtime: NotRequired[EndpointRuntime]
    """What serves the model, and on which GPUs. Absent: chosen from the model's flavors, task and size."""
    scale: NotRequired[EndpointScale]
    """Bounds for the autoscaler, which the platform must run. Absent: 1 to 100 pods, as many as the load needs."""
    quota: NotRequired[EndpointQuota]
    """Bounds of the whole endpoint. Absent: none."""
    environment: NotRequired[dict[str, pulumi.Input[Any]]]
    """Variables of the model's pods. A value is a text; a Pulumi secret; {secret, key} of a Kubernetes Secret in the
    endpoint's namespace; or {store, path, property, store_kind} of an External Secrets store. Absent: none."""
    egress: NotRequired[list[EndpointEgress]]
    """What the model may open connections to, and then the cluster's DNS too. Absent or empty: nothing."""
    service_account: NotRequired[EndpointServiceAccount]
    """Who the pods are to a cloud. Absent: nobody."""
    volumes: NotRequired[dict[str, EndpointVolume]]
    """Files that the pods may read, by the volume's name. Absent: those of the image."""
    weights: NotRequired[EndpointWeights]
    """How a model above 2 GiB gets to its pods. Absent: they copy it from the tracking server where they reach it."""
    architectures: NotRequired[list[str]]
    """Processors that the pods must be able to run on: amd64, arm64 or both. Absent: those of the cluster's nodes for
    which the model's packages can be had."""
    node_selector: NotRequired[dict[str, str]]
    """Labels of the nodes that the pods go to. Absent: any node."""
    tolerations: NotRequired[list[EndpointToleration]]
    """Taints of nodes that the pods may go to nevertheless; that of GPUs is among them where they get any."""
    priority_class: NotRequired[str]
    """PriorityClass of the pods. Absent: the cluster's default."""
    labels: NotRequired[dict[str, str]]
    """Put on every object beside our own labels, for example a team or cost centre."""


@dataclass(frozen=True, kw_only=True)
class CheckedQuota:
    """EndpointQuota, checked."""

    cpu: Annotated[float, Bounds(minimum=0.05)] | None = None
    memory_mib: Annotated[int, Bounds(minimum=256)] | None = None
    pods: Annotated[int, Bounds(minimum=1)] | None = None


@dataclass(frozen=True, kw_only=True)
class CheckedInputs:
    """The inputs, checked and with their defaults."""

    endpoint: ModelEndpointSpec
    """The inputs that the object has too; without versions."""
    platform: Any
    model_uri: NotEmpty | None = None
    versions: Annotated[tuple[VersionInputs, ...], Items(maximum=15)] = ()
    tracking_uri: str | None = None
    evidence: Any = None  # read where it is known
    cpu: Annotated[float, Bounds(minimum=0.05)] | None = None
    memory_mib: Annotated[int, Bounds(minimum=256)] | None = None
    start_seconds: Annotated[int, Bounds(minimum=1)] | None = None
    packages: Packages = field(default_factory=Packages)
    runtime: EndpointRuntime = field(default_factory=EndpointRuntime)
    scale: EndpointScale | None = None
    quota: CheckedQuota = CheckedQuota()
    environment: Any = field(default_factory=dict)  # read by its own rules, which repeat no value
    egress: tuple[EgressRule, ...] = ()
    service_account: ServiceAccount = field(default_factory=ServiceAccount)
    volumes: Mapping[str, VolumeSource] = field(default_factory=dict)
    weights: Weights = field(default_factory=Weights)
    architectures: tuple[Architecture, ...] = ()
    node_selector: Mapping[str, Any] = field(default_factory=dict)
    tolerations: tuple[Toleration, ...] = ()
    priority_class: PriorityClass | None = None
    labels: Mapping[str, Any] = field(default_factory=dict)

    @property
    def asked(self) -> tuple[VersionInputs, ...]:
        """All that are to serve, with what the endpoint's inputs say of those that say nothing."""
        given = self.versions
        if self.model_uri is not None:
            given = (VersionInputs(model_uri=self.model_uri, weight=100),)
        return tuple(
            replace(
                version,
                runtime=version.runtime if version.runtime else self.runtime,
                scale=version.scale if version.scale is not None else self.scale,
                cpu=version.cpu if version.cpu is not None else self.cpu,
                memory_mib=version.memory_mib if version.memory_mib is not None else self.memory_mib,
            )
            for version in given
        )

    @classmethod
    def checked(cls, name: str, args: Mapping[str, Any]) -> "CheckedInputs":
        """Raises ArgsError with every fault of `args`."""
        spec, faults = read_inputs(args)
        checks.require(f"ModelEndpoint '{name}'", checks.endpoint_name("name", name), faults)
        assert spec is not None  # what has no fault can be read
        return spec


def read_inputs(args: Mapping[str, Any]) -> tuple[CheckedInputs | None, list[str]]:
    """The inputs, None where they cannot be read, and all that is wrong with them."""
    later = [fault for key, value in args.items() if key not in _MAY_BE_OUTPUTS for fault in _outputs(key, value)]
    if later:  # what else is wrong is told when these are not
        return None, later
    given = {key: value for key, value in args.items() if key in ModelEndpointArgs.__annotations__}
    own = {item.name for item in fields(ModelEndpointSpec)} - {"versions"}
    shared = {name: given.pop(name) for name in own & given.keys()}
    endpoint, broken = read(ModelEndpointSpec, shared, known={"versions": ()})
    spec, others = read(CheckedInputs, given, known={"endpoint": endpoint})
    faults = [*checks.known_keys(args, ModelEndpointArgs.__annotations__), *map(str, broken), *map(str, others)]
    faults += version_faults(args)
    faults += checks.labels("labels", args.get("labels", {}))
    faults += table_faults(args.get("inference_table"))
    faults += runtime_faults(args.get("runtime", {}))
    faults += scale_faults(args.get("scale", {}))
    faults += rollout_faults(args.get("rollout", {}))
    faults += environment_faults(args.get("environment", {}))
    faults += egress_faults(args.get("egress", []))
    faults += service_account_faults(args.get("service_account", {}))
    faults += volume_faults(args.get("volumes", {}))
    faults += weights_faults(args.get("weights", {}))
    faults += node_faults(args)
    return spec, faults


def _outputs(place: str, value: object) -> Iterator[str]:
    """Outputs, in an input that is checked before anything is made."""
    if isinstance(value, pulumi.Output):
        yield f"{place} is an output, must be known before anything is made; write its value or read it from settings"
    elif isinstance(value, Mapping):
        for key, item in value.items():
            if (place, key) == ("weights", "environment"):
                continue
            yield from _outputs(f"{place}.{key}", item)
    elif isinstance(value, list | tuple):
        for position, item in enumerate(value):
            yield from _outputs(f"{place}[{position}]", item)
