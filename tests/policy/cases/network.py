"""Networks with holes."""

from typing import Any

from judging import COMPONENT_LABEL, Case, deployment, kubernetes
from rules.network import default_deny, egress, exposure, ingress, tls

_CLOSED = {"podSelector": {}, "policyTypes": ["Ingress", "Egress"], "ingress": [], "egress": []}
_HTTPS = [{"protocol": "TCP", "port": 443}]
_EVERYWHERE = [{"ipBlock": {"cidr": "0.0.0.0/0"}}]


def _policy(**changes: Any) -> Any:
    return kubernetes("networking.k8s.io/v1:NetworkPolicy", {**_CLOSED, **changes})


def _service(**spec: Any) -> Any:
    return kubernetes("core/v1:Service", spec)


CASES = [
    Case(default_deny.RULE, [deployment(), _policy()]),
    Case(default_deny.RULE, [_policy()]),
    Case(default_deny.RULE, [deployment()], "Namespace endpoint-fraud: its pods can be reached"),
    *(
        Case(default_deny.RULE, [deployment(), _policy(**hole)], "add a NetworkPolicy")
        for hole in (
            {"policyTypes": ["Ingress"]},
            {"podSelector": {"matchLabels": {"app": "other"}}},
            {"ingress": [{}]},
            {"egress": [{"to": []}]},
        )
    ),
    Case(ingress.RULE, [_policy()]),
    Case(ingress.RULE, [_policy(ingress=[{"ports": _HTTPS}])]),
    Case(ingress.RULE, [_policy(ingress=[{"from": [{"podSelector": {}}]}])]),
    Case(ingress.RULE, [_policy(ingress=[{}])], "lets everybody in"),
    Case(ingress.RULE, [_policy(ingress=[None])], "lets everybody in"),
    Case(egress.RULE, [_policy()]),
    Case(egress.RULE, [_policy(egress=[{"ports": _HTTPS}])]),
    Case(egress.RULE, [_policy(egress=[{"to": [{"ipBlock": {"cidr": "10.0.0.0/8"}}]}])]),
    Case(egress.RULE, [_policy(egress=[{}])], "every address on every port"),
    Case(egress.RULE, [_policy(egress=[{"to": _EVERYWHERE}])], "every address on every port"),
    Case(exposure.RULE, [_service(type="ClusterIP"), _service()]),
    Case(exposure.RULE, [_service(type="LoadBalancer", selector={COMPONENT_LABEL: "pop-proxy"})]),
    Case(exposure.RULE, [_service(type="LoadBalancer")], "type LoadBalancer opens it"),
    Case(exposure.RULE, [_service(type="NodePort")], "type NodePort opens it"),
    Case(exposure.RULE, [_service(type="NodePort")], config={"public_services": ["thing"]}),
    Case(exposure.RULE, [_service(externalIPs=["192.0.2.1"])], "externalIPs"),
    Case(tls.RULE, [kubernetes("networking.k8s.io/v1:Ingress", {"tls": [{"secretName": "s"}]})]),
    Case(tls.RULE, [kubernetes("networking.k8s.io/v1:Ingress", {"rules": []})], "set spec.tls"),
    Case(
        tls.RULE,
        [kubernetes("gateway.networking.k8s.io/v1:Gateway", {"listeners": [{"name": "web", "protocol": "HTTP"}]})],
        "listener web speaks HTTP",
    ),
    Case(tls.RULE, [kubernetes("gateway.networking.k8s.io/v1:Gateway", {"listeners": [{"protocol": "HTTPS"}]})]),
]
