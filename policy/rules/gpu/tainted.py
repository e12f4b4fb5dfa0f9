"""Nodes with GPUs keep away pods that need none."""

from collections.abc import Iterator

from rules.gpu.node_pool import is_gpu_pool, node_template
from rules.rule import ObjectRule, Resource, Settings

_KEEPS_AWAY = frozenset(("NoSchedule", "NoExecute"))


def _judge(resource: Resource, _: Settings) -> Iterator[str]:
    if not is_gpu_pool(resource):
        return
    taints = node_template(resource).get("taints") or ()
    if not any(taint.get("effect") in _KEEPS_AWAY for taint in taints):
        yield (
            "pods without GPUs are placed on its nodes and keep them from going; set the taint nvidia.com/gpu with "
            "effect NoSchedule"
        )


RULE = ObjectRule(
    name="kubernetes-gpupool-taint",
    description="Pools of GPU nodes are tainted.",
    judge=_judge,
)
