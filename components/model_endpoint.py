"""ModelEndpoint: the front door. One registered model behind one stable address.

It creates the endpoint's namespace and, for the version that `model_uri` names, the image, Deployment and Service;
then the ModelEndpoint object, which moves the traffic. The object waits for the Deployment, so traffic moves only to a
version that answers, and Pulumi deletes what served before only after that. `spec.replicas` is not set: the
autoscaler owns it.
"""

from collections.abc import Iterator
from typing import Final, NotRequired, TypedDict

import pulumi

from headrace.components import checks, flows, manifests, pods, sizing
from headrace.components.kubernetes_object import KubernetesObject
from headrace.components.model_image import ModelImage
from headrace.components.platform_ref import PlatformRef
from headrace.contract import names
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

    platform: pulumi.Input[PlatformRef]
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
    """How long a pod may take to load the model and answer. Default 300."""
    quota: NotRequired[EndpointQuota]
    """Bounds of the whole endpoint. Absent: none."""
    labels: NotRequired[dict[str, str]]
    """Put on every object beside our own labels, for example a team or cost centre."""


class ModelEndpoint(pulumi.ComponentResource):
    """Serves one registered model behind one address; the resource's name is the endpoint's name."""

    url: pulumi.Output[str]
    """Address of the endpoint: POST {url}/invocations."""
    version: pulumi.Output[str]
    """Name of the version that serves, for example v7."""
    image: pulumi.Output[str]
    """Image of that version, pinned by digest."""

    def __init__(self, name: str, args: ModelEndpointArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        timeout_seconds = float(args.get("timeout_seconds", 297.0))
        start_seconds = int(args.get("start_seconds", 300))
        checks.require(
            f"ModelEndpoint '{name}'",
            checks.endpoint_name("name", name),
            checks.known_keys(args, ModelEndpointArgs.__annotations__),
            checks.present(args, "platform", "model_uri"),
            checks.at_least("timeout_seconds", timeout_seconds, 0.001),
            checks.at_least("start_seconds", start_seconds, 1),
            checks.at_least("cpu", float(args.get("cpu", 1.0)), 0.05),
            checks.at_least("memory_mib", int(args.get("memory_mib", 256)), 256),
            _quota_faults(args.get("quota", {})),
        )
        super().__init__("headrace:index:ModelEndpoint", name, dict(args), opts)
        child = pulumi.ResourceOptions(parent=self)
        platform = pulumi.Output.from_input(args["platform"])
        image = ModelImage(
            f"{name}-image",
            {
                "model_uri": args["model_uri"],
                "delivery": platform["image_delivery"],
                "base": platform["image_base"],
                **({"tracking_uri": args["tracking_uri"]} if "tracking_uri" in args else {}),
            },
            child,
        )
        version = image.version_name
        namespace = names.endpoint_namespace(name)
        labels = {**manifests.standard_labels("model", args.get("labels", {})), names.ENDPOINT_LABEL: name}
        selector = {names.ENDPOINT_LABEL: name, names.VERSION_LABEL: version}

        space = KubernetesObject(
            f"{name}-namespace",
            manifests.namespace(namespace, labels=labels, annotations={_PLATFORM_ANNOTATION: platform["namespace"]}),
            child,
        )
        inside = pulumi.ResourceOptions(parent=self, depends_on=[space])
        # All of these before the first pod: one that came later would leave the pod free for its first second.
        before = [
            KubernetesObject(f"{name}-deny-all", flows.deny_all(namespace, labels=labels), inside),
            KubernetesObject(f"{name}-policy", flows.model_pods(namespace, labels=labels), inside),
            KubernetesObject(f"{name}-account", manifests.service_account("model", namespace, labels=labels), inside),
        ]
        if args.get("quota"):
            hard = _hard_limits(args["quota"])
            before.append(
                KubernetesObject(
                    f"{name}-quota", manifests.resource_quota("endpoint", namespace, labels=labels, hard=hard), inside
                )
            )
        versioned = {**labels, names.VERSION_LABEL: version}
        KubernetesObject(
            f"{name}-{version}-budget",
            manifests.disruption_budget(version, namespace, labels=versioned, selector=selector),
            inside,
        )
        service = KubernetesObject(
            f"{name}-{version}-service",
            manifests.service(
                version,
                namespace,
                labels=versioned,
                selector=selector,
                ports=[manifests.service_port("http", names.FRONT_PORT, protocol="http")],
            ),
            inside,
        )
        deployment = KubernetesObject(
            f"{name}-{version}-deployment",
            manifests.deployment(
                version,
                namespace,
                labels=versioned,
                selector=selector,
                pod=pods.model_pod(
                    endpoint=name,
                    version=version,
                    image=image.image,
                    account="model",
                    labels=versioned,
                    allotment=sizing.allotment(
                        image.source.size_bytes, cpu=args.get("cpu"), memory_mib=args.get("memory_mib")
                    ),
                    timeout_seconds=timeout_seconds,
                    start_seconds=start_seconds,
                ),
                replicas=None,
                deadline_seconds=start_seconds + 60,
            ),
            pulumi.ResourceOptions(
                parent=self,
                depends_on=before,
                ignore_changes=["spec.replicas"],
                custom_timeouts=pulumi.CustomTimeouts(
                    create=f"{start_seconds + 90}s",
                    update=f"{start_seconds + 90}s",
                    delete=f"{round(timeout_seconds) + 60}s",
                ),
            ),
        )
        served = image.image.apply(
            lambda reference: ModelEndpointSpec(
                versions=(ServedVersion(name=version, model_uri=args["model_uri"], image=reference),),
                allowed_subjects=tuple(args.get("allowed_subjects", ())),
                timeout_seconds=timeout_seconds,
            ).to_json()
        )
        KubernetesObject(
            f"{name}-endpoint",
            manifests.custom_object(names.MODEL_ENDPOINT_KIND, name, namespace, labels=labels, spec=served),
            pulumi.ResourceOptions(parent=self, depends_on=[deployment, service]),
        )
        path = names.invocations_path(name).removesuffix("/invocations")
        self.url = pulumi.Output.concat(platform["url"], path)
        self.version = pulumi.Output.from_input(version)
        self.image = image.image
        self.register_outputs({"url": self.url, "version": self.version, "image": self.image})


def _quota_faults(quota: EndpointQuota) -> Iterator[str]:
    yield from checks.known_keys(quota, EndpointQuota.__annotations__)
    for field, lowest in (("cpu", 0.05), ("memory_mib", 256), ("pods", 1)):
        value = quota.get(field)
        if isinstance(value, int | float):
            yield from checks.at_least(f"quota.{field}", value, lowest)


def _hard_limits(quota: EndpointQuota) -> dict[str, str]:
    hard = {}
    if "cpu" in quota:
        hard["limits.cpu"] = f"{round(quota['cpu'] * 1000)}m"
    if "memory_mib" in quota:
        hard["limits.memory"] = f"{int(quota['memory_mib'])}Mi"
    if "pods" in quota:
        hard["pods"] = str(int(quota["pods"]))
    return hard
