"""Prices: what a pod costs by the hour, from the share of a node that it takes. Pure.

The table holds on-demand prices of AWS in us-east-1, in USD, as Karpenter 1.13.1 ships them
(`pkg/providers/pricing/zz_generated.pricing_aws.go`, generated from AWS' price list on 2026-05-18).
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any, Final, NotRequired, TypedDict

from headrace.components.cluster.gpu_shapes import SHAPES
from headrace.contract.codec import decode, read
from headrace.contract.declaration import Bounds, NotEmpty

_POOL_PRICES: Final = {
    "g4dn.xlarge": 0.526,
    "g4dn.12xlarge": 3.912,
    "g5.xlarge": 1.006,
    "g5.12xlarge": 5.672,
    "g5.48xlarge": 16.288,
    "g6.xlarge": 0.8048,
    "g6.12xlarge": 4.6016,
    "g6.48xlarge": 13.3504,
    "g6e.xlarge": 1.861,
    "g6e.12xlarge": 10.49264,
    "g6e.48xlarge": 30.13118,
    "p4d.24xlarge": 21.957642,
    "p4de.24xlarge": 27.44705,
    "p5.4xlarge": 6.88,
    "p5.48xlarge": 55.04,
    "p5en.48xlarge": 63.296,
}
"""By the machines of GpuNodePool, an hour of one."""
_SOURCE: Final = "AWS on demand, us-east-1, 2026-05-18"

Price = Annotated[float, Bounds(minimum=0)]


class PricedNode(TypedDict):
    """A node without GPUs, of which pods take shares."""

    cores: NotRequired[float]
    """Default 4."""
    memory_gib: NotRequired[float]
    """Default 16."""
    per_hour: NotRequired[float]
    """An hour of it. Default 0.2016, an m7i.xlarge."""


class PriceList(TypedDict):
    """What nodes cost by the hour; what is absent is as in the table of AWS on demand in us-east-1."""

    node: NotRequired[PricedNode]
    """A node without GPUs."""
    gpus: NotRequired[dict[str, float]]
    """One GPU for an hour with its part of the machine, by kind as in GpuNodePool."""
    currency: NotRequired[str]
    """Of all prices. Default USD."""
    source: NotRequired[str]
    """Where the prices come from and of which day they are; it is told beside every cost. Absent: the table's, or with
    other fields, that they were set."""


@dataclass(frozen=True, kw_only=True)
class NodePrice:
    """A node without GPUs, of which pods take shares."""

    cores: Annotated[float, Bounds(above=0)] = 4.0
    memory_gib: Annotated[float, Bounds(above=0)] = 16.0
    per_hour: Price = 0.2016
    """Default an m7i.xlarge, the first choice of EksCluster."""


@dataclass(frozen=True, kw_only=True)
class PodPrice:
    """What one pod costs."""

    per_hour: float
    reason: str
    """Of what it is a share."""


@dataclass(frozen=True, kw_only=True)
class Prices:
    """A PriceList, checked."""

    node: NodePrice = field(default_factory=NodePrice)
    gpus: Mapping[str, Price] = field(default_factory=dict)
    """One GPU for an hour with its part of the machine, by kind as in GpuNodePool; others are those of the table."""
    currency: NotEmpty = "USD"
    source: NotEmpty = _SOURCE
    """Where the prices come from and of which day they are; it is printed beside them."""

    @classmethod
    def of_setting(cls, setting: Any) -> "Prices":
        """Of a PriceList, all of which may be absent. Raises InputError with every fault."""
        given = {} if setting is None else setting
        named = {"source": "the setting `prices`", **given} if given else {}
        return decode(cls, named, subject="prices")

    @staticmethod
    def faults(setting: Any) -> Iterator[str]:
        """All that is wrong with a PriceList, each by its place."""
        yield from (f"prices.{fault}" for fault in read(Prices, setting)[1])

    def of_pod(
        self, *, cores: float, memory_gib: float, gpus: int = 0, gpu_memory_gib: float = 0.0, pool: str = ""
    ) -> PodPrice | None:
        """The larger of a pod's shares of a node's cores and memory, or of a machine's GPUs; None where no machine has
        as many of them.

        A pod with GPUs is priced as the kind `pool`, where its pool has a kind's name, else as the cheapest kind with
        so much memory.
        """
        if gpus == 0:
            share = max(cores / self.node.cores, memory_gib / self.node.memory_gib)
            whole = f"a node of {self.node.cores:g} cores and {self.node.memory_gib:g} GiB"
            return PodPrice(per_hour=share * self.node.per_hour, reason=f"{share:.0%} of {whole}")
        held = [shape for shape in SHAPES if shape.count >= gpus]
        # Whoever binds pods to a pool has said by that what memory is enough.
        fitting = [shape for shape in held if shape.gpu == pool] or [
            shape for shape in held if shape.memory_gib >= gpu_memory_gib
        ]
        if not fitting:
            return None
        costs = {shape.gpu: self._of_gpu(shape.gpu, gpus) for shape in fitting}
        kind = min(costs, key=lambda name: costs[name])
        return PodPrice(per_hour=gpus * costs[kind], reason=f"{gpus} x {kind}")

    def _of_gpu(self, kind: str, gpus: int) -> float:
        """One GPU of the machine that is cheapest among those with so many."""
        if kind in self.gpus:
            return self.gpus[kind]
        machines = [shape for shape in SHAPES if shape.gpu == kind and shape.count >= gpus]
        return min(_POOL_PRICES[shape.instance_type] / shape.count for shape in machines)
