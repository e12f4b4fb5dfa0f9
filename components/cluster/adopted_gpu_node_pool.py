"""AdoptedGpuNodePool: GPU nodes that exist already, in any Kubernetes, known by their labels.

It creates nothing. Who made the nodes sees to the device plugin and to the taint nvidia.com/gpu.
"""

from collections.abc import Iterator, Mapping
from typing import TypedDict

import pulumi

from headrace.components.kubernetes import checks


class AdoptedGpuNodePoolArgs(TypedDict):
    """Inputs of AdoptedGpuNodePool."""

    node_selector: dict[str, str]
    """Labels that these nodes have and no other, for example {"cloud.google.com/gke-accelerator": "nvidia-l4"}."""
    gpu_memory_gib: float
    """Memory of one of their GPUs."""


class AdoptedGpuNodePool(pulumi.ComponentResource):
    """GPU nodes that somebody else made; it has the outputs of a GpuNodePool."""

    node_selector: pulumi.Output[Mapping[str, str]]
    """What leads a model's pods to the pool: its `node_selector`."""
    gpu_memory_gib: pulumi.Output[float]
    """Memory of one GPU: the `gpu_memory_gib` of a model's runtime."""

    def __init__(self, name: str, args: AdoptedGpuNodePoolArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        checks.require(f"AdoptedGpuNodePool '{name}'", _faults(args))
        super().__init__("headrace:index:AdoptedGpuNodePool", name, dict(args), opts)
        self.node_selector = pulumi.Output.from_input(args["node_selector"])
        self.gpu_memory_gib = pulumi.Output.from_input(args["gpu_memory_gib"])
        self.register_outputs({"node_selector": self.node_selector, "gpu_memory_gib": self.gpu_memory_gib})


def _faults(args: AdoptedGpuNodePoolArgs) -> Iterator[str]:
    yield from checks.known_keys(args, AdoptedGpuNodePoolArgs.__annotations__)
    yield from checks.present(args, "node_selector", "gpu_memory_gib")
    selector = args.get("node_selector")
    if selector is not None:
        yield from checks.kubernetes_labels("node_selector", selector)
        if isinstance(selector, Mapping) and not selector:
            yield "node_selector is empty, which is every node; name the labels of those with GPUs"
    if args.get("gpu_memory_gib") is not None:
        yield from checks.at_least("gpu_memory_gib", args["gpu_memory_gib"], 1)
