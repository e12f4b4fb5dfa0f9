"""NetworkPolicies as pure functions: which program may open a connection to which.

Every namespace denies all connections by default (`deny_all`); each function below allows one program's connections. A
connection between two of our pods is allowed on both sides.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Final

import pulumi

from headrace.components.kubernetes.manifests import Labels, Manifest, kubernetes_object, metadata
from headrace.contract import names

PROMETHEUS: Final = "prometheus"
"""Value of the component label on our Prometheus pods, and the name of their Service."""
PROMETHEUS_PORT: Final = 9090
_OF_AN_ENDPOINT: Final[Manifest] = {"matchExpressions": [{"key": names.ENDPOINT_LABEL, "operator": "Exists"}]}
"""Selects namespaces and pods of endpoints."""


def deny_all(namespace: str, *, labels: Labels) -> Manifest:
    """No pod of the namespace accepts or opens a connection."""
    return _policy("default-deny", namespace, labels=labels, selector={}, ingress=[], egress=[])


def pop_proxy(namespace: str, *, labels: Labels) -> Manifest:
    """Anyone reaches the TLS port; the proxy reaches the load balancer, the management API and the control plane."""
    ingress = [{"ports": tcp(names.POP_PORT)}, _metrics_readers(names.ENVOY_STATS_PORT)]
    egress = [
        {"to": [_pods(names.LOAD_BALANCER)], "ports": tcp(names.LOAD_BALANCER_PORT)},
        {"to": [_pods(names.MANAGEMENT)], "ports": tcp(names.MANAGEMENT_PORT)},
        {"to": [_pods(names.ROUTING)], "ports": tcp(names.XDS_PORT)},
        _name_resolution(),
    ]
    return _policy(names.POP_PROXY, namespace, labels=labels, ingress=ingress, egress=egress)


def load_balancer(namespace: str, *, labels: Labels) -> Manifest:
    """PopProxy and management API reach it; it reaches model pods in endpoint namespaces and the control plane."""
    ingress = [
        {"from": [_pods(names.POP_PROXY), _pods(names.MANAGEMENT)], "ports": tcp(names.LOAD_BALANCER_PORT)},
        _metrics_readers(names.ENVOY_STATS_PORT),
    ]
    egress = [
        {"to": [_model_pods()], "ports": tcp(names.FRONT_PORT)},
        {"to": [_pods(names.ROUTING)], "ports": tcp(names.XDS_PORT)},
        _name_resolution(),
    ]
    return _policy(names.LOAD_BALANCER, namespace, labels=labels, ingress=ingress, egress=egress)


def control_plane(namespace: str, *, labels: Labels, api_server_ports: pulumi.Input[Sequence[Manifest]]) -> Manifest:
    """The proxies reach it for their configuration; it reaches the API server, known by `api_server_ports` (`tcp`).

    No selector stands for the API server and its address changes on managed clusters, so the rule is by port.
    """
    ingress = [
        {"from": [_pods(names.POP_PROXY), _pods(names.LOAD_BALANCER)], "ports": tcp(names.XDS_PORT)},
        _metrics_readers(names.CONTROL_HEALTH_PORT),
    ]
    egress = [{"ports": api_server_ports}, _name_resolution()]
    return _policy(names.ROUTING, namespace, labels=labels, ingress=ingress, egress=egress)


def management(namespace: str, *, labels: Labels, api_server_ports: pulumi.Input[Sequence[Manifest]]) -> Manifest:
    """The PopProxy reaches it; it reaches the API server, the load balancer and the admin ports of model pods."""
    ingress = [
        {"from": [_pods(names.POP_PROXY)], "ports": tcp(names.MANAGEMENT_PORT)},
        _metrics_readers(names.CONTROL_HEALTH_PORT),
    ]
    egress: list[Manifest] = [
        {"ports": api_server_ports},
        {"to": [_pods(names.LOAD_BALANCER)], "ports": tcp(names.LOAD_BALANCER_PORT)},
        {"to": [_model_pods()], "ports": tcp(names.FRONT_ADMIN_PORT)},
        _name_resolution(),
    ]
    return _policy(names.MANAGEMENT, namespace, labels=labels, ingress=ingress, egress=egress)


def autoscaler(
    namespace: str,
    *,
    labels: Labels,
    api_server_ports: pulumi.Input[Sequence[Manifest]],
    prometheus_port: int | None = None,
) -> Manifest:
    """Our Prometheus asks it what to scrape; it reaches the API server, balancers' statistics and pods' admin ports.

    It may ask our Prometheus. With `prometheus_port` it reaches any address on that port, too: another Prometheus is
    the user's and anywhere.
    """
    ingress = [{"from": [_pods(PROMETHEUS)], "ports": tcp(names.CONTROL_HEALTH_PORT)}]
    egress = [
        {"ports": api_server_ports},
        *_load_sources(),
        {"to": [_pods(PROMETHEUS)], "ports": tcp(PROMETHEUS_PORT)},
        *([] if prometheus_port is None else [{"ports": tcp(prometheus_port)}]),
        _name_resolution(),
    ]
    return _policy(names.AUTOSCALER, namespace, labels=labels, ingress=ingress, egress=egress)


def prometheus(namespace: str, *, labels: Labels) -> Manifest:
    """The autoscaler asks it; it asks the autoscaler which pods there are, and reads balancers and model pods."""
    ingress = [{"from": [_pods(names.AUTOSCALER)], "ports": tcp(PROMETHEUS_PORT)}]
    egress = [
        {"to": [_pods(names.AUTOSCALER)], "ports": tcp(names.CONTROL_HEALTH_PORT)},
        *_load_sources(),
        _name_resolution(),
    ]
    return _policy(PROMETHEUS, namespace, labels=labels, ingress=ingress, egress=egress)


def model_pods(namespace: str, *, labels: Labels) -> Manifest:
    """The load balancer reaches the model's ports, and who reads measures its admin port; it reaches nobody."""
    readers = [_platform_pods(name) for name in (names.AUTOSCALER, names.MANAGEMENT, PROMETHEUS)]
    ingress = [
        {"from": [_platform_pods(names.LOAD_BALANCER)], "ports": tcp(names.FRONT_PORT)},
        {"from": readers, "ports": tcp(names.FRONT_ADMIN_PORT)},
    ]
    return _policy("model", namespace, labels=labels, selector=_OF_AN_ENDPOINT, ingress=ingress, egress=[])


def api_server_ports(behind: Sequence[Mapping[str, Any]]) -> list[Manifest]:
    """Rule for the port of the Service `kubernetes` and those `behind` it: policies differ in which they see."""
    return tcp(*sorted({443, *(int(entry["port"]) for entry in behind)}))


def _policy(
    name: str,
    namespace: str,
    *,
    labels: Labels,
    ingress: Sequence[Manifest],
    egress: Sequence[Manifest],
    selector: Manifest | None = None,
) -> Manifest:
    """All that the pods of `selector` accept and open; absent: the pods of the platform's program `name`."""
    spec = {
        "podSelector": _component(name) if selector is None else selector,
        "policyTypes": ["Ingress", "Egress"],
        "ingress": list(ingress),
        "egress": list(egress),
    }
    described = metadata(name, namespace, labels=labels)
    return kubernetes_object("networking.k8s.io/v1", "NetworkPolicy", described, spec=spec)


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
    return {"namespaceSelector": _OF_AN_ENDPOINT, "podSelector": _OF_AN_ENDPOINT}


def _namespace(name: str) -> Manifest:
    return {"matchLabels": {"kubernetes.io/metadata.name": name}}


def _load_sources() -> list[Manifest]:
    """What load is read from: the balancers' statistics, and the model pods' admin port."""
    return [
        {"to": [_pods(names.LOAD_BALANCER)], "ports": tcp(names.ENVOY_STATS_PORT)},
        {"to": [_model_pods()], "ports": tcp(names.FRONT_ADMIN_PORT)},
    ]


def _metrics_readers(port: int) -> Manifest:
    return {"from": [_pods(names.AUTOSCALER), _pods(PROMETHEUS)], "ports": tcp(port)}


def _name_resolution() -> Manifest:
    """The cluster's DNS pods, which every distribution labels k8s-app=kube-dns in kube-system."""
    resolver = {"namespaceSelector": _namespace("kube-system"), "podSelector": {"matchLabels": {"k8s-app": "kube-dns"}}}
    return {"to": [resolver], "ports": [{"protocol": "UDP", "port": 53}, {"protocol": "TCP", "port": 53}]}
