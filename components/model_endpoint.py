"""ModelEndpoint: the front door. One registered model behind one stable address.

It creates the endpoint's namespace and, for the version that `model_uri` names, the image, Deployment and Service;
and the ModelEndpoint object, which names that version. The control plane moves the traffic when the version answers,
and Pulumi deletes what served before only after its Deployment was ready. The object waits for nothing, so that its
status says why a version does not start. `spec.replicas` is not set: the autoscaler owns it.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, NotRequired, Self, TypedDict

import pulumi

from headrace.components import checks, flows, manifests, model_source, pods, sizing
from headrace.components.endpoint_scale import EndpointScale, scale_faults, scale_grant, scale_object
from headrace.components.kubernetes_object import KubernetesObject
from headrace.components.model_image import ModelImage, ModelImageArgs
from headrace.components.runtime_choice import EndpointRuntime, choose, runtime_faults
from headrace.contract import names
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
class _Spec:
    """The inputs, checked and with their defaults; fields are those of ModelEndpointArgs."""

    platform: pulumi.Input[Mapping[str, Any]]
    model_uri: str
    tracking_uri: str | None = None
    allowed_subjects: tuple[str, ...] = ()
    timeout_seconds: float = 297.0
    cpu: float | None = None
    memory_mib: int | None = None
    start_seconds: int | None = None
    runtime: EndpointRuntime = field(default_factory=EndpointRuntime)
    scale: EndpointScale | None = None
    quota: EndpointQuota = field(default_factory=EndpointQuota)
    labels: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def checked(cls, name: str, args: Mapping[str, Any]) -> Self:
        """Raises ArgsError with every fault of `args`. Whole numbers arrive as floats from other languages."""
        checks.require(f"ModelEndpoint '{name}'", checks.endpoint_name("name", name), _faults(args))
        whole = {key: int(args[key]) for key in ("memory_mib", "start_seconds") if key in args}
        subjects = tuple(args.get("allowed_subjects", ()))
        return cls(**{**args, **whole, "allowed_subjects": subjects})


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

    def __init__(self, name: str, args: ModelEndpointArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        spec = _Spec.checked(name, args)
        super().__init__("headrace:index:ModelEndpoint", name, dict(args), opts)
        platform = pulumi.Output.from_input(spec.platform)
        labels = {**manifests.standard_labels("model", spec.labels), names.ENDPOINT_LABEL: name}
        image = self._model_image(name, spec, platform)
        space, closed = self._closed_namespace(name, spec, labels, platform, image)
        after = pulumi.ResourceOptions(parent=self, depends_on=closed)
        inside = pulumi.ResourceOptions.merge(after, pulumi.ResourceOptions(deleted_with=space))
        ready = self._served_version(name, spec, labels, image, after=after, inside=inside)
        namespace, version = names.endpoint_namespace(name), image.version_name
        bounds = scale_object(
            version,
            namespace,
            labels={**labels, names.VERSION_LABEL: version},
            scale=spec.scale,
            platform=platform,
        )
        # Deleted by itself, so that the autoscaler lets go of the Deployment before that goes.
        scaled = pulumi.ResourceOptions.merge(after, pulumi.ResourceOptions(depends_on=ready))
        KubernetesObject(f"{name}-scale-binding", scale_grant(namespace, labels=labels), inside)
        KubernetesObject(f"{name}-{version}-autoscaler", bounds, scaled)
        served = image.image.apply(
            lambda reference: ModelEndpointSpec(
                versions=(
                    ServedVersion(
                        name=image.version_name,
                        model_uri=spec.model_uri,
                        image=reference,
                        runtime=image.choice.runtime,
                        reasons=image.choice.reasons,
                    ),
                ),
                allowed_subjects=spec.allowed_subjects,
                timeout_seconds=spec.timeout_seconds,
            ).to_json()
        )
        KubernetesObject(
            f"{name}-endpoint",
            manifests.custom_object(
                names.MODEL_ENDPOINT_KIND, name, names.endpoint_namespace(name), labels=labels, spec=served
            ),
            # Deleted by itself, at once with the pods: they answer for seconds after being told to go, in which
            # the routes are gone.
            after,
        )
        path = names.invocations_path(name).removesuffix("/invocations")
        self.url = pulumi.Output.concat(platform["url"], path)
        self.version = pulumi.Output.from_input(image.version_name)
        self.image = image.image
        self.runtime_kind = pulumi.Output.from_input(image.choice.runtime.value)
        pulumi.log.info(f"{image.choice.runtime}: {'; '.join(image.choice.reasons)}", self)
        self.register_outputs(
            {"url": self.url, "version": self.version, "image": self.image, "runtime_kind": self.runtime_kind}
        )

    def _model_image(self, name: str, spec: _Spec, platform: pulumi.Output[Any]) -> ModelImage:
        args: ModelImageArgs = {
            "model_uri": spec.model_uri,
            "delivery": platform["image_delivery"],
            "base": platform["image_base"],
            "runtime": spec.runtime,
        }
        if spec.tracking_uri is not None:
            args["tracking_uri"] = spec.tracking_uri
        return ModelImage(f"{name}-image", args, pulumi.ResourceOptions(parent=self))

    def _closed_namespace(
        self, name: str, spec: _Spec, labels: manifests.Labels, platform: pulumi.Output[Any], image: ModelImage
    ) -> tuple[KubernetesObject, list[KubernetesObject]]:
        """The namespace, and what must be in it before the first pod, which a later policy would leave open."""
        namespace = names.endpoint_namespace(name)
        # The annotation carries the dependency on the platform's kinds.
        annotations = {_PLATFORM_ANNOTATION: platform["namespace"]}
        space = KubernetesObject(
            f"{name}-namespace",
            manifests.namespace(namespace, labels=labels, annotations=annotations),
            pulumi.ResourceOptions(
                parent=self,
                # After the image: a model that cannot be built leaves nothing in the cluster.
                depends_on=[image],
                # Where pods are left, Kubernetes looks at once and again after each half of their grace.
                custom_timeouts=pulumi.CustomTimeouts(
                    delete=f"{pods.grace_seconds(spec.timeout_seconds) * 3 // 2 + 60}s"
                ),
            ),
        )
        # Deleted with the namespace and not before it: Kubernetes keeps the policies until the last pod is gone.
        inside = pulumi.ResourceOptions(parent=self, depends_on=[space], deleted_with=space)
        closed = [
            KubernetesObject(f"{name}-deny-all", flows.deny_all(namespace, labels=labels), inside),
            KubernetesObject(f"{name}-policy", flows.model_pods(namespace, labels=labels), inside),
            KubernetesObject(f"{name}-account", manifests.service_account("model", namespace, labels=labels), inside),
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
        labels = {**labels, names.VERSION_LABEL: version}
        budget = manifests.disruption_budget(version, namespace, labels=labels, selector=selector)
        KubernetesObject(f"{name}-{version}-budget", budget, inside)
        service = manifests.service(
            version,
            namespace,
            labels=labels,
            selector=selector,
            ports=[
                manifests.service_port("http", names.FRONT_PORT, protocol="http"),
                manifests.service_port("grpc", names.FRONT_GRPC_PORT, protocol="kubernetes.io/h2c"),
            ],
        )
        size, choice = image.source.size_bytes, image.choice
        start_seconds = spec.start_seconds
        if start_seconds is None:
            start_seconds = sizing.start_seconds(size) if choice.engine is None else sizing.engine_start_seconds(size)
        allotment = sizing.allotment(size, cpu=spec.cpu, memory_mib=spec.memory_mib, gpus=choice.gpus)
        if choice.engine is not None:
            allotment = sizing.engine_allotment(choice, cpu=spec.cpu, memory_mib=spec.memory_mib)
        pod = pods.model_pod(
            endpoint=name,
            version=version,
            image=image.image,
            account="model",
            labels=labels,
            allotment=allotment,
            timeout_seconds=spec.timeout_seconds,
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
        patience = pulumi.ResourceOptions(
            ignore_changes=["spec.replicas"],  # the autoscaler's
            custom_timeouts=pulumi.CustomTimeouts(
                create=f"{start_seconds + 60}s",
                update=f"{start_seconds + 60}s",
                delete=f"{pods.grace_seconds(spec.timeout_seconds) + 60}s",
            ),
        )
        return [
            KubernetesObject(f"{name}-{version}-service", service, inside),
            KubernetesObject(f"{name}-{version}-deployment", deployment, pulumi.ResourceOptions.merge(after, patience)),
        ]


def require_servable(endpoints: Mapping[str, Mapping[str, Any]]) -> None:
    """Raises ArgsError with every fault of every endpoint, given as name and inputs (`platform` may be missing).

    It asks the tracking servers: a program that calls it first stops on a model that does not exist or cannot be served
    before anything is registered.
    """
    checks.require("Endpoints", *(_servable(name, args) for name, args in endpoints.items()))


def _servable(name: str, args: Mapping[str, Any]) -> Iterator[str]:
    faults = [*checks.endpoint_name("name", name), *_faults({"platform": "given later", **args})]
    if not faults:
        try:
            source = model_source.resolve(args["model_uri"], args.get("tracking_uri", ""))
            choose(source.mlmodel, args.get("runtime", {}))
        except HeadraceError as error:
            faults.append(str(error))
    for fault in faults:
        yield f"{name}: {fault}"


def _faults(args: Mapping[str, Any]) -> Iterator[str]:
    yield from checks.known_keys(args, ModelEndpointArgs.__annotations__)
    yield from checks.present(args, "platform", "model_uri")
    for key, lowest in (("timeout_seconds", 0.001), ("cpu", 0.05), ("memory_mib", 256), ("start_seconds", 1)):
        if key in args:
            yield from checks.at_least(key, args[key], lowest)
    yield from checks.labels("labels", args.get("labels", {}))
    yield from checks.texts("allowed_subjects", args.get("allowed_subjects", []))
    yield from runtime_faults(args.get("runtime", {}))
    yield from scale_faults(args.get("scale", {}))
    quota = args.get("quota", {})
    for fault in checks.known_keys(quota, EndpointQuota.__annotations__):
        yield f"quota: {fault}"
    for key, lowest in (("cpu", 0.05), ("memory_mib", 256), ("pods", 1)):
        if key in quota:
            yield from checks.at_least(f"quota.{key}", quota[key], lowest)


def _hard_limits(quota: EndpointQuota) -> dict[str, str]:
    hard = {}
    if "cpu" in quota:
        hard["limits.cpu"] = f"{round(quota['cpu'] * 1000)}m"
    if "memory_mib" in quota:
        hard["limits.memory"] = f"{int(quota['memory_mib'])}Mi"
    if "pods" in quota:
        hard["pods"] = str(int(quota["pods"]))
    return hard
