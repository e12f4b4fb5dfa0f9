"""ServingPlatform: everything that endpoints share, in the namespace headrace-system of one cluster.

It composes ControlPlane, LoadBalancer, PopProxy, Management, Autoscaler, Activator, RolloutController, Observability,
TableWriter, Collector and Console, and installs our CRDs. Not created here: the cluster and its provider, which belong
to the program (ServingCluster), and endpoints: a ModelEndpoint takes `ref`, in this stack or another.
"""

from collections.abc import Mapping
from typing import Any, Final, NotRequired, TypedDict, cast

import pulumi

from headrace.components.kubernetes import api_server, checks, manifests, network_policies
from headrace.components.kubernetes.object import KubernetesObject
from headrace.components.platform.activator import Activator
from headrace.components.platform.autoscaler import SCALE_ROLE, SCALE_RULES, Autoscaler, AutoscalerArgs
from headrace.components.platform.collector import Collector, CollectorArgs
from headrace.components.platform.console import Console, ConsoleArgs
from headrace.components.platform.control_plane import ControlPlane, ControlPlaneArgs
from headrace.components.platform.controller import ControllerArgs
from headrace.components.platform.load_balancer import LoadBalancer
from headrace.components.platform.management import PODS_ROLE, PODS_RULES, Management
from headrace.components.platform.observability import URL, Observability
from headrace.components.platform.platform_image import PlatformImage, PlatformImageArgs
from headrace.components.platform.platform_program import address
from headrace.components.platform.platform_ref import (
    ImageBase,
    ImageDelivery,
    PlatformRef,
    architecture_faults,
    base_faults,
    delivery_faults,
    settled,
)
from headrace.components.platform.pop_proxy import Exposure, PopProxy, PopProxyArgs, exposure_faults
from headrace.components.platform.prices import PriceList, Prices
from headrace.components.platform.revocations import Revocations, revocation_faults
from headrace.components.platform.rollout_controller import RolloutController
from headrace.components.platform.table_writer import InferenceTables, TableWriter, TableWriterArgs, tables_faults
from headrace.components.platform.telemetry import (
    Telemetry,
    backends,
    checked_telemetry,
    tables_folder,
    telemetry_faults,
)
from headrace.components.platform.token_issuers import TokenIssuer, token_issuer_faults
from headrace.contract import names
from headrace.contract.apa import AUTOPILOT_POD_AUTOSCALER
from headrace.contract.model_endpoint import MODEL_ENDPOINT


class ServingPlatformArgs(TypedDict):
    """Inputs of ServingPlatform; none is required."""

    image_delivery: NotRequired[ImageDelivery]
    """How images reach the nodes. Absent: into this machine's containerd at its usual address, for a single node."""
    image_base: NotRequired[ImageBase]
    """What lies under every layer of an image. Absent: a Debian made here."""
    architectures: NotRequired[pulumi.Input[list[str]]]
    """Processors of the cluster's nodes: amd64, arm64 or both, for all of which images are made. Absent or empty: this
    machine's where its own containers run them, amd64 with a registry."""
    image_volumes: NotRequired[pulumi.Input[bool]]
    """Whether all nodes mount images as volumes: Kubernetes 1.35 with containerd 2.1 or CRI-O 1.31. Absent: they do
    not, and endpoints with such volumes are refused."""
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
    inference_tables: NotRequired[InferenceTables]
    """Where tables of requests are kept, for endpoints with an `inference_table`. Absent: no endpoint may have one."""
    telemetry: NotRequired[Telemetry]
    """Where spans of requests and logs go. Absent: into tables beside those of requests where `inference_tables` has a
    volume, else nowhere, and requests are not traced."""
    token_issuers: NotRequired[list[TokenIssuer]]
    """Whose tokens callers may show beside the cluster's, at most 16. Absent: nobody's."""
    revoked: NotRequired[Revocations]
    """Tokens and callers that are refused although their issuer calls them good. Absent: none."""
    console: NotRequired[bool]
    """Whether to show people pages about their endpoints, below /console. Default true."""
    prices: NotRequired[PriceList]
    """What nodes cost by the hour, for what is told of endpoints' cost. Absent: AWS on demand in us-east-1, as in
    forecasts."""
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
    image_delivery, image_base, architectures, autoscaler, prices, table_writer, collector."""

    def __init__(
        self, name: str, args: ServingPlatformArgs = _NO_ARGS, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        replicas, scales = int(args.get("replicas", manifests.REPLICAS)), bool(args.get("autoscaler", True))
        delivery = settled(args.get("image_delivery", _THIS_NODE))
        base = args.get("image_base", {})
        nodes = args.get("architectures", [])
        checks.require(
            f"ServingPlatform '{name}'",
            checks.known_keys(args, ServingPlatformArgs.__annotations__),
            delivery_faults(delivery) if isinstance(delivery, Mapping) else (),
            base_faults(base),
            architecture_faults(nodes) if isinstance(nodes, list) else (),
            exposure_faults(args),
            checks.web_address("prometheus_url", args["prometheus_url"]) if "prometheus_url" in args else (),
            tables_faults(args["inference_tables"]) if "inference_tables" in args else (),
            telemetry_faults(args.get("telemetry", {}), has_tables="inference_tables" in args),
            Prices.faults(args.get("prices", {})),
            token_issuer_faults(args.get("token_issuers", [])),
            revocation_faults(args.get("revoked", {})),
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
            wanted: PlatformImageArgs = {"kind": kind, "delivery": delivery, "base": base, "architectures": nodes}
            return PlatformImage(f"{name}-{kind}-image", wanted, child).image

        control, envoy = image("control"), image("envoy")
        traced = checked_telemetry(args.get("telemetry", {}))
        folder = tables_folder(traced, args.get("inference_tables"))
        sinks = backends(traced, folder=folder)
        collects = bool(sinks)
        controller: ControllerArgs = {"image": control, "replicas": replicas, "labels": own}
        if "api_server_addresses" in args:
            controller["api_server_addresses"] = args["api_server_addresses"]
        if any(backend.takes_logs for backend in sinks):
            controller["log_collector"] = address(names.COLLECTOR, names.OTLP_HTTP_PORT)
        routing = cast(ControlPlaneArgs, {**controller})
        if "token_issuers" in args:
            routing["token_issuers"] = args["token_issuers"]
        if "revoked" in args:
            routing["revoked"] = args["revoked"]
        if collects:
            routing["collector"] = address(names.COLLECTOR, names.OTLP_GRPC_PORT)
        known = ControlPlane(f"{name}-routing", routing, inside).identities
        Management(f"{name}-management", controller, inside)
        RolloutController(f"{name}-rollout", controller, inside)
        proxies = pulumi.ResourceOptions.merge(inside, pulumi.ResourceOptions(depends_on=known))
        LoadBalancer(f"{name}-load-balancer", {"image": envoy, "replicas": replicas, "labels": own}, proxies)
        if scales:
            scaler: AutoscalerArgs = {**controller, "prometheus_url": args.get("prometheus_url", URL)}
            Autoscaler(f"{name}-autoscaler", scaler, inside)
            Activator(f"{name}-activator", controller, inside)
            if "prometheus_url" not in args:
                Observability(f"{name}-observability", {"image": image("prometheus"), "labels": own}, inside)
        writer: pulumi.Output[str | None] = pulumi.Output.from_input(None)
        if "inference_tables" in args:
            writing: TableWriterArgs = {"image": image("tables"), "tables": args["inference_tables"], "labels": own}
            if "api_server_addresses" in args:
                writing["api_server_addresses"] = args["api_server_addresses"]
            if "log_collector" in controller:
                writing["log_collector"] = controller["log_collector"]
            if folder is not None:
                writing["telemetry_folder"] = folder
            writer = TableWriter(f"{name}-tables", writing, inside).address
        collector: pulumi.Output[str | None] = pulumi.Output.from_input(None)
        if collects:
            gathering: CollectorArgs = {"image": image("collector"), "labels": own}
            if "telemetry" in args:
                gathering["telemetry"] = args["telemetry"]
            if folder is not None:
                gathering["tables_folder"] = folder
            collector = Collector(f"{name}-collector", gathering, inside).address
        if args.get("console", True):
            shown = cast(ConsoleArgs, {**controller, "image": image("console")})
            shown["has_tables"] = "inference_tables" in args
            shown["has_traces"] = folder is not None
            if scales or "prometheus_url" in args:
                shown["prometheus_url"] = args.get("prometheus_url", URL)
            if args.get("exposure") == Exposure.NODE_PORT:
                shown["pop_port"] = names.POP_PORT
            Console(f"{name}-console", shown, inside)
        pop_args: PopProxyArgs = {"image": envoy, "replicas": replicas, "labels": own}
        pop_args.update({key: args[key] for key in _POP_INPUTS if key in args})  # type: ignore[typeddict-item]
        pop = PopProxy(f"{name}-pop-proxy", pop_args, proxies)

        found_by = {names.PLATFORM_URL_KEY: pop.url, names.CA_KEY: pop.ca_certificate}
        told = manifests.config_map(names.PLATFORM_CONFIG_MAP, names.SYSTEM_NAMESPACE, labels=labels, data=found_by)
        KubernetesObject(f"{name}-info", told, inside)

        self.url = pop.url
        self.address = pop.address
        self.ca_certificate = pop.ca_certificate
        # The URNs carry the dependency: an endpoint's objects wait for the namespace and the kinds, and for no pod.
        urns = (made.urn for made in (space, kinds, scalers, role, pods_role))
        mounting = args.get("image_volumes", False)
        self.ref = pulumi.Output.all(pop.url, delivery, nodes, writer, mounting, collector, *urns).apply(
            lambda known: PlatformRef(
                namespace=names.SYSTEM_NAMESPACE,
                url=known[0],
                image_delivery=known[1],
                image_base=base,
                architectures=known[2],
                image_volumes=known[4],
                autoscaler=scales,
                prices=args.get("prices", {}),
                **({"table_writer": known[3]} if "inference_tables" in args else {}),  # type: ignore[typeddict-item]
                **({"collector": known[5]} if collects else {}),  # type: ignore[typeddict-item]
            )
        )
        self.register_outputs(
            {"url": self.url, "address": self.address, "ca_certificate": self.ca_certificate, "ref": self.ref}
        )
