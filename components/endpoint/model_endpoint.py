"""ModelEndpoint: the front door. One registered model behind one stable address.

It creates the endpoint's namespace and, for the version that `model_uri` names, the image, Deployment and Service;
and the ModelEndpoint object, which names that version. The control plane moves the traffic when the version answers,
and Pulumi deletes what served before only after its Deployment was ready. The object waits for nothing, so that its
status says why a version does not start. `spec.replicas` is not set: the autoscaler owns it.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from functools import partial
from typing import Annotated, Any, Final, NotRequired, TypedDict

import pulumi

from headrace.components.endpoint import model_source, sizing
from headrace.components.endpoint.endpoint_scale import EndpointScale, scale_faults, scale_grant, scale_object
from headrace.components.endpoint.model_image import ModelImage, ModelImageArgs
from headrace.components.endpoint.model_pod import ACCOUNT, grace_seconds, model_pod
from headrace.components.endpoint.model_source import ModelSource
from headrace.components.endpoint.runtime_choice import EndpointRuntime, choose, runtime_faults
from headrace.components.kubernetes import checks, manifests, network_policies
from headrace.components.kubernetes.object import KubernetesObject
from headrace.components.platform.management import pods_grant
from headrace.contract import names
from headrace.contract.codec import read
from headrace.contract.declaration import Bounds, NotEmpty
from headrace.contract.errors import HeadraceError
from headrace.contract.model_endpoint import ModelEndpointSpec, ServedVersion

_PLATFORM_ANNOTATION: Final = f"{names.API_GROUP}/platform"


class EndpointQuota(TypedDict):
    """The most that all pods of an endpoint may ask for together."""

    cpu: NotRequired[float]
    """Cores, as limits. Absent: not bounded."""
    memory_mib: NotRequired[int]
    """Memory in MiB. Absent: not bounded."""
    pods: NotRequired[int]
    """Number of pods. Absent: not bounded."""


class ModelEndpointArgs(TypedDict):
    """Inputs of ModelEndpoint."""

    platform: pulumi.Input[Mapping[str, Any]]
    """The `ref` of the ServingPlatform that serves it, from this program or a StackReference."""
    model_uri: str
    """Registered model to serve, for example models:/fraud/7."""
    tracking_uri: NotRequired[str]
    """MLflow tracking server that knows the model. Absent: MLFLOW_TRACKING_URI, as for MLflow itself."""
    allowed_subjects: NotRequired[list[str]]
    """Token subjects that may call. Absent or empty: every caller whose token the platform accepts."""
    timeout_seconds: NotRequired[float]
    """Longest time one request may take. Default 297, the limit of the reference platform."""
    cpu: NotRequired[float]
    """Cores that one pod may use. Default 1."""
    memory_mib: NotRequired[int]
    """Memory of one pod in MiB. Absent: derived from the size of the model."""
    start_seconds: NotRequired[int]
    """How long a pod may take to load the model and answer. Absent: derived from the size of the model."""
    runtime: NotRequired[EndpointRuntime]
    """What serves the model, and on which GPUs. Absent: chosen from the model's flavors, task and size."""
    scale: NotRequired[EndpointScale]
    """Bounds for the autoscaler, which the platform must run. Absent: 1 to 100 pods, as many as the load needs."""
    quota: NotRequired[EndpointQuota]
    """Bounds of the whole endpoint. Absent: none."""
    labels: NotRequired[dict[str, str]]
    """Put on every object beside our own labels, for example a team or cost centre."""


@dataclass(frozen=True, kw_only=True)
class _Quota:
    """EndpointQuota, checked."""

    cpu: Annotated[float, Bounds(minimum=0.05)] | None = None
    memory_mib: Annotated[int, Bounds(minimum=256)] | None = None
    pods: Annotated[int, Bounds(minimum=1)] | None = None


@dataclass(frozen=True, kw_only=True)
class _Spec:
    """The inputs, checked and with their defaults."""

    endpoint: ModelEndpointSpec
    """The inputs that the object has too; without versions."""
    platform: Any
    model_uri: NotEmpty
    tracking_uri: str | None = None
    cpu: Annotated[float, Bounds(minimum=0.05)] | None = None
    memory_mib: Annotated[int, Bounds(minimum=256)] | None = None
    start_seconds: Annotated[int, Bounds(minimum=1)] | None = None
    runtime: EndpointRuntime = field(default_factory=EndpointRuntime)
    scale: EndpointScale | None = None
    quota: _Quota = _Quota()
    labels: Mapping[str, Any] = field(default_factory=dict)

    @classmethod
    def checked(cls, name: str, args: Mapping[str, Any]) -> "_Spec":
        """Raises ArgsError with every fault of `args`."""
        spec, faults = _read(args)
        checks.require(f"ModelEndpoint '{name}'", checks.endpoint_name("name", name), faults)
        assert spec is not None  # what has no fault can be read
        return spec


class ModelEndpoint(pulumi.ComponentResource):
    """Serves one registered model behind one address; the resource's name is the endpoint's name."""

    url: pulumi.Output[str]
    """Address of the endpoint: POST {url}/invocations."""
    version: pulumi.Output[str]
    """Name of the version that serves, for example v7."""
    image: pulumi.Output[str]
    """Image of that version, pinned by digest."""
    runtime_kind: pulumi.Output[str]
    """What serves it: mlflow, vllm, triton or custom."""

    def __init__(
        self,
        name: str,
        args: ModelEndpointArgs,
        opts: pulumi.ResourceOptions | None = None,
        *,
        source: ModelSource | None = None,
    ) -> None:
        """`source` is what require_servable found for it, where the program has asked already."""
        spec = _Spec.checked(name, args)
        super().__init__("headrace:index:ModelEndpoint", name, dict(args), opts)
        platform = pulumi.Output.from_input(spec.platform)
        labels = {**manifests.standard_labels("model", spec.labels), names.ENDPOINT_LABEL: name}
        image = self._model_image(name, spec, platform, source)
        space, closed = self._closed_namespace(name, spec, labels, platform, image)
        after = pulumi.ResourceOptions(parent=self, depends_on=closed)
        inside = pulumi.ResourceOptions.merge(after, pulumi.ResourceOptions(deleted_with=space))
        allotment = sizing.allotment(
            image.choice.runtime,
            image.source.size_bytes,
            flavors=image.source.flavors,
            gpus=image.choice.gpus,
            cpu=spec.cpu,
            memory_mib=spec.memory_mib,
        )
        reasons = (*image.choice.reasons, allotment.memory_reason)
        namespace, version = names.endpoint_namespace(name), image.version_name
        its_labels = {**labels, names.VERSION_LABEL: version}
        ready = self._served_version(name, spec, its_labels, image, allotment, after=after, inside=inside)
        bounds = scale_object(version, namespace, labels=its_labels, scale=spec.scale, platform=platform)
        # Deleted by itself, so that the autoscaler lets go of the Deployment before that goes.
        scaled = pulumi.ResourceOptions.merge(after, pulumi.ResourceOptions(depends_on=ready))
        KubernetesObject(f"{name}-scale-binding", scale_grant(namespace, labels=labels), inside)
        KubernetesObject(f"{name}-pods-binding", pods_grant(namespace, labels=labels), inside)
        KubernetesObject(f"{name}-{version}-autoscaler", bounds, scaled)
        served = partial(
            ServedVersion, name=version, model_uri=spec.model_uri, runtime=image.choice.runtime, reasons=reasons
        )
        written = image.image.apply(lambda known: replace(spec.endpoint, versions=(served(image=known),)).to_json())
        endpoint = manifests.custom_object(names.MODEL_ENDPOINT_KIND, name, namespace, labels=labels, spec=written)
        # Deleted by itself, at once with the pods: they answer for seconds after being told to go, in which the routes
        # are gone.
        KubernetesObject(f"{name}-endpoint", endpoint, after)
        path = names.invocations_path(name).removesuffix("/invocations")
        self.url = pulumi.Output.concat(platform["url"], path)
        self.version = pulumi.Output.from_input(version)
        self.image = image.image
        self.runtime_kind = pulumi.Output.from_input(image.choice.runtime.value)
        pulumi.log.info(f"{image.choice.runtime}: {'; '.join(reasons)}", self)
        self.register_outputs(
            {"url": self.url, "version": self.version, "image": self.image, "runtime_kind": self.runtime_kind}
        )

    def _model_image(
        self, name: str, spec: _Spec, platform: pulumi.Output[Any], source: ModelSource | None
    ) -> ModelImage:
        args: ModelImageArgs = {
            "model_uri": spec.model_uri,
            "delivery": platform["image_delivery"],
            "base": platform["image_base"],
            "runtime": spec.runtime,
        }
        if spec.tracking_uri is not None:
            args["tracking_uri"] = spec.tracking_uri
        return ModelImage(f"{name}-image", args, pulumi.ResourceOptions(parent=self), source=source)

    def _closed_namespace(
        self, name: str, spec: _Spec, labels: manifests.Labels, platform: pulumi.Output[Any], image: ModelImage
    ) -> tuple[KubernetesObject, list[KubernetesObject]]:
        """The namespace, and what must be in it before the first pod, which a later policy would leave open."""
        namespace = names.endpoint_namespace(name)
        # The annotation carries the dependency on the platform's kinds.
        annotations = {_PLATFORM_ANNOTATION: platform["namespace"]}
        made = manifests.namespace(namespace, labels=labels, annotations=annotations)
        # Where pods are left, Kubernetes looks at once and again after each half of their grace.
        seconds = grace_seconds(spec.endpoint.timeout_seconds) * 3 // 2 + 60
        patience = pulumi.CustomTimeouts(delete=f"{seconds}s")
        # After the image: a model that cannot be built leaves nothing in the cluster.
        later = pulumi.ResourceOptions(parent=self, depends_on=[image], custom_timeouts=patience)
        space = KubernetesObject(f"{name}-namespace", made, later)
        # Deleted with the namespace and not before it: Kubernetes keeps the policies until the last pod is gone.
        inside = pulumi.ResourceOptions(parent=self, depends_on=[space], deleted_with=space)
        closed = [
            KubernetesObject(f"{name}-deny-all", network_policies.deny_all(namespace, labels=labels), inside),
            KubernetesObject(f"{name}-policy", network_policies.model_pods(namespace, labels=labels), inside),
            KubernetesObject(f"{name}-account", manifests.service_account(ACCOUNT, namespace, labels=labels), inside),
        ]
        if hard := _hard_limits(spec.quota):
            quota = manifests.resource_quota("endpoint", namespace, labels=labels, hard=hard)
            closed.append(KubernetesObject(f"{name}-quota", quota, inside))
        return space, closed

    def _served_version(
        self,
        name: str,
        spec: _Spec,
        labels: manifests.Labels,
        image: ModelImage,
        allotment: sizing.Allotment,
        *,
        after: pulumi.ResourceOptions,
        inside: pulumi.ResourceOptions,
    ) -> list[KubernetesObject]:
        """Deployment, Service and budget of the version; returns what the autoscaler must wait for.

        The Deployment is deleted by itself: current providers wait for its pods then, and a namespace without pods goes
        at once. One with pods would be looked at again only after half of the pods' grace.
        """
        namespace, version = names.endpoint_namespace(name), image.version_name
        selector = {names.ENDPOINT_LABEL: name, names.VERSION_LABEL: version}
        budget = manifests.disruption_budget(version, namespace, labels=labels, selector=selector)
        KubernetesObject(f"{name}-{version}-budget", budget, inside)
        ports = [manifests.service_port("http", names.FRONT_PORT, protocol="http")]
        service = manifests.service(version, namespace, labels=labels, selector=selector, ports=ports)
        choice, start_seconds = image.choice, spec.start_seconds
        if start_seconds is None:
            start_seconds = sizing.start_seconds(choice.runtime, image.source.size_bytes)
        pod = model_pod(
            endpoint=name,
            version=version,
            image=image.image,
            labels=labels,
            allotment=allotment,
            timeout_seconds=spec.endpoint.timeout_seconds,
            start_seconds=start_seconds,
            engine=choice.engine,
        )
        deployment = manifests.deployment(
            version,
            namespace,
            labels=labels,
            selector=selector,
            pod=pod,
            replicas=None,
            deadline_seconds=start_seconds + 30,  # scheduling and pulling come before the pod's own start
        )
        started, gone = start_seconds + 60, grace_seconds(spec.endpoint.timeout_seconds) + 60
        patience = pulumi.ResourceOptions(
            ignore_changes=["spec.replicas"],  # the autoscaler's
            custom_timeouts=pulumi.CustomTimeouts(create=f"{started}s", update=f"{started}s", delete=f"{gone}s"),
        )
        return [
            KubernetesObject(f"{name}-{version}-service", service, inside),
            KubernetesObject(f"{name}-{version}-deployment", deployment, pulumi.ResourceOptions.merge(after, patience)),
        ]


def require_servable(endpoints: Mapping[str, Mapping[str, Any]]) -> dict[str, ModelSource]:
    """The model of every endpoint, given as name and inputs (`platform` may be missing).

    Raises ArgsError with every fault of every endpoint. It asks the tracking servers, for several models at a time: a
    program that calls it first stops on a model that does not exist or cannot be served before anything is registered.
    """
    faults = {
        name: [*checks.endpoint_name("name", name), *_read({"platform": "given later", **args})[1]]
        for name, args in endpoints.items()
    }
    asked = {
        name: (args["model_uri"], args.get("tracking_uri", "")) for name, args in endpoints.items() if not faults[name]
    }
    found = model_source.resolve_all(asked.values())
    sources: dict[str, ModelSource] = {}
    for name, model in asked.items():
        try:
            source = found[model]
            if isinstance(source, HeadraceError):
                raise source
            choose(source.mlmodel, endpoints[name].get("runtime", {}))
            sources[name] = source
        except HeadraceError as error:
            faults[name].append(str(error))
    checks.require("Endpoints", [f"{name}: {fault}" for name, told in faults.items() for fault in told])
    return sources


def _read(args: Mapping[str, Any]) -> tuple[_Spec | None, list[str]]:
    """The inputs, None where they cannot be read, and all that is wrong with them."""
    given = {key: value for key, value in args.items() if key in ModelEndpointArgs.__annotations__}
    shared = {item.name: given.pop(item.name) for item in fields(ModelEndpointSpec) if item.name in given}
    endpoint, broken = read(ModelEndpointSpec, shared, known={"versions": ()})
    spec, others = read(_Spec, given, known={"endpoint": endpoint})
    faults = [*checks.known_keys(args, ModelEndpointArgs.__annotations__), *map(str, broken), *map(str, others)]
    faults += checks.labels("labels", args.get("labels", {}))
    faults += runtime_faults(args.get("runtime", {}))
    faults += scale_faults(args.get("scale", {}))
    return spec, faults


def _hard_limits(quota: _Quota) -> dict[str, str]:
    limits = {
        "limits.cpu": None if quota.cpu is None else f"{round(quota.cpu * 1000)}m",
        "limits.memory": None if quota.memory_mib is None else f"{quota.memory_mib}Mi",
        "pods": None if quota.pods is None else str(quota.pods),
    }
    return {name: most for name, most in limits.items() if most is not None}
