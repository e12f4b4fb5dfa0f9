"""Endpoints that anybody may call, that may cost anything, or whose model may change unseen."""

from typing import Any

from judging import CUSTOM, ENDPOINT_LABEL, Case, deployment
from rules.endpoints import access, budget, ceiling, egress, namespace, pinned_model, quota, replicas
from rules.rule import Resource

_PART_OF = {"app.kubernetes.io/part-of": "headrace"}
_ENFORCE = "pod-security.kubernetes.io/enforce"


def _custom(kind: str, **spec: Any) -> list[Resource]:
    props = {"metadata": {"name": "fraud", "namespace": "endpoint-fraud"}, "spec": spec}
    return [Resource(type=f"{CUSTOM}:{kind}", props=props)]


def _serving(uri: str) -> list[Resource]:
    return _custom("ModelEndpoint", versions=[{"name": "v7", "modelUri": uri}])


def _namespace(**labels: str) -> Resource:
    return Resource(
        type="kubernetes:core/v1:Namespace", props={"metadata": {"name": "endpoint-fraud", "labels": labels}}
    )


def _egress(kind: str, *rules: Any, namespace: str = "endpoint-fraud") -> list[Resource]:
    group = "networking.k8s.io/v1" if kind == "NetworkPolicy" else "cilium.io/v2"
    props = {"metadata": {"name": "model", "namespace": namespace}, "spec": {"egress": list(rules)}}
    return [Resource(type=f"kubernetes:{group}:{kind}", props=props)]


def _to(*blocks: str) -> dict[str, Any]:
    return {"to": [{"ipBlock": {"cidr": block}} for block in blocks], "ports": [{"port": 443}]}


_BY_POD = {"to": [{"namespaceSelector": {"matchLabels": {"a": "b"}}}]}
_BY_NAME = {"toFQDNs": [{"matchName": "api.openai.com"}, {"matchPattern": "*.example.com"}]}
_QUOTA = Resource(type="kubernetes:core/v1:ResourceQuota", props={"metadata": {"namespace": "endpoint-fraud"}})

CASES = [
    Case(replicas.RULE, [deployment()]),
    Case(replicas.RULE, [deployment(lambda spec, pod, c: spec.update(replicas=3))], "spec.replicas = 3"),
    Case(replicas.RULE, [deployment(lambda spec, pod, c: spec.update(replicas=0))], "spec.replicas = 0"),
    Case(namespace.RULE, [_namespace(**_PART_OF, **{_ENFORCE: "restricted"})]),
    Case(namespace.RULE, [_namespace()]),
    Case(namespace.RULE, [_namespace(**_PART_OF, **{_ENFORCE: "baseline"})], "it is 'baseline'"),
    Case(namespace.RULE, [_namespace(**_PART_OF)], "it is None"),
    *(
        Case(egress.RULE, resources, f"the model may connect to {words}; name hosts or networks")
        for resources, words in (
            (_egress("NetworkPolicy", _to("0.0.0.0/0")), "0.0.0.0/0"),
            (_egress("NetworkPolicy", _to("::/0")), "::/0"),
            (_egress("NetworkPolicy", _to("0.0.0.0/1"), _to("128.0.0.0/1")), "0.0.0.0/0"),
            (_egress("NetworkPolicy", _to("8.0.0.0/7")), "8.0.0.0/7"),
            (_egress("NetworkPolicy", {"ports": [{"port": 443}]}), "every address"),
            (_egress("NetworkPolicy", {"to": [{"namespaceSelector": {}}]}), "every pod of the cluster"),
            (_egress("CiliumNetworkPolicy", {"toFQDNs": [{"matchPattern": "*"}]}), "every host (*)"),
            (_egress("CiliumNetworkPolicy", {"toFQDNs": [{"matchPattern": "*.*"}]}), "every host (*.*)"),
            (_egress("CiliumNetworkPolicy", {"toEntities": ["world"]}), "every address (world)"),
            (_egress("CiliumNetworkPolicy", {"toCIDR": ["0.0.0.0/0"]}), "0.0.0.0/0"),
            (_egress("CiliumNetworkPolicy", {"toCIDRSet": [{"cidr": "0.0.0.0/0"}]}), "0.0.0.0/0"),
        )
    ),
    Case(egress.RULE, _egress("NetworkPolicy", _to("10.0.0.0/8", "11.0.0.0/16"), _BY_POD)),
    Case(egress.RULE, _egress("NetworkPolicy", _to("no network"))),
    Case(egress.RULE, _egress("NetworkPolicy", _to("0.0.0.0/0"), namespace="headrace-system")),
    Case(egress.RULE, _egress("CiliumNetworkPolicy", _BY_NAME)),
    Case(access.RULE, _custom("ModelEndpoint", access={"subjects": ["checkout"]})),
    Case(access.RULE, _custom("ModelEndpoint"), "allowed_subjects"),
    Case(access.RULE, _custom("ModelEndpoint", access={"subjects": [], "groups": ["corp:risk"]})),
    Case(access.RULE, _custom("ModelEndpoint", access={"subjects": []}), "allowed_subjects"),
    Case(access.RULE, _custom("ModelEndpoint", access={"groups": []}), "allowed_groups"),
    *(
        Case(pinned_model.RULE, _serving(uri))
        for uri in ("models:/fraud/7", "models:/ml.prod.fraud/7", "models:/m-0a1b", "runs:/4f2/model")
    ),
    *(
        Case(pinned_model.RULE, _serving(uri), f"serves {uri!r}")
        for uri in ("models:/fraud/latest", "models:/fraud@champion", "models:/fraud/Production", "s3://b/model")
    ),
    Case(ceiling.RULE, _custom("AutopilotPodAutoscaler")),
    Case(ceiling.RULE, _custom("AutopilotPodAutoscaler", maxReplicas=8), config={"most_replicas": 8}),
    Case(ceiling.RULE, _custom("AutopilotPodAutoscaler", maxReplicas=101), "101 pods and this stack allows 100"),
    Case(ceiling.RULE, _custom("AutopilotPodAutoscaler"), "100 pods and this stack allows 8", {"most_replicas": 8}),
    Case(budget.RULE, _custom("AutopilotPodAutoscaler", budget={"costPerHour": 5})),
    Case(budget.RULE, _custom("AutopilotPodAutoscaler"), "nothing bounds what it may cost"),
    Case(
        budget.RULE,
        _custom("AutopilotPodAutoscaler", budget={"costPerHour": 5}),
        "cost 5 an hour and this stack allows 4",
        {"most_cost_per_hour": 4},
    ),
    Case(quota.RULE, [_namespace(**{ENDPOINT_LABEL: "fraud"}), _QUOTA]),
    Case(quota.RULE, [_namespace()]),
    Case(quota.RULE, [_namespace(**{ENDPOINT_LABEL: "fraud"})], "Namespace endpoint-fraud: nothing bounds"),
]
