"""ServingPlatform: everything that endpoints share, in the namespace headrace-system of one cluster.

It composes ControlPlane, LoadBalancer, PopProxy, Management, Autoscaler and Observability, and installs our CRDs. Not
created here: the cluster and its provider, which belong to the program (ServingCluster), and endpoints: a ModelEndpoint
takes `ref`, in this stack or another.
"""

from collections.abc import Mapping
from typing import Any, Final, NotRequired, TypedDict

import pulumi

from headrace.components.kubernetes import api_server, checks, manifests, network_policies
from headrace.components.kubernetes.object import KubernetesObject
from headrace.components.platform.autoscaler import SCALE_ROLE, SCALE_RULES, Autoscaler, AutoscalerArgs
from headrace.components.platform.control_plane import ControlPlane, ControlPlaneArgs
from headrace.components.platform.load_balancer import LoadBalancer
from headrace.components.platform.management import PODS_ROLE, PODS_RULES, Management, ManagementArgs
from headrace.components.platform.observability import URL, Observability
from headrace.components.platform.platform_image import PlatformImage, PlatformImageArgs
from headrace.components.platform.platform_ref import (
    ImageBase,
    ImageDelivery,
    PlatformRef,
    base_faults,
    delivery_faults,
    settled,
)
from headrace.components.platform.pop_proxy import Exposure, PopProxy, PopProxyArgs, exposure_faults
from headrace.contract import names
from headrace.contract.apa import AUTOPILOT_POD_AUTOSCALER
from headrace.contract.model_endpoint import MODEL_ENDPOINT


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
    api_server_addresses: NotRequired[list[str]]
    """Address blocks in which the API server listens, for example ["10.0.0.0/24"]: on managed clusters that move it.
    Absent: its addresses at the time of the update."""
    replicas: NotRequired[int]
    """Copies of each program but Prometheus. Default 2, so that a lost node does not stop traffic."""
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
        replicas, scales = int(args.get("replicas", manifests.REPLICAS)), bool(args.get("autoscaler", True))
        delivery = settled(args.get("image_delivery", _THIS_NODE))
        base = args.get("image_base", {})
        checks.require(
            f"ServingPlatform '{name}'",
            checks.known_keys(args, ServingPlatformArgs.__annotations__),
            delivery_faults(delivery) if isinstance(delivery, Mapping) else (),
            base_faults(base),
            exposure_faults(args),
            checks.web_address("prometheus_url", args["prometheus_url"]) if "prometheus_url" in args else (),
            api_server.block_faults("api_server_addresses", args.get("api_server_addresses", [])),
            checks.labels("labels", args.get("labels", {})),
            checks.at_least("replicas", replicas, 1),
        )
        super().__init__("headrace:index:ServingPlatform", name, dict(args), opts)
        child = pulumi.ResourceOptions(parent=self)
        own = args.get("labels", {})
        labels = manifests.standard_labels("platform", own)

        space = KubernetesObject(f"{name}-namespace", manifests.namespace(names.SYSTEM_NAMESPACE, labels=labels), child)
        kinds = KubernetesObject(f"{name}-model-endpoints", manifests.labelled(MODEL_ENDPOINT.crd(), labels), child)
        # With or without a controller: an endpoint's bounds may wait for one.
        scaler_kind = manifests.labelled(AUTOPILOT_POD_AUTOSCALER.crd(), labels)
        scalers = KubernetesObject(f"{name}-pod-autoscalers", scaler_kind, child)
        rights = manifests.cluster_role(SCALE_ROLE, labels=labels, rules=SCALE_RULES)
        role = KubernetesObject(f"{name}-scale-role", rights, child)
        readable = manifests.cluster_role(PODS_ROLE, labels=labels, rules=PODS_RULES)
        pods_role = KubernetesObject(f"{name}-pods-role", readable, child)
        # Before the first pod: a policy that came later would not restrict the pod in its first second.
        deny_all = network_policies.deny_all(names.SYSTEM_NAMESPACE, labels=labels)
        closed = KubernetesObject(f"{name}-deny-all", deny_all, pulumi.ResourceOptions(parent=self, depends_on=[space]))
        inside = pulumi.ResourceOptions(parent=self, depends_on=[space, kinds, scalers, closed])

        def image(kind: str) -> pulumi.Output[str]:
            wanted: PlatformImageArgs = {"kind": kind, "delivery": delivery, "base": base}
            return PlatformImage(f"{name}-{kind}-image", wanted, child).image

        control, envoy = image("control"), image("envoy")
        way = {key: args[key] for key in ("api_server_addresses",) if key in args}
        routing: ControlPlaneArgs = {"image": control, "replicas": replicas, "labels": own}
        routing.update(way)  # type: ignore[typeddict-item]
        known = ControlPlane(f"{name}-routing", routing, inside).identities
        managing: ManagementArgs = {"image": control, "replicas": replicas, "labels": own}
        managing.update(way)  # type: ignore[typeddict-item]
        Management(f"{name}-management", managing, inside)
        proxies = pulumi.ResourceOptions.merge(inside, pulumi.ResourceOptions(depends_on=known))
        LoadBalancer(f"{name}-load-balancer", {"image": envoy, "replicas": replicas, "labels": own}, proxies)
        if scales:
            scaler: AutoscalerArgs = {"image": control, "replicas": replicas, "labels": own}
            scaler.update(way)  # type: ignore[typeddict-item]
            scaler["prometheus_url"] = args.get("prometheus_url", URL)
            Autoscaler(f"{name}-autoscaler", scaler, inside)
            if "prometheus_url" not in args:
                Observability(f"{name}-observability", {"image": image("prometheus"), "labels": own}, inside)
        pop_args: PopProxyArgs = {"image": envoy, "replicas": replicas, "labels": own}
        pop_args.update({key: args[key] for key in _POP_INPUTS if key in args})  # type: ignore[typeddict-item]
        pop = PopProxy(f"{name}-pop-proxy", pop_args, proxies)

        self.url = pop.url
        self.address = pop.address
        self.ca_certificate = pop.ca_certificate
        # The URNs carry the dependency: an endpoint's objects wait for the namespace and the kinds, and for no pod.
        urns = (made.urn for made in (space, kinds, scalers, role, pods_role))
        self.ref = pulumi.Output.all(pop.url, delivery, *urns).apply(
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
