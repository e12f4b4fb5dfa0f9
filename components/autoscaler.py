"""Autoscaler: the controller that sets the number of pods of each version and how many requests a pod takes at once.

Its rights are split: what it reads, it reads everywhere; what it writes (the scale of Deployments, events), it may
write only in namespaces of endpoints, where ModelEndpoint binds the role SCALE_ROLE. Not created here: that role and
the kind, which endpoints need on a platform without a controller too (ServingPlatform), and a Prometheus
(Observability); without one the controller reads balancers and pods itself.
"""

from typing import Final, NotRequired, TypedDict
from urllib.parse import urlsplit

import pulumi

from headrace.components import checks, flows, manifests, pods
from headrace.components.kubernetes_object import ApiServerEndpoints, KubernetesObject
from headrace.components.observability import URL as OWN_PROMETHEUS
from headrace.components.platform_program import platform_program
from headrace.contract import names

_WATCH: Final = ["get", "list", "watch"]
READ_ROLE: Final = f"headrace-{names.AUTOSCALER}"
LEASE_ROLE: Final = f"headrace-{names.AUTOSCALER}-lease"

READ_RULES: Final[list[manifests.Manifest]] = [
    {"apiGroups": [names.API_GROUP], "resources": [names.APA_PLURAL], "verbs": _WATCH},
    {"apiGroups": ["apps"], "resources": ["deployments"], "verbs": _WATCH},
    {"apiGroups": [""], "resources": ["pods"], "verbs": _WATCH},
    # One Deployment with two masters swings between them; the controller refuses it and says so.
    {"apiGroups": ["autoscaling"], "resources": ["horizontalpodautoscalers"], "verbs": _WATCH},
]
LEASE_RULES: Final[list[manifests.Manifest]] = [
    {"apiGroups": ["coordination.k8s.io"], "resources": ["leases"], "verbs": ["get", "create", "update"]},
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
    labels: NotRequired[dict[str, str]]
    """Put on every object beside our own labels."""


class Autoscaler(pulumi.ComponentResource):
    """Deployment, identity and rights of the AutoPilot Pod Autoscaler, in the platform's namespace."""

    address: pulumi.Output[str]
    """Host and port of its wake-up calls inside the cluster."""

    def __init__(self, name: str, args: AutoscalerArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        replicas = int(args.get("replicas", 2))
        prometheus_url = args.get("prometheus_url", "")
        checks.require(
            f"Autoscaler '{name}'",
            checks.known_keys(args, AutoscalerArgs.__annotations__),
            checks.present(args, "image"),
            checks.at_least("replicas", replicas, 1),
            checks.labels("labels", args.get("labels", {})),
            checks.web_address("prometheus_url", prometheus_url) if prometheus_url else (),
        )
        super().__init__("headrace:index:Autoscaler", name, dict(args), opts)
        child = pulumi.ResourceOptions(parent=self)
        labels = manifests.standard_labels(names.AUTOSCALER, args.get("labels", {}))
        space = names.SYSTEM_NAMESPACE

        roles = [
            KubernetesObject(f"{name}-{suffix}-role", manifests.cluster_role(role, labels=labels, rules=rules), child)
            for suffix, role, rules in (
                ("read", READ_ROLE, READ_RULES),
                ("lease", LEASE_ROLE, LEASE_RULES),
            )
        ]
        bound = pulumi.ResourceOptions(parent=self, depends_on=roles)
        ours = {"account": names.AUTOSCALER, "account_namespace": space}
        bindings = [
            KubernetesObject(
                f"{name}-read-binding", manifests.cluster_role_binding(READ_ROLE, labels=labels, **ours), bound
            ),
            KubernetesObject(
                f"{name}-lease-binding",
                manifests.role_binding(LEASE_ROLE, space, labels=labels, role=LEASE_ROLE, **ours),
                bound,
            ),
        ]
        environment = {"HEADRACE_AUTOSCALER_PROMETHEUS_URL": prometheus_url} if prometheus_url else {}
        api_server = ApiServerEndpoints(f"{name}-api-server", child).ports.apply(flows.api_server_ports)
        platform_program(
            names.AUTOSCALER,
            name=name,
            parent=self,
            labels=labels,
            pod=pods.controller_pod(
                names.AUTOSCALER, image=args["image"], labels=labels, ports={}, environment=environment
            ),
            policy=flows.autoscaler(
                space,
                labels=labels,
                api_server_ports=api_server,
                prometheus_port=None if prometheus_url == OWN_PROMETHEUS else _port(prometheus_url),
            ),
            replicas=replicas,
            after=bindings,
        )
        service = KubernetesObject(
            f"{name}-service",
            manifests.service(
                names.AUTOSCALER,
                space,
                labels=labels,
                selector={names.COMPONENT_LABEL: names.AUTOSCALER},
                ports=[manifests.service_port("health", names.CONTROL_HEALTH_PORT, protocol="http")],
            ),
            child,
        )
        self.address = service.urn.apply(lambda _: f"{names.AUTOSCALER}.{space}.svc:{names.CONTROL_HEALTH_PORT}")
        self.register_outputs({"address": self.address})


def _port(url: str) -> int | None:
    if not url:
        return None
    parts = urlsplit(url)
    return parts.port or {"http": 80, "https": 443}[parts.scheme]
