"""Network policies, judged by the connections they let through: a truth table of who reaches whom."""

import ipaddress
from typing import Any

import pytest

from headrace.components.kubernetes import network_policies
from headrace.contract import names

SYSTEM = names.SYSTEM_NAMESPACE


def pod(namespace: str, **labels: str) -> dict[str, Any]:
    spaces = {"kubernetes.io/metadata.name": namespace}
    if namespace.startswith("endpoint-"):
        spaces[names.ENDPOINT_LABEL] = namespace.removeprefix("endpoint-")
    return {"namespace": namespace, "namespace_labels": spaces, "labels": labels}


def component(name: str) -> dict[str, Any]:
    return pod(SYSTEM, **{names.COMPONENT_LABEL: name})


def model(endpoint: str) -> dict[str, Any]:
    return pod(f"endpoint-{endpoint}", **{names.ENDPOINT_LABEL: endpoint, names.VERSION_LABEL: "v1"})


PODS = {
    "client": None,
    "pop": component(names.POP_PROXY),
    "balancer": component(names.LOAD_BALANCER),
    "control": component(names.ROUTING),
    "management": component(names.MANAGEMENT),
    "console": component(names.CONSOLE),
    "tables": component(names.TABLES),
    "autoscaler": component(names.AUTOSCALER),
    "activator": component(names.ACTIVATOR),
    "prometheus": component(network_policies.PROMETHEUS),
    "rollout": component(names.ROLLOUT),
    "collector": component(names.COLLECTOR),
    "model a": model("a"),
    "model b": model("b"),
    "stranger": pod("default", app="other"),
    "dns": pod("kube-system", **{"k8s-app": "kube-dns"}),
    "api server": "192.0.2.10",
}
"""None is somebody outside the cluster's pods, and so is an address."""

API_SERVER = [network_policies.to_blocks(["192.0.2.10"], 6443), network_policies.to_blocks(["10.96.0.1"], 443)]
OTHERS = list(PODS.values())
POLICIES = [
    network_policies.deny_all(SYSTEM, labels={}),
    network_policies.pop_proxy(SYSTEM, labels={}),
    network_policies.load_balancer(SYSTEM, labels={}),
    network_policies.control_plane(SYSTEM, labels={}, api_server=API_SERVER),
    network_policies.management(SYSTEM, labels={}, api_server=API_SERVER),
    network_policies.console(SYSTEM, labels={}, api_server=API_SERVER),
    network_policies.tables(SYSTEM, labels={}, api_server=API_SERVER),
    network_policies.activator(SYSTEM, labels={}, api_server=API_SERVER),
    network_policies.autoscaler(SYSTEM, labels={}, api_server=API_SERVER),
    network_policies.prometheus(SYSTEM, labels={}),
    network_policies.rollout_controller(SYSTEM, labels={}, api_server=API_SERVER),
    network_policies.collector(SYSTEM, labels={}),
    *(
        policy
        for endpoint in ("a", "b")
        for policy in (
            network_policies.deny_all(f"endpoint-{endpoint}", labels={}),
            network_policies.model_pods(f"endpoint-{endpoint}", labels={}),
        )
    ),
]

CONTROLLERS = ("control", "management", "console", "tables", "activator", "autoscaler", "rollout")
OPEN = {
    ("client", "pop", names.POP_PORT),
    ("stranger", "pop", names.POP_PORT),
    ("pop", "balancer", names.LOAD_BALANCER_PORT),
    ("pop", "control", names.XDS_PORT),
    ("pop", "management", names.MANAGEMENT_PORT),
    ("pop", "console", names.CONSOLE_PORT),
    ("console", "pop", names.POP_PORT),
    ("console", "tables", names.TABLES_PORT),
    ("console", "prometheus", network_policies.PROMETHEUS_PORT),
    ("console", "api server", 6443),
    ("console", "dns", 53),
    ("tables", "api server", 6443),
    ("tables", "dns", 53),
    ("management", "balancer", names.LOAD_BALANCER_PORT),
    ("management", "model a", names.FRONT_ADMIN_PORT),
    ("management", "model b", names.FRONT_ADMIN_PORT),
    ("management", "dns", 53),
    ("balancer", "control", names.XDS_PORT),
    ("balancer", "model a", names.FRONT_PORT),
    ("balancer", "model b", names.FRONT_PORT),
    ("control", "api server", 6443),
    ("control", "model a", names.FRONT_ADMIN_PORT),
    ("control", "model b", names.FRONT_ADMIN_PORT),
    ("management", "api server", 6443),
    ("balancer", "activator", names.ACTIVATOR_PORT),
    ("activator", "api server", 6443),
    ("activator", "dns", 53),
    ("autoscaler", "activator", names.CONTROL_HEALTH_PORT),
    ("autoscaler", "api server", 6443),
    ("autoscaler", "balancer", names.ENVOY_STATS_PORT),
    ("autoscaler", "model a", names.FRONT_ADMIN_PORT),
    ("autoscaler", "model b", names.FRONT_ADMIN_PORT),
    ("autoscaler", "dns", 53),
    ("autoscaler", "prometheus", network_policies.PROMETHEUS_PORT),
    ("prometheus", "balancer", names.ENVOY_STATS_PORT),
    ("prometheus", "autoscaler", names.CONTROL_HEALTH_PORT),
    ("prometheus", "model a", names.FRONT_ADMIN_PORT),
    ("prometheus", "model b", names.FRONT_ADMIN_PORT),
    ("prometheus", "dns", 53),
    ("rollout", "api server", 6443),
    ("rollout", "balancer", names.ENVOY_STATS_PORT),
    ("rollout", "balancer", names.LOAD_BALANCER_PORT),
    ("rollout", "model a", names.FRONT_ADMIN_PORT),
    ("rollout", "model b", names.FRONT_ADMIN_PORT),
    ("rollout", "dns", 53),
    ("pop", "dns", 53),
    ("balancer", "dns", 53),
    ("control", "dns", 53),
    ("pop", "collector", names.OTLP_GRPC_PORT),
    ("balancer", "collector", names.OTLP_GRPC_PORT),
    *((controller, "collector", names.OTLP_HTTP_PORT) for controller in CONTROLLERS),
    ("collector", "tables", names.TABLES_PORT),
    ("collector", "dns", 53),
}
"""Everything that may connect. The PopProxy's and the control plane's measures are open to a Prometheus with our label,
and ours does not read them."""

PORTS = sorted(
    {
        names.POP_PORT,
        names.LOAD_BALANCER_PORT,
        names.XDS_PORT,
        names.ACTIVATOR_PORT,
        names.CONTROL_HEALTH_PORT,
        names.MANAGEMENT_PORT,
        names.CONSOLE_PORT,
        names.TABLES_PORT,
        names.OTLP_GRPC_PORT,
        names.OTLP_HTTP_PORT,
        names.ENVOY_ADMIN_PORT,
        names.ENVOY_STATS_PORT,
        names.FRONT_PORT,
        names.FRONT_ADMIN_PORT,
        network_policies.PROMETHEUS_PORT,
        53,
        443,
        6443,
    }
)


@pytest.mark.parametrize(
    "source",
    [
        *("client", "stranger", "pop", "balancer", "control", "management", "autoscaler", "prometheus"),
        *("rollout", "activator", "console", "tables", "collector"),
        *("model a", "model b"),
    ],
)
def test_exactly_the_intended_connections_are_open(source: str) -> None:
    found = {
        (source, target, port)
        for target in PODS
        for port in PORTS
        if source != target and governed(source, target) and allowed(source, target, port)
    }

    assert found == {flow for flow in OPEN if flow[0] == source}


def test_the_autoscaler_reaches_the_users_prometheus_by_its_port_alone() -> None:
    policy = network_policies.autoscaler(SYSTEM, labels={}, api_server=[], prometheus_port=9090)

    open_to_all = [rule["ports"] for rule in policy["spec"]["egress"] if "to" not in rule]
    assert network_policies.tcp(9090) in open_to_all


def test_the_control_plane_reaches_issuers_of_tokens_by_their_ports_alone() -> None:
    policy = network_policies.control_plane(SYSTEM, labels={}, api_server=[], issuer_ports=[443, 8443])

    open_to_all = [rule["ports"] for rule in policy["spec"]["egress"] if "to" not in rule]
    assert open_to_all == [network_policies.tcp(443, 8443)]


def test_an_api_server_of_which_no_address_is_known_is_nobody_and_not_everybody() -> None:
    for rule in (network_policies.to_blocks([], 443), network_policies.to_blocks(["192.0.2.10"])):
        assert not any(_peer_matches(entry, peer, component(names.ROUTING)) for entry in rule["to"] for peer in OTHERS)


def test_a_new_pod_of_a_namespace_starts_with_no_connection_at_all() -> None:
    """deny_all selects every pod, also one whose labels no other policy knows."""
    unknown = pod("endpoint-a", app="unknown")

    assert not any(accepts(other, unknown, port) for other in PODS.values() for port in PORTS)


def governed(source: str, target: str) -> bool:
    """A connection between two pods that no policy selects says nothing about ours."""
    return any(
        isinstance(end, dict) and any(selects(policy, end) for policy in POLICIES)
        for end in (PODS[source], PODS[target])
    )


def allowed(source: str, target: str, port: int) -> bool:
    return accepts(PODS[source], PODS[target], port) and opens(PODS[source], PODS[target], port)


def accepts(source: Any, target: Any, port: int) -> bool:
    return _permits(target, source, port, "ingress", "from")


def opens(source: Any, target: Any, port: int) -> bool:
    return _permits(source, target, port, "egress", "to")


def _permits(subject: Any, peer: Any, port: int, direction: str, peers: str) -> bool:
    """NetworkPolicy as Kubernetes defines it: policies that select a pod add up, and one that does isolates it."""
    if not isinstance(subject, dict):
        return True
    selecting = [policy["spec"] for policy in POLICIES if selects(policy, subject)]
    return not selecting or any(
        (peers not in rule or any(_peer_matches(entry, peer, subject) for entry in rule[peers]))
        and ("ports" not in rule or port in [entry["port"] for entry in rule["ports"]])
        for spec in selecting
        for rule in spec[direction]
    )


def selects(policy: Any, subject: Any) -> bool:
    return policy["metadata"]["namespace"] == subject["namespace"] and _matches(
        policy["spec"]["podSelector"], subject["labels"]
    )


def _peer_matches(entry: Any, peer: Any, subject: Any) -> bool:
    if "ipBlock" in entry:
        block = ipaddress.ip_network(entry["ipBlock"]["cidr"])
        return isinstance(peer, str) and ipaddress.ip_address(peer) in block
    if not isinstance(peer, dict):
        return False
    if "namespaceSelector" in entry:
        near = _matches(entry["namespaceSelector"], peer["namespace_labels"])
    else:
        near = peer["namespace"] == subject["namespace"]
    return near and _matches(entry.get("podSelector", {}), peer["labels"])


def _matches(selector: Any, labels: Any) -> bool:
    assert set(selector) <= {"matchLabels", "matchExpressions"}
    assert all(expression["operator"] == "Exists" for expression in selector.get("matchExpressions", []))
    return selector.get("matchLabels", {}).items() <= labels.items() and all(
        expression["key"] in labels for expression in selector.get("matchExpressions", [])
    )
