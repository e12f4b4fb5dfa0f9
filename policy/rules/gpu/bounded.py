"""A pool of GPUs has a ceiling: a loop somewhere must not buy a data centre."""

from collections.abc import Iterator

from rules.gpu.node_pool import is_gpu_pool
from rules.rule import ObjectRule, Resource, Settings


def _judge(resource: Resource, _: Settings) -> Iterator[str]:
    if is_gpu_pool(resource) and not resource.spec.get("limits"):
        yield "nothing bounds how many GPUs it buys; set spec.limits, for example nvidia.com/gpu: 8"


RULE = ObjectRule(
    name="kubernetes-gpupool-bounds",
    description="Pools of GPU nodes have limits.",
    judge=_judge,
)
