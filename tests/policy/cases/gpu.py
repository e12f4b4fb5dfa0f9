"""Pools of GPU nodes that anything may fill, and without an end."""

from typing import Any

from judging import Case, kubernetes
from rules.gpu import bounded, tainted
from rules.rule import Resource

_TAINT = {"key": "nvidia.com/gpu", "value": "true", "effect": "NoSchedule"}
_BY_FAMILY = {"key": "karpenter.k8s.aws/instance-family", "operator": "In", "values": ["g6", "p5"]}
_BY_COUNT = {"key": "karpenter.k8s.aws/instance-gpu-count", "operator": "Gt", "values": ["0"]}
_WITHOUT = {"key": "karpenter.k8s.aws/instance-category", "operator": "In", "values": ["c", "m"]}


def _pool(requirement: Any, taints: Any = (), **spec: Any) -> list[Resource]:
    template = {"spec": {"requirements": [requirement], "taints": list(taints)}}
    return [kubernetes("karpenter.sh/v1:NodePool", {"template": template, **spec})]


CASES = [
    Case(bounded.RULE, _pool(_BY_FAMILY, limits={"nvidia.com/gpu": 8})),
    Case(bounded.RULE, _pool(_WITHOUT)),
    Case(bounded.RULE, _pool(_BY_FAMILY), "how many GPUs it buys"),
    Case(bounded.RULE, _pool(_BY_COUNT), "how many GPUs it buys"),
    Case(tainted.RULE, _pool(_BY_FAMILY, [_TAINT])),
    Case(tainted.RULE, _pool(_WITHOUT)),
    Case(tainted.RULE, _pool(_BY_COUNT), "set the taint"),
    Case(tainted.RULE, _pool(_BY_FAMILY, [{**_TAINT, "effect": "PreferNoSchedule"}]), "set the taint"),
    Case(tainted.RULE, _pool(_WITHOUT, limits={"nvidia.com/gpu": 8}), "set the taint"),
]
