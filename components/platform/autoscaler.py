"""Autoscaler: the controller that sets the number of pods of each version and how many requests a pod takes at once.

It may read in every namespace. It may write (the scale of Deployments, events) only in namespaces of endpoints, where
ModelEndpoint binds the role SCALE_ROLE. Not created here: that role and the CRD, which endpoints need on a platform
without an autoscaler too (ServingPlatform), and a Prometheus (Observability); without one the controller scrapes
balancers and pods itself.
"""

from dataclasses import replace
from functools import partial
from typing import Final, NotRequired, TypedDict
from urllib.parse import urlsplit

import pulumi

from headrace.components.kubernetes import checks, manifests, network_policies
from headrace.components.platform.controller import READ, Controller, Grant, lease_grant, require
from headrace.components.platform.observability import URL as OWN_PROMETHEUS
from headrace.contract import names

READ_RULES: Final[list[manifests.Manifest]] = [
    {"apiGroups": [names.API_GROUP], "resources": [names.APA_PLURAL], "verbs": READ},
    {"apiGroups": ["apps"], "resources": ["deployments"], "verbs": READ},
    {"apiGroups": [""], "resources": ["pods"], "verbs": READ},
    # The controller refuses a Deployment that a HorizontalPodAutoscaler scales too: it would swing between the two.
    {"apiGroups": ["autoscaling"], "resources": ["horizontalpodautoscalers"], "verbs": READ},
]
SCALE_ROLE = f"headrace-{names.AUTOSCALER}-scale"
"""ClusterRole with everything that the autoscaler writes; bound in the namespaces of endpoints."""
SCALE_RULES: Final[list[manifests.Manifest]] = [
    {"apiGroups": ["apps"], "resources": ["deployments/scale"], "verbs": ["get", "patch"]},
    {"apiGroups": [names.API_GROUP], "resources": [f"{names.APA_PLURAL}/status"], "verbs": ["get", "patch"]},
    {"apiGroups": [""], "resources": ["events"], "verbs": ["create"]},
]
_AUTOSCALER: Final = Controller(
    program=names.AUTOSCALER,
    module="autoscaler",
    grants=(
        Grant(role=f"headrace-{names.AUTOSCALER}", rules=READ_RULES, key="-read"),
        lease_grant(f"headrace-{names.AUTOSCALER}-lease"),
    ),
    policy=network_policies.autoscaler,
)


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
    log_collector: NotRequired[str]
    """Host and port of a Collector that takes lines of the log, OTLP over HTTP. Absent: they are in the pods alone."""
    labels: NotRequired[dict[str, str]]
    """Put on every object beside our own labels."""


class Autoscaler(pulumi.ComponentResource):
    """Deployment, identity and rights of the AutoPilot Pod Autoscaler, in the platform's namespace."""

    address: pulumi.Output[str]
    """Host and port inside the cluster of its health, its metrics and what Prometheus is to scrape."""

    def __init__(self, name: str, args: AutoscalerArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        url = args.get("prometheus_url", "")
        faults = checks.web_address("prometheus_url", url) if url else ()
        require("Autoscaler", name, args, faults, shape=AutoscalerArgs)
        super().__init__("headrace:index:Autoscaler", name, dict(args), opts)
        port = None if url == OWN_PROMETHEUS else _port(url)
        controller = replace(_AUTOSCALER, policy=partial(network_policies.autoscaler, prometheus_port=port))
        environment = {"HEADRACE_AUTOSCALER_PROMETHEUS_URL": url} if url else {}
        service = controller.register(self, name, args, environment=environment)
        self.address = service.urn.apply(lambda _: controller.address)
        self.register_outputs({"address": self.address})


def _port(url: str) -> int | None:
    if not url:
        return None
    parts = urlsplit(url)
    return parts.port or {"http": 80, "https": 443}[parts.scheme]
