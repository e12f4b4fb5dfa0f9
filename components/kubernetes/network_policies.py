"""NetworkPolicies as pure functions: which program may open a connection to which.

Every namespace denies all connections by default (`deny_all`); each function below allows one program's connections. A
connection between two of our pods is allowed on both sides.
"""

import ipaddress
from collections.abc import Sequence
from typing import Final

import pulumi

from headrace.components.kubernetes.manifests import Labels, Manifest, kubernetes_object, metadata
from headrace.contract import names

PROMETHEUS: Final = "prometheus"
"""Value of the component label on our Prometheus pods, and the name of their Service."""
PROMETHEUS_PORT: Final = 9090
COLLECTOR_METRICS_PORT: Final = 8888
"""The Collector's own measures."""
CILIUM: Final = "cilium.io/v2"
"""API of Cilium's own policies, which know names."""
_OF_AN_ENDPOINT: Final[Manifest] = {"matchExpressions": [{"key": names.ENDPOINT_LABEL, "operator": "Exists"}]}
"""Selects namespaces and pods of endpoints."""


def deny_all(namespace: str, *, labels: Labels) -> Manifest:
    """No pod of the namespace accepts or opens a connection."""
    return _policy("default-deny", namespace, labels=labels, selector={}, ingress=[], egress=[])


def pop_proxy(namespace: str, *, labels: Labels) -> Manifest:
    """Anyone reaches the TLS port; the proxy reaches the load balancer, the management API, the console, the control
    plane and the Collector."""
    ingress = [{"ports": tcp(names.POP_PORT)}, _metrics_readers(names.ENVOY_STATS_PORT)]
    egress = [
        {"to": [_pods(names.LOAD_BALANCER)], "ports": tcp(names.LOAD_BALANCER_PORT)},
        {"to": [_pods(names.MANAGEMENT)], "ports": tcp(names.MANAGEMENT_PORT)},
        {"to": [_pods(names.CONSOLE)], "ports": tcp(names.CONSOLE_PORT)},
        {"to": [_pods(names.ROUTING)], "ports": tcp(names.XDS_PORT)},
        _to_collector(),
        _name_resolution(),
    ]
    return _policy(names.POP_PROXY, namespace, labels=labels, ingress=ingress, egress=egress)


def load_balancer(namespace: str, *, labels: Labels) -> Manifest:
    """PopProxy, management API and rollout controller reach it, and that its statistics; it reaches model pods in
    endpoint namespaces, the control plane, the activator and the Collector."""
    ingress = [
        {"from": [_pods(names.POP_PROXY), _pods(names.MANAGEMENT)], "ports": tcp(names.LOAD_BALANCER_PORT)},
        _metrics_readers(names.ENVOY_STATS_PORT),
        {"from": [_pods(names.ROLLOUT)], "ports": tcp(names.LOAD_BALANCER_PORT, names.ENVOY_STATS_PORT)},
    ]
    egress = [
        {"to": [_model_pods()], "ports": tcp(names.FRONT_PORT)},
        {"to": [_pods(names.ROUTING)], "ports": tcp(names.XDS_PORT)},
        {"to": [_pods(names.ACTIVATOR)], "ports": tcp(names.ACTIVATOR_PORT)},
        _to_collector(),
        _name_resolution(),
    ]
    return _policy(names.LOAD_BALANCER, namespace, labels=labels, ingress=ingress, egress=egress)


def control_plane(
    namespace: str,
    *,
    labels: Labels,
    api_server: pulumi.Input[Sequence[Manifest]],
    issuer_ports: Sequence[int] = (),
) -> Manifest:
    """The proxies reach it for their configuration; it reaches the API server, known by its rules (`api_server_rules`)
    because no selector stands for it, and the model pods' admin port, for what they have proven. With `issuer_ports` it
    reaches any address on these, too: issuers of tokens are the user's and anywhere."""
    ingress = [
        {"from": [_pods(names.POP_PROXY), _pods(names.LOAD_BALANCER)], "ports": tcp(names.XDS_PORT)},
        _metrics_readers(names.CONTROL_HEALTH_PORT),
    ]
    proofs: Manifest = {"to": [_model_pods()], "ports": tcp(names.FRONT_ADMIN_PORT)}
    issuers: list[Manifest] = [{"ports": tcp(*issuer_ports)}] if issuer_ports else []
    egress = _of_controller(api_server, proofs, *issuers)
    return _policy(names.ROUTING, namespace, labels=labels, ingress=ingress, egress=egress)


def management(namespace: str, *, labels: Labels, api_server: pulumi.Input[Sequence[Manifest]]) -> Manifest:
    """The PopProxy reaches it; it reaches the API server, the load balancer and the admin ports of model pods."""
    ingress = [
        {"from": [_pods(names.POP_PROXY)], "ports": tcp(names.MANAGEMENT_PORT)},
        _metrics_readers(names.CONTROL_HEALTH_PORT),
    ]
    balancers: Manifest = {"to": [_pods(names.LOAD_BALANCER)], "ports": tcp(names.LOAD_BALANCER_PORT)}
    pods: Manifest = {"to": [_model_pods()], "ports": tcp(names.FRONT_ADMIN_PORT)}
    egress = _of_controller(api_server, balancers, pods)
    return _policy(names.MANAGEMENT, namespace, labels=labels, ingress=ingress, egress=egress)


def activator(namespace: str, *, labels: Labels, api_server: pulumi.Input[Sequence[Manifest]]) -> Manifest:
    """The load balancer asks it when a request may go on, and the autoscaler how many wait; it reaches the API server,
    and no pod."""
    ingress = [
        {"from": [_pods(names.LOAD_BALANCER)], "ports": tcp(names.ACTIVATOR_PORT)},
        _metrics_readers(names.CONTROL_HEALTH_PORT),
    ]
    egress = _of_controller(api_server)
    return _policy(names.ACTIVATOR, namespace, labels=labels, ingress=ingress, egress=egress)


def autoscaler(
    namespace: str,
    *,
    labels: Labels,
    api_server: pulumi.Input[Sequence[Manifest]],
    prometheus_port: int | None = None,
) -> Manifest:
    """Our Prometheus asks it what to scrape; it reaches the API server, balancers' statistics, pods' admin ports
    and the activator.

    It may ask our Prometheus. With `prometheus_port` it reaches any address on that port, too: another Prometheus is
    the user's and anywhere.
    """
    ingress = [{"from": [_pods(PROMETHEUS)], "ports": tcp(names.CONTROL_HEALTH_PORT)}]
    egress = _of_controller(
        api_server,
        *_load_sources(),
        {"to": [_pods(PROMETHEUS)], "ports": tcp(PROMETHEUS_PORT)},
        {"to": [_pods(names.ACTIVATOR)], "ports": tcp(names.CONTROL_HEALTH_PORT)},
        *([] if prometheus_port is None else [{"ports": tcp(prometheus_port)}]),
    )
    return _policy(names.AUTOSCALER, namespace, labels=labels, ingress=ingress, egress=egress)


def rollout_controller(namespace: str, *, labels: Labels, api_server: pulumi.Input[Sequence[Manifest]]) -> Manifest:
    """It reaches the API server, the balancers and their statistics, and the model pods' admin port, for answers."""
    ports = tcp(names.LOAD_BALANCER_PORT, names.ENVOY_STATS_PORT)
    balancers: Manifest = {"to": [_pods(names.LOAD_BALANCER)], "ports": ports}
    answers: Manifest = {"to": [_model_pods()], "ports": tcp(names.FRONT_ADMIN_PORT)}
    egress = _of_controller(api_server, balancers, answers)
    ingress = [_metrics_readers(names.CONTROL_HEALTH_PORT)]
    return _policy(names.ROLLOUT, namespace, labels=labels, ingress=ingress, egress=egress)


def prometheus(namespace: str, *, labels: Labels) -> Manifest:
    """Autoscaler and console ask it; it asks the autoscaler which pods there are, and reads balancers and model
    pods."""
    ingress = [{"from": [_pods(names.AUTOSCALER), _pods(names.CONSOLE)], "ports": tcp(PROMETHEUS_PORT)}]
    egress = [
        {"to": [_pods(names.AUTOSCALER)], "ports": tcp(names.CONTROL_HEALTH_PORT)},
        *_load_sources(),
        _name_resolution(),
    ]
    return _policy(PROMETHEUS, namespace, labels=labels, ingress=ingress, egress=egress)


def tables(
    namespace: str,
    *,
    labels: Labels,
    api_server: pulumi.Input[Sequence[Manifest]],
    store_ports: Sequence[int] = (),
) -> Manifest:
    """Model pods reach it, with the token of their sidecar, and the console and the Collector with theirs. It reaches
    the API server, and any address on the ports of the store, which is the user's and anywhere."""
    ingress = [
        {
            "from": [_model_pods(), _pods(names.CONSOLE), _pods(names.COLLECTOR)],
            "ports": tcp(names.TABLES_PORT),
        },
        _metrics_readers(names.CONTROL_HEALTH_PORT),
    ]
    stores: list[Manifest] = [{"ports": tcp(*store_ports)}] if store_ports else []
    egress = _of_controller(api_server, *stores)
    return _policy(names.TABLES, namespace, labels=labels, ingress=ingress, egress=egress)


def console(
    namespace: str,
    *,
    labels: Labels,
    api_server: pulumi.Input[Sequence[Manifest]],
    prometheus_port: int | None = None,
) -> Manifest:
    """The PopProxy reaches it; it reaches the PopProxy, to try requests, the table writer, our Prometheus and the API
    server. With `prometheus_port` it reaches any address on that port, too, as the autoscaler does."""
    ingress = [
        {"from": [_pods(names.POP_PROXY)], "ports": tcp(names.CONSOLE_PORT)},
        _metrics_readers(names.CONTROL_HEALTH_PORT),
    ]
    egress = _of_controller(
        api_server,
        {"to": [_pods(names.POP_PROXY)], "ports": tcp(names.POP_PORT)},
        {"to": [_pods(names.TABLES)], "ports": tcp(names.TABLES_PORT)},
        {"to": [_pods(PROMETHEUS)], "ports": tcp(PROMETHEUS_PORT)},
        *([] if prometheus_port is None else [{"ports": tcp(prometheus_port)}]),
    )
    return _policy(names.CONSOLE, namespace, labels=labels, ingress=ingress, egress=egress)


def collector(namespace: str, *, labels: Labels, backend_ports: Sequence[int] = ()) -> Manifest:
    """The platform's own pods and model pods send to it; it reaches the table writer, and any address on the ports of
    the user's backends."""
    senders = [{"podSelector": {}}, _model_pods()]
    ingress = [
        {"from": senders, "ports": tcp(names.OTLP_GRPC_PORT, names.OTLP_HTTP_PORT)},
        _metrics_readers(COLLECTOR_METRICS_PORT),
    ]
    egress = [
        {"to": [_pods(names.TABLES)], "ports": tcp(names.TABLES_PORT)},
        *([{"ports": tcp(*backend_ports)}] if backend_ports else []),
        _name_resolution(),
    ]
    return _policy(names.COLLECTOR, namespace, labels=labels, ingress=ingress, egress=egress)


def of_sidecar(*, records: bool) -> list[Manifest]:
    """The rules by which a model pod's sidecar reaches the table writer, where it `records`, and that and the model the
    Collector, by their addresses and without the cluster's DNS."""
    tables: Manifest = {"to": [_platform_pods(names.TABLES)], "ports": tcp(names.TABLES_PORT)}
    return [
        *([tables] if records else []),
        {"to": [_platform_pods(names.COLLECTOR)], "ports": tcp(names.OTLP_GRPC_PORT, names.OTLP_HTTP_PORT)},
    ]


def model_pods(
    namespace: str, *, labels: Labels, egress: Sequence[Manifest] = (), resolves_names: bool = False
) -> Manifest:
    """The load balancer reaches the model's ports, and who reads measures and proofs its admin port.

    The model reaches nobody but whom `egress` permits, and the cluster's DNS where it `resolves_names`.
    """
    programs = (names.AUTOSCALER, names.MANAGEMENT, PROMETHEUS, names.ROLLOUT, names.ROUTING)
    readers = [_platform_pods(name) for name in programs]
    ingress = [
        {"from": [_platform_pods(names.LOAD_BALANCER)], "ports": tcp(names.FRONT_PORT)},
        {"from": readers, "ports": tcp(names.FRONT_ADMIN_PORT, names.SIDECAR_PORT)},
    ]
    permitted = [*egress, *([_name_resolution()] if resolves_names else [])]
    return _policy("model", namespace, labels=labels, selector=_OF_AN_ENDPOINT, ingress=ingress, egress=permitted)


def named_destinations(namespace: str, *, labels: Labels, egress: Sequence[Manifest]) -> Manifest:
    """Model pods reach hosts by their names: Cilium reads the answers of the cluster's DNS, which it lets through."""
    resolver = {"k8s:io.kubernetes.pod.namespace": "kube-system", "k8s:k8s-app": "kube-dns"}
    answers = {"ports": [{"port": "53", "protocol": "ANY"}], "rules": {"dns": [{"matchPattern": "*"}]}}
    spec = {
        "endpointSelector": _OF_AN_ENDPOINT,
        "egress": [{"toEndpoints": [{"matchLabels": resolver}], "toPorts": [answers]}, *egress],
    }
    described = metadata("model-hosts", namespace, labels=labels)
    return kubernetes_object(CILIUM, "CiliumNetworkPolicy", described, spec=spec)


def to_blocks(blocks: Sequence[str], *ports: int) -> Manifest:
    """A rule to these addresses, or blocks of them, on these ports. Without any it is a rule to nobody."""
    if not blocks or not ports:
        # Kubernetes reads an empty `to` as everybody.
        return {"to": [{"podSelector": {"matchLabels": {names.COMPONENT_LABEL: "nobody"}}}], "ports": tcp(*ports)}
    peers = [{"ipBlock": {"cidr": str(ipaddress.ip_network(block))}} for block in blocks]
    return {"to": sorted(peers, key=str), "ports": tcp(*ports)}


def _of_controller(api_server: pulumi.Input[Sequence[Manifest]], *rules: Manifest) -> pulumi.Input[list[Manifest]]:
    """All that a controller opens: these, and the Collector for its lines, found by name."""
    opened = [*rules, _to_collector(names.OTLP_HTTP_PORT), _name_resolution()]
    if isinstance(api_server, Sequence):
        return [*api_server, *opened]
    known: pulumi.Output[Sequence[Manifest]] = pulumi.Output.from_input(api_server)
    return known.apply(lambda found: [*found, *opened])


def _policy(
    name: str,
    namespace: str,
    *,
    labels: Labels,
    ingress: Sequence[Manifest],
    egress: pulumi.Input[Sequence[Manifest]],
    selector: Manifest | None = None,
) -> Manifest:
    """All that the pods of `selector` accept and open; absent: the pods of the platform's program `name`."""
    spec = {
        "podSelector": _component(name) if selector is None else selector,
        "policyTypes": ["Ingress", "Egress"],
        "ingress": list(ingress),
        "egress": list(egress) if isinstance(egress, Sequence) else egress,
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
    return {"namespaceSelector": of_namespace(names.SYSTEM_NAMESPACE), "podSelector": _component(component)}


def _model_pods() -> Manifest:
    return {"namespaceSelector": _OF_AN_ENDPOINT, "podSelector": _OF_AN_ENDPOINT}


def of_namespace(name: str) -> Manifest:
    """Selects the namespace of that name."""
    return {"matchLabels": {"kubernetes.io/metadata.name": name}}


def _load_sources() -> list[Manifest]:
    """What load is read from: the balancers' statistics, and the model pods' admin port."""
    return [
        {"to": [_pods(names.LOAD_BALANCER)], "ports": tcp(names.ENVOY_STATS_PORT)},
        {"to": [_model_pods()], "ports": tcp(names.FRONT_ADMIN_PORT)},
    ]


def _to_collector(port: int = names.OTLP_GRPC_PORT) -> Manifest:
    return {"to": [_pods(names.COLLECTOR)], "ports": tcp(port)}


def _metrics_readers(port: int) -> Manifest:
    return {"from": [_pods(names.AUTOSCALER), _pods(PROMETHEUS)], "ports": tcp(port)}


def _name_resolution() -> Manifest:
    """The cluster's DNS pods, which every distribution labels k8s-app=kube-dns in kube-system."""
    resolver = {
        "namespaceSelector": of_namespace("kube-system"),
        "podSelector": {"matchLabels": {"k8s-app": "kube-dns"}},
    }
    return {"to": [resolver], "ports": [{"protocol": "UDP", "port": 53}, {"protocol": "TCP", "port": 53}]}
