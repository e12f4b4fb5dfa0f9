"""Monitoring: what the Prometheus operator of a cluster needs to watch the platform, and the way to it.

The platform's own Prometheus keeps ten minutes, for the autoscaler. This one is the user's: it scrapes the platform's
programs and proxies, and takes what model pods say from the platform's Prometheus (federation), so that no policy in a
namespace of an endpoint has to let it in.
"""

from typing import Final, NotRequired, TypedDict

import pulumi

from headrace.components.kubernetes import checks, manifests, network_policies
from headrace.components.kubernetes.manifests import Labels, Manifest
from headrace.components.kubernetes.object import KubernetesObject, ServedApi
from headrace.components.monitoring.alert_rules import ALERTS
from headrace.components.monitoring.cost_rules import COST_RULES
from headrace.components.monitoring.dashboards import dashboard
from headrace.components.monitoring.recording_rules import RECORDING_RULES
from headrace.contract import metrics, names

API: Final = "monitoring.coreos.com/v1"
_NAME: Final = "headrace-monitoring"
_PROXIES: Final = (names.POP_PROXY, names.LOAD_BALANCER)
_CONTROLLERS: Final = (names.ROUTING, names.AUTOSCALER, names.MANAGEMENT, names.ACTIVATOR, names.ROLLOUT, names.TABLES)
_SECONDS: Final = 15
"""Between two scrapes; the rules need two within each of their windows."""


class MonitoringArgs(TypedDict):
    """Inputs of Monitoring."""

    namespace: str
    """Namespace of the Prometheus that may scrape the platform."""
    selected_by: NotRequired[dict[str, str]]
    """Labels by which that Prometheus chooses its monitors and rules, for example {"release": "monitoring"}. Absent:
    none beside our own."""
    labels: NotRequired[dict[str, str]]
    """Put on every object beside our own labels."""


class Monitoring(pulumi.ComponentResource):
    """Monitors, recording rules, alerts and a Grafana dashboard for a cluster with the Prometheus operator."""

    def __init__(self, name: str, args: MonitoringArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        checks.require(
            f"Monitoring '{name}'",
            checks.known_keys(args, MonitoringArgs.__annotations__),
            checks.present(args, "namespace"),
            checks.labels("selected_by", args.get("selected_by", {})),
            checks.labels("labels", args.get("labels", {})),
        )
        super().__init__("headrace:index:Monitoring", name, dict(args), opts)
        child = pulumi.ResourceOptions(parent=self)
        labels = manifests.standard_labels("monitoring", args.get("labels", {}))
        chosen = {**labels, **args.get("selected_by", {})}

        # A cluster without the operator is found out before anything is made.
        served = ServedApi(f"{name}-operator", API, child)
        after = pulumi.ResourceOptions(parent=self, depends_on=[served])
        KubernetesObject(f"{name}-policy", let_in(args["namespace"], labels=labels), child)
        for kind, manifest in objects(labels=chosen).items():
            KubernetesObject(f"{name}-{kind}", manifest, after)
        pictures = manifests.config_map(
            "headrace-dashboard",
            names.SYSTEM_NAMESPACE,
            labels={**labels, "grafana_dashboard": "1"},  # what Grafana's sidecar looks for
            data={"headrace-endpoints.json": dashboard()},
        )
        KubernetesObject(f"{name}-dashboard", pictures, child)
        self.register_outputs({})


def let_in(namespace: str, *, labels: Labels) -> Manifest:
    """The policy by which pods of this namespace reach the metrics of the platform's programs, beside who does so."""
    ports = (names.CONTROL_HEALTH_PORT, names.ENVOY_STATS_PORT, network_policies.PROMETHEUS_PORT)
    spec = {
        "podSelector": {"matchExpressions": [{"key": names.COMPONENT_LABEL, "operator": "Exists"}]},
        "policyTypes": ["Ingress"],
        "ingress": [
            {
                "from": [{"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": namespace}}}],
                "ports": network_policies.tcp(*ports),
            }
        ],
    }
    described = manifests.metadata(_NAME, names.SYSTEM_NAMESPACE, labels=labels)
    return manifests.kubernetes_object("networking.k8s.io/v1", "NetworkPolicy", described, spec=spec)


def objects(*, labels: Labels) -> dict[str, Manifest]:
    """What the operator reads: a PodMonitor of programs and one of proxies, one that federates, and the rules."""

    def monitor(name: str, programs: tuple[str, ...], scrape: Manifest) -> Manifest:
        every = {"interval": f"{_SECONDS}s", "honorLabels": True, **scrape}
        selector = {"matchExpressions": [{"key": names.COMPONENT_LABEL, "operator": "In", "values": list(programs)}]}
        spec = {"selector": selector, "podMetricsEndpoints": [every]}
        described = manifests.metadata(name, names.SYSTEM_NAMESPACE, labels=labels)
        return manifests.kubernetes_object(API, "PodMonitor", described, spec=spec)

    renamed = [
        {"sourceLabels": [f"headrace_{label}"], "regex": "(.+)", "targetLabel": label}
        for label in (metrics.ENDPOINT_METRIC_LABEL, metrics.VERSION_METRIC_LABEL)
    ]
    federated = {"port": "web", "path": "/federate", "params": {"match[]": ['{__name__=~"headrace_.*"}']}}
    rules = {
        "groups": [
            {"name": "headrace.recording", "interval": "30s", "rules": RECORDING_RULES},
            {"name": "headrace.cost", "interval": "60s", "rules": COST_RULES},
            {"name": "headrace.alerts", "rules": [alert.rule() for alert in ALERTS]},
        ]
    }
    described = manifests.metadata("headrace", names.SYSTEM_NAMESPACE, labels=labels)
    return {
        "programs": monitor("headrace-programs", _CONTROLLERS, {"port": "health", "path": metrics.METRICS_PATH}),
        "proxies": monitor(
            "headrace-proxies",
            _PROXIES,
            {"port": "stats", "path": metrics.ENVOY_STATS_PATH, "metricRelabelings": renamed},
        ),
        "models": monitor("headrace-models", (network_policies.PROMETHEUS,), federated),
        "rules": manifests.kubernetes_object(API, "PrometheusRule", described, spec=rules),
    }
