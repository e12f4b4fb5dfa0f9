"""Who may open a connection to whom: pure functions to NetworkPolicies.

Every namespace starts from nothing (`deny_all`); each function below opens exactly one program's flows. A flow between
two of our pods is opened on both sides.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Final

import pulumi

from headrace.components.manifests import Labels, Manifest, metadata
from headrace.contract import names

PROMETHEUS: Final = "prometheus"
"""Value of the component label on our Prometheus pods, and the name of their Service."""
PROMETHEUS_PORT: Final = 9090


def deny_all(namespace: str, *, labels: Labels) -> Manifest:
    """No pod of the namespace accepts or opens a connection."""
    return _policy("default-deny", namespace, labels=labels, selector={}, ingress=[], egress=[])


def pop_proxy(namespace: str, *, labels: Labels) -> Manifest:
    """Anyone reaches the TLS port; the proxy reaches the load balancer and the control plane."""
    return _policy(
        names.POP_PROXY,
        namespace,
        labels=labels,
        selector=_component(names.POP_PROXY),
        ingress=[{"ports": tcp(names.POP_PORT)}, _metrics_readers(names.ENVOY_STATS_PORT)],
        egress=[
            {"to": [_pods(names.LOAD_BALANCER)], "ports": tcp(names.LOAD_BALANCER_PORT)},
            {"to": [_pods(names.ROUTING)], "ports": tcp(names.XDS_PORT)},
            _name_resolution(),
        ],
    )


def load_balancer(namespace: str, *, labels: Labels) -> Manifest:
    """Only the PopProxy reaches it; it reaches model pods in endpoint namespaces and the control plane."""
    return _policy(
        names.LOAD_BALANCER,
        namespace,
        labels=labels,
        selector=_component(names.LOAD_BALANCER),
        ingress=[
            {"from": [_pods(names.POP_PROXY)], "ports": tcp(names.LOAD_BALANCER_PORT)},
            _metrics_readers(names.ENVOY_STATS_PORT),
        ],
        egress=[
            {"to": [_model_pods()], "ports": tcp(names.FRONT_PORT, names.FRONT_GRPC_PORT)},
            {"to": [_pods(names.ROUTING)], "ports": tcp(names.XDS_PORT)},
            _name_resolution(),
        ],
    )


def control_plane(namespace: str, *, labels: Labels, api_server_ports: pulumi.Input[Sequence[Manifest]]) -> Manifest:
    """The proxies reach it for their configuration; it reaches the API server, known by `api_server_ports` (`tcp`).

    No selector stands for the API server and its address changes on managed clusters, so the rule is by port.
    """
    return _policy(
        names.ROUTING,
        namespace,
        labels=labels,
        selector=_component(names.ROUTING),
        ingress=[
            {"from": [_pods(names.POP_PROXY), _pods(names.LOAD_BALANCER)], "ports": tcp(names.XDS_PORT)},
            _metrics_readers(names.CONTROL_HEALTH_PORT),
        ],
        egress=[
            {"ports": api_server_ports},
            {"to": [_pods(names.AUTOSCALER)], "ports": tcp(names.CONTROL_HEALTH_PORT)},
            _name_resolution(),
        ],
    )


def autoscaler(
    namespace: str,
    *,
    labels: Labels,
    api_server_ports: pulumi.Input[Sequence[Manifest]],
    prometheus_port: int | None = None,
) -> Manifest:
    """The control plane wakes it; it reaches the API server, the balancers' statistics, and the pods' admin ports.

    It may ask our Prometheus. With `prometheus_port` it reaches any address on that port, too: another Prometheus is
    the user's and anywhere.
    """
    return _policy(
        names.AUTOSCALER,
        namespace,
        labels=labels,
        selector=_component(names.AUTOSCALER),
        ingress=[{"from": [_pods(names.ROUTING), _pods(PROMETHEUS)], "ports": tcp(names.CONTROL_HEALTH_PORT)}],
        egress=[
            {"ports": api_server_ports},
            {"to": [_pods(names.LOAD_BALANCER)], "ports": tcp(names.ENVOY_STATS_PORT)},
            {"to": [_model_pods()], "ports": tcp(names.FRONT_ADMIN_PORT)},
            {"to": [_pods(PROMETHEUS)], "ports": tcp(PROMETHEUS_PORT)},
            *([] if prometheus_port is None else [{"ports": tcp(prometheus_port)}]),
            _name_resolution(),
        ],
    )


def prometheus(namespace: str, *, labels: Labels) -> Manifest:
    """The autoscaler asks it; it asks the autoscaler which pods there are, and reads balancers and model pods."""
    return _policy(
        PROMETHEUS,
        namespace,
        labels=labels,
        selector=_component(PROMETHEUS),
        ingress=[{"from": [_pods(names.AUTOSCALER)], "ports": tcp(PROMETHEUS_PORT)}],
        egress=[
            {"to": [_pods(names.AUTOSCALER)], "ports": tcp(names.CONTROL_HEALTH_PORT)},
            {"to": [_pods(names.LOAD_BALANCER)], "ports": tcp(names.ENVOY_STATS_PORT)},
            {"to": [_model_pods()], "ports": tcp(names.FRONT_ADMIN_PORT)},
            _name_resolution(),
        ],
    )


def model_pods(namespace: str, *, labels: Labels) -> Manifest:
    """The load balancer reaches the model's ports, the autoscaler and Prometheus its admin port; it reaches nobody."""
    return _policy(
        "model",
        namespace,
        labels=labels,
        selector={"matchExpressions": [{"key": names.ENDPOINT_LABEL, "operator": "Exists"}]},
        ingress=[
            {
                "from": [_platform_pods(names.LOAD_BALANCER)],
                "ports": tcp(names.FRONT_PORT, names.FRONT_GRPC_PORT),
            },
            {
                "from": [_platform_pods(names.AUTOSCALER), _platform_pods(PROMETHEUS)],
                "ports": tcp(names.FRONT_ADMIN_PORT),
            },
        ],
        egress=[],
    )


def api_server_ports(behind: Sequence[Mapping[str, Any]]) -> list[Manifest]:
    """Rule for the port of the Service `kubernetes` and those `behind` it: policies differ in which they see."""
    return tcp(*sorted({443, *(int(entry["port"]) for entry in behind)}))


def _policy(
    name: str,
    namespace: str,
    *,
    labels: Labels,
    selector: Manifest,
    ingress: Sequence[Manifest],
    egress: Sequence[Manifest],
) -> Manifest:
    return {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "NetworkPolicy",
        "metadata": metadata(name, namespace, labels=labels),
        "spec": {
            "podSelector": selector,
            "policyTypes": ["Ingress", "Egress"],
            "ingress": list(ingress),
            "egress": list(egress),
        },
    }


def tcp(*ports: int) -> list[Manifest]:
    """Entries of a rule's `ports`."""
    return [{"protocol": "TCP", "port": port} for port in ports]


def _component(name: str) -> Manifest:
    return {"matchLabels": {names.COMPONENT_LABEL: name}}


def _pods(component: str) -> Manifest:
    """Pods of the platform, seen from their own namespace."""
    return {"podSelector": _component(component)}


def _platform_pods(component: str) -> Manifest:
    """Pods of the platform, seen from another namespace."""
    return {"namespaceSelector": _namespace(names.SYSTEM_NAMESPACE), "podSelector": _component(component)}


def _model_pods() -> Manifest:
    anything: dict[str, Any] = {"matchExpressions": [{"key": names.ENDPOINT_LABEL, "operator": "Exists"}]}
    return {"namespaceSelector": anything, "podSelector": anything}


def _namespace(name: str) -> Manifest:
    return {"matchLabels": {"kubernetes.io/metadata.name": name}}


def _metrics_readers(port: int) -> Manifest:
    return {"from": [_pods(names.AUTOSCALER), _pods(PROMETHEUS)], "ports": tcp(port)}


def _name_resolution() -> Manifest:
    """The cluster's DNS pods, which every distribution labels k8s-app=kube-dns in kube-system."""
    return {
        "to": [
            {
                "namespaceSelector": _namespace("kube-system"),
                "podSelector": {"matchLabels": {"k8s-app": "kube-dns"}},
            }
        ],
        "ports": [{"protocol": "UDP", "port": 53}, {"protocol": "TCP", "port": 53}],
    }
