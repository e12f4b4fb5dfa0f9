"""Shapes of accelerated nodes: how many GPUs of which kind AWS puts into one machine, and what that machine is called.

Pure. Figures are those of AWS' pages on accelerated instances, read in November 2026.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import Final


class Capacity(StrEnum):
    """How nodes are paid for."""

    ON_DEMAND = "on_demand"
    """By the second, as long as AWS has some."""
    SPOT = "spot"
    """A third of the price or less; AWS takes them back with two minutes' notice."""
    RESERVED = "reserved"
    """What was reserved before: On-Demand Capacity Reservations and Capacity Blocks for ML."""


@dataclass(frozen=True, kw_only=True)
class GpuShape:
    """One kind of machine."""

    gpu: str
    count: int
    """GPUs of a node."""
    memory_gib: float
    """Of one GPU."""
    instance_type: str
    vcpus: int
    """Of a node; quotas of AWS count them."""
    family: str
    """Of the quota: G or P."""
    mig: str = ""
    """How Bottlerocket calls the GPU where it can be cut into instances; empty where the GPU cannot."""


SHAPES: Final = (
    GpuShape(gpu="t4", count=1, memory_gib=16, instance_type="g4dn.xlarge", vcpus=4, family="G"),
    GpuShape(gpu="t4", count=4, memory_gib=16, instance_type="g4dn.12xlarge", vcpus=48, family="G"),
    GpuShape(gpu="a10g", count=1, memory_gib=24, instance_type="g5.xlarge", vcpus=4, family="G"),
    GpuShape(gpu="a10g", count=4, memory_gib=24, instance_type="g5.12xlarge", vcpus=48, family="G"),
    GpuShape(gpu="a10g", count=8, memory_gib=24, instance_type="g5.48xlarge", vcpus=192, family="G"),
    GpuShape(gpu="l4", count=1, memory_gib=24, instance_type="g6.xlarge", vcpus=4, family="G"),
    GpuShape(gpu="l4", count=4, memory_gib=24, instance_type="g6.12xlarge", vcpus=48, family="G"),
    GpuShape(gpu="l4", count=8, memory_gib=24, instance_type="g6.48xlarge", vcpus=192, family="G"),
    GpuShape(gpu="l40s", count=1, memory_gib=48, instance_type="g6e.xlarge", vcpus=4, family="G"),
    GpuShape(gpu="l40s", count=4, memory_gib=48, instance_type="g6e.12xlarge", vcpus=48, family="G"),
    GpuShape(gpu="l40s", count=8, memory_gib=48, instance_type="g6e.48xlarge", vcpus=192, family="G"),
    GpuShape(gpu="a100", count=8, memory_gib=40, instance_type="p4d.24xlarge", vcpus=96, family="P", mig="a100.40gb"),
    GpuShape(
        gpu="a100_80", count=8, memory_gib=80, instance_type="p4de.24xlarge", vcpus=96, family="P", mig="a100.80gb"
    ),
    GpuShape(gpu="h100", count=1, memory_gib=80, instance_type="p5.4xlarge", vcpus=16, family="P", mig="h100.80gb"),
    GpuShape(gpu="h100", count=8, memory_gib=80, instance_type="p5.48xlarge", vcpus=192, family="P", mig="h100.80gb"),
    GpuShape(
        gpu="h200", count=8, memory_gib=141, instance_type="p5en.48xlarge", vcpus=192, family="P", mig="h200.141gb"
    ),
)
"""One machine a shape, the one with the fewest cores beside the GPUs: models wait for the GPU."""

QUOTAS: Final = {
    ("G", Capacity.ON_DEMAND): "L-DB2E81BA",
    ("G", Capacity.SPOT): "L-3819A6DF",
    ("P", Capacity.ON_DEMAND): "L-417A185B",
    ("P", Capacity.SPOT): "L-7212CCBC",
}
"""Codes of EC2's quotas on vCPUs of accelerated instances that run at once in a region."""


def shape_of(gpu: str, count: int) -> GpuShape:
    """The shape with this many of these GPUs. Raises KeyError where AWS has none; `shape_faults` says so first."""
    for shape in SHAPES:
        if (shape.gpu, shape.count) == (gpu, count):
            return shape
    raise KeyError((gpu, count))


def shape_faults(gpu: object, count: object) -> Iterator[str]:
    """Whether AWS has such a machine, and which it has."""
    known = dict.fromkeys(shape.gpu for shape in SHAPES)
    if gpu not in known:
        yield f"gpu = {gpu!r}, must be one of {', '.join(known)}"
        return
    counts = [shape.count for shape in SHAPES if shape.gpu == gpu]
    if count not in counts:
        yield (
            f"gpus_per_node = {count!r}, must be one of {', '.join(map(str, counts))} for {gpu}: AWS has no machine "
            "with another number"
        )
