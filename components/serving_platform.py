"""ServingPlatform: everything that endpoints share, in the namespace headrace-system of one cluster.

It composes ControlPlane, LoadBalancer, PopProxy, Autoscaler and Observability, and installs the kinds of our API group.
Not created here: the cluster, its provider (both are the program's, see ServingCluster), and endpoints (ModelEndpoint,
here or in any other stack, is given `ref`).
"""

from collections.abc import Mapping
from typing import Any, Final, NotRequired, TypedDict

import pulumi

from headrace.components import checks, flows, manifests
from headrace.components.autoscaler import Autoscaler, AutoscalerArgs
from headrace.components.control_plane import ControlPlane
from headrace.components.endpoint_scale import SCALE_ROLE, SCALE_RULES
from headrace.components.kubernetes_object import KubernetesObject
from headrace.components.load_balancer import LoadBalancer
from headrace.components.observability import URL, Observability
from headrace.components.platform_image import PlatformImage
from headrace.components.platform_ref import (
    ImageBase,
    ImageDelivery,
    PlatformRef,
    base_faults,
    delivery_faults,
    settled,
)
from headrace.components.pop_proxy import Exposure, PopProxy, PopProxyArgs, exposure_faults
from headrace.contract import names
from headrace.contract.apa import autopilot_pod_autoscaler_crd
from headrace.contract.model_endpoint import model_endpoint_crd


class ServingPlatformArgs(TypedDict):
    """Inputs of ServingPlatform; none is required."""

    image_delivery: NotRequired[ImageDelivery]
    """How images reach the nodes. Absent: into this machine's containerd at its usual address, for a single node."""
    image_base: NotRequired[ImageBase]
    """What lies under every layer of an image. Absent: a Debian made here."""
    exposure: NotRequired[Exposure]
    """How clients reach the platform. Default load_balancer."""
    host: NotRequired[str]
    """DNS name or address that clients use. Required with exposure node_port."""
    node_port: NotRequired[int]
    """Port of the nodes, with exposure node_port. Default 30443."""
    server_names: NotRequired[list[str]]
    """DNS names and addresses, besides `host`, for which the certificate is valid."""
    tls_secret: NotRequired[str]
    """Name of a kubernetes.io/tls Secret in headrace-system, made by others. Absent: a private authority is made."""
    autoscaler: NotRequired[bool]
    """Whether to run the AutoPilot Pod Autoscaler. Default true; without it every version has one pod, or as many as
    others set."""
    prometheus_url: NotRequired[str]
    """Prometheus that the autoscaler reads. Absent: one of the platform's own."""
    replicas: NotRequired[int]
    """Copies of each proxy and of the control plane. Default 2, so that a lost node does not stop traffic."""
    labels: NotRequired[dict[str, str]]
    """Put on every object beside our own labels."""


_NO_ARGS: Final[ServingPlatformArgs] = {}
_THIS_NODE: Final[ImageDelivery] = {"kind": "containerd", "address": "/run/containerd/containerd.sock"}
_POP_INPUTS: Final = ("exposure", "host", "node_port", "server_names", "tls_secret")


class ServingPlatform(pulumi.ComponentResource):
    """The shared part of model serving on one cluster: proxies, control plane, kinds."""

    url: pulumi.Output[str]
    """Base address for clients, https://host:port."""
    address: pulumi.Output[str]
    """Name or address where the platform can be reached: what the DNS name `host` must lead to."""
    ca_certificate: pulumi.Output[str]
    """PEM of the authority a client must trust; empty when `tls_secret` was given."""
    ref: pulumi.Output[Mapping[str, Any]]
    """What a ModelEndpoint needs to know of the platform; plain data, fit for a stack output: namespace, url,
    image_delivery, image_base, autoscaler."""

    def __init__(
        self, name: str, args: ServingPlatformArgs = _NO_ARGS, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        replicas, scales = int(args.get("replicas", 2)), bool(args.get("autoscaler", True))
        delivery = settled(args.get("image_delivery", _THIS_NODE))
        base = args.get("image_base", {})
        checks.require(
            f"ServingPlatform '{name}'",
            checks.known_keys(args, ServingPlatformArgs.__annotations__),
            delivery_faults(delivery) if isinstance(delivery, Mapping) else (),
            base_faults(base),
            exposure_faults(args),
            checks.web_address("prometheus_url", args["prometheus_url"]) if "prometheus_url" in args else (),
            checks.labels("labels", args.get("labels", {})),
            checks.at_least("replicas", replicas, 1),
        )
        super().__init__("headrace:index:ServingPlatform", name, dict(args), opts)
        child = pulumi.ResourceOptions(parent=self)
        own = args.get("labels", {})
        labels = manifests.standard_labels("platform", own)

        space = KubernetesObject(f"{name}-namespace", manifests.namespace(names.SYSTEM_NAMESPACE, labels=labels), child)
        kinds = KubernetesObject(f"{name}-model-endpoints", manifests.labelled(model_endpoint_crd(), labels), child)
        # With or without a controller: an endpoint's bounds may wait for one.
        scalers = KubernetesObject(
            f"{name}-pod-autoscalers", manifests.labelled(autopilot_pod_autoscaler_crd(), labels), child
        )
        role = KubernetesObject(
            f"{name}-scale-role", manifests.cluster_role(SCALE_ROLE, labels=labels, rules=SCALE_RULES), child
        )
        # Before the first pod: a policy that comes after it would leave the pod open for its first second.
        closed = KubernetesObject(
            f"{name}-deny-all",
            flows.deny_all(names.SYSTEM_NAMESPACE, labels=labels),
            pulumi.ResourceOptions(parent=self, depends_on=[space]),
        )
        inside = pulumi.ResourceOptions(parent=self, depends_on=[space, kinds, scalers, closed])

        control_image = PlatformImage(
            f"{name}-control-image", {"kind": "control", "delivery": delivery, "base": base}, child
        )
        envoy_image = PlatformImage(f"{name}-envoy-image", {"kind": "envoy", "delivery": delivery, "base": base}, child)
        ControlPlane(f"{name}-routing", {"image": control_image.image, "replicas": replicas, "labels": own}, inside)
        LoadBalancer(f"{name}-load-balancer", {"image": envoy_image.image, "replicas": replicas, "labels": own}, inside)
        if scales:
            scaler_args: AutoscalerArgs = {"image": control_image.image, "replicas": replicas, "labels": own}
            scaler_args["prometheus_url"] = args.get("prometheus_url", URL)
            Autoscaler(f"{name}-autoscaler", scaler_args, inside)
            if "prometheus_url" not in args:
                prometheus_image = PlatformImage(
                    f"{name}-prometheus-image", {"kind": "prometheus", "delivery": delivery, "base": base}, child
                )
                Observability(f"{name}-observability", {"image": prometheus_image.image, "labels": own}, inside)
        pop_args: PopProxyArgs = {"image": envoy_image.image, "replicas": replicas, "labels": own}
        pop_args.update({key: args[key] for key in _POP_INPUTS if key in args})  # type: ignore[typeddict-item]
        pop = PopProxy(f"{name}-pop-proxy", pop_args, inside)

        self.url = pop.url
        self.address = pop.address
        self.ca_certificate = pop.ca_certificate
        # The URNs carry the dependency: an endpoint's objects wait for the namespace and the kinds, and for no pod.
        self.ref = pulumi.Output.all(pop.url, delivery, space.urn, kinds.urn, scalers.urn, role.urn).apply(
            lambda known: PlatformRef(
                namespace=names.SYSTEM_NAMESPACE,
                url=known[0],
                image_delivery=known[1],
                image_base=base,
                autoscaler=scales,
            )
        )
        self.register_outputs(
            {"url": self.url, "address": self.address, "ca_certificate": self.ca_certificate, "ref": self.ref}
        )
