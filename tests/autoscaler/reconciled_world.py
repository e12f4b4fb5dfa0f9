"""A controller's World: a cluster in memory, a load, and a clock of the test's own."""

from dataclasses import dataclass, field
from typing import Any

from headrace.autoscaler.counter_aggregation import Reading
from headrace.autoscaler.engine import LoadCounters
from headrace.autoscaler.fake_cluster import FakeCluster
from headrace.autoscaler.journal import Journal
from headrace.autoscaler.reconcile import Reconciler, owners
from headrace.contract.apa import AutoscalerSpec
from headrace.kube.api_server import Key, named

NAMESPACE = "endpoint-fraud"
KEY: Key = (NAMESPACE, "v1")


@dataclass
class RecordingFronts:
    """Pods that take every limit."""

    limits: dict[str, int] = field(default_factory=dict)

    def set_limit(self, address: str, limit: int) -> None:
        self.limits[address] = limit


class World:
    """A cluster, its controller and a load, on a fake clock."""

    def __init__(self, *, replicas: int = 1, **spec: Any) -> None:
        self.cluster = FakeCluster()
        self.fronts = RecordingFronts()
        self.spec = AutoscalerSpec(target="v1", **spec)
        self.cluster.add_version(*KEY, spec=self.spec.to_json(), replicas=replicas)
        self.now = 1_780_000_000.0
        self.total = 0.0
        self.start_controller()

    def start_controller(self) -> None:
        """A new controller that knows nothing."""
        self.reconciler = Reconciler(self.cluster, self.fronts, Journal(""))

    def look(self, rate: float | None, *, key: Key = KEY, queued: float = 0.0) -> None:
        """One second with that load (None: nothing is reported), one look."""
        self.now += 1.0
        reading = None
        if rate is not None:
            self.total += rate
            load = LoadCounters(
                arrived=self.total,
                completed=self.total,
                executing_seconds=0.05 * self.total,
                queued_seconds=0.0,
                queued=queued,
                executing=0.05 * rate,
            )
            pods = self.cluster.pods(*key)
            limits = frozenset(self.fronts.limits.get(pod.address, 1) for pod in pods)
            reading = Reading(taken_at=self.now, load=load, limits=limits)
        items = {named(item): item for item in self.cluster.autoscalers()}
        self.reconciler.reconcile(items[key], reading, self.now, owner=owners(items.values())[key])

    def run(self, seconds: int, rate: float | None) -> None:
        """That many looks, pods following at once."""
        for _ in range(seconds):
            self.look(rate)
            self.cluster.settle(*KEY)

    @property
    def replicas(self) -> int:
        return int(self.cluster.deployments[KEY]["spec"]["replicas"])

    def status(self, key: Key = KEY) -> dict[str, Any]:
        found: dict[str, Any] = self.cluster.objects[key].get("status", {})
        return found

    def condition(self, kind: str, key: Key = KEY) -> tuple[str, str]:
        """Status and reason."""
        found = {condition["type"]: condition for condition in self.status(key)["conditions"]}
        return found[kind]["status"], found[kind]["reason"]

    def reasons(self) -> list[str]:
        return [event["reason"] for event in self.cluster.events]
