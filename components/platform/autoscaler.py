"""Autoscaler: the controller that sets the number of pods of each version and how many requests a pod takes at once.

It may read in every namespace. It may write (the scale of Deployments, events) only in namespaces of endpoints, where
ModelEndpoint binds the role SCALE_ROLE. Not created here: that role and the CRD, which endpoints need on a platform
without an autoscaler too (ServingPlatform), and a Prometheus (Observability); without one the controller scrapes
balancers and pods itself.
"""

from typing import Final, NotRequired, TypedDict
from urllib.parse import urlsplit

import pulumi

from headrace.components.kubernetes import api_server, checks, manifests, network_policies
from headrace.components.kubernetes.object import KubernetesObject
from headrace.components.platform.controller_pod import controller_pod
from headrace.components.platform.observability import URL as OWN_PROMETHEUS
from headrace.components.platform.platform_program import address, platform_program
from headrace.contract import names

_WATCH: Final = ["get", "list", "watch"]
READ_ROLE: Final = f"headrace-{names.AUTOSCALER}"
LEASE_ROLE: Final = f"headrace-{names.AUTOSCALER}-lease"

READ_RULES: Final[list[manifests.Manifest]] = [
    {"apiGroups": [names.API_GROUP], "resources": [names.APA_PLURAL], "verbs": _WATCH},
    {"apiGroups": ["apps"], "resources": ["deployments"], "verbs": _WATCH},
    {"apiGroups": [""], "resources": ["pods"], "verbs": _WATCH},
    # The controller refuses a Deployment that a HorizontalPodAutoscaler scales too: it would swing between the two.
    {"apiGroups": ["autoscaling"], "resources": ["horizontalpodautoscalers"], "verbs": _WATCH},
]
LEASE_RULES: Final[list[manifests.Manifest]] = [
    {"apiGroups": ["coordination.k8s.io"], "resources": ["leases"], "verbs": ["get", "create", "update"]},
]
SCALE_ROLE = f"headrace-{names.AUTOSCALER}-scale"
"""ClusterRole with everything that the autoscaler writes; bound in the namespaces of endpoints."""
SCALE_RULES: Final[list[manifests.Manifest]] = [
    {"apiGroups": ["apps"], "resources": ["deployments/scale"], "verbs": ["get", "patch"]},
    {"apiGroups": [names.API_GROUP], "resources": [f"{names.APA_PLURAL}/status"], "verbs": ["get", "patch"]},
    {"apiGroups": [""], "resources": ["events"], "verbs": ["create"]},
]


class AutoscalerArgs(TypedDict):
    """Inputs of Autoscaler."""

    image: pulumi.Input[str]
    """Image of the control plane, which holds the controller too, pinned by digest."""
    prometheus_url: NotRequired[str]
    """Prometheus to read load from, for example http://prometheus.monitoring:9090. Absent: the controller reads the
    balancers and the pods itself, which suits up to some hundred pods."""
    replicas: NotRequired[int]
    """Copies, of which one decides. Default 2, so that a lost node delays no decision for long."""
    api_server_addresses: NotRequired[list[str]]
    """Address blocks in which the API server listens, for example ["10.0.0.0/24"]: on managed clusters that move it.
    Absent: its addresses at the time of the update."""
    labels: NotRequired[dict[str, str]]
    """Put on every object beside our own labels."""


class Autoscaler(pulumi.ComponentResource):
    """Deployment, identity and rights of the AutoPilot Pod Autoscaler, in the platform's namespace."""

    address: pulumi.Output[str]
    """Host and port inside the cluster of its health, its metrics and what Prometheus is to scrape."""

    def __init__(self, name: str, args: AutoscalerArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        replicas = int(args.get("replicas", manifests.REPLICAS))
        prometheus_url = args.get("prometheus_url", "")
        checks.require(
            f"Autoscaler '{name}'",
            checks.known_keys(args, AutoscalerArgs.__annotations__),
            checks.present(args, "image"),
            checks.at_least("replicas", replicas, 1),
            api_server.block_faults("api_server_addresses", args.get("api_server_addresses", [])),
            checks.labels("labels", args.get("labels", {})),
            checks.web_address("prometheus_url", prometheus_url) if prometheus_url else (),
        )
        super().__init__("headrace:index:Autoscaler", name, dict(args), opts)
        child = pulumi.ResourceOptions(parent=self)
        labels = manifests.standard_labels(names.AUTOSCALER, args.get("labels", {}))
        space = names.SYSTEM_NAMESPACE

        bindings = []
        for suffix, role, rules, namespace in (
            ("read", READ_ROLE, READ_RULES, None),
            ("lease", LEASE_ROLE, LEASE_RULES, space),
        ):
            granted = KubernetesObject(
                f"{name}-{suffix}-role", manifests.cluster_role(role, labels=labels, rules=rules), child
            )
            binding = manifests.role_binding(role, names.AUTOSCALER, labels=labels, namespace=namespace)
            bound = pulumi.ResourceOptions(parent=self, depends_on=[granted])
            bindings.append(KubernetesObject(f"{name}-{suffix}-binding", binding, bound))
        environment = {"HEADRACE_AUTOSCALER_PROMETHEUS_URL": prometheus_url} if prometheus_url else {}
        way = api_server.api_server_rules(name, child, args.get("api_server_addresses", ()))
        prometheus_port = None if prometheus_url == OWN_PROMETHEUS else _port(prometheus_url)
        service = platform_program(
            names.AUTOSCALER,
            name=name,
            parent=self,
            labels=labels,
            pod=controller_pod(names.AUTOSCALER, image=args["image"], labels=labels, ports={}, environment=environment),
            policy=network_policies.autoscaler(space, labels=labels, api_server=way, prometheus_port=prometheus_port),
            replicas=replicas,
            port=manifests.service_port("health", names.CONTROL_HEALTH_PORT, protocol="http"),
            after=bindings,
        )
        self.address = service.urn.apply(lambda _: address(names.AUTOSCALER, names.CONTROL_HEALTH_PORT))
        self.register_outputs({"address": self.address})


def _port(url: str) -> int | None:
    if not url:
        return None
    parts = urlsplit(url)
    return parts.port or {"http": 80, "https": 443}[parts.scheme]
