"""A controller on a fake clock: the loop with a cluster, a source and pods that a test arranges."""

from collections.abc import Mapping

from headrace.autoscaler.counter_aggregation import Reading, Targets
from headrace.autoscaler.engine import LoadCounters
from headrace.autoscaler.fake_cluster import FakeCluster
from headrace.autoscaler.held_requests import HeldRequests
from headrace.autoscaler.journal import Journal
from headrace.autoscaler.load_sources import Source
from headrace.autoscaler.loop import Loop
from headrace.autoscaler.reconcile import Reconciler
from headrace.contract import names
from headrace.contract.apa import AutoscalerSpec
from headrace.kube.api_server import Key
from headrace.kube.lease import Elector

KEY: Key = ("endpoint-fraud", "v1")


class Pods:
    """Takes limits."""

    def set_limit(self, address: str, limit: int) -> None:
        pass


class Load:
    """A source whose rate the test sets."""

    def __init__(self) -> None:
        self.rate: float | None = 0.0
        self.total = 0.0

    def read(self, targets: Targets, now: float) -> Mapping[Key, Reading]:
        if self.rate is None:
            return {}
        self.total += self.rate
        load = LoadCounters(
            arrived=self.total,
            completed=self.total,
            executing_seconds=0.05 * self.total,
            queued_seconds=0,
            executing=0.05 * self.rate,
        )
        return {key: Reading(taken_at=now, load=load) for key in targets.pods}


class Controller:
    """A loop on a fake clock."""

    def __init__(
        self,
        cluster: FakeCluster,
        identity: str = "one",
        *,
        source: Source | None = None,
        held: HeldRequests | None = None,
    ) -> None:
        self.now = 0.0
        self.jumped = 0.0
        """By how much the wall clock was set; the monotonic one never is."""
        self.load = Load()
        self.elector = Elector(cluster, identity, names.SYSTEM_NAMESPACE, names.AUTOSCALER)
        self.loop = Loop(
            cluster,
            self.load if source is None else source,  # type: ignore[arg-type]
            Reconciler(cluster, Pods(), Journal("")),
            self.elector,
            held=held,
            wall=self.wall,
            monotonic=lambda: self.now,
        )

    def wall(self) -> float:
        return 1_780_000_000.0 + self.now + self.jumped

    def tick(self, seconds: int = 1) -> None:
        for _ in range(seconds):
            self.now += 1.0
            self.loop.tick()


def cluster_of(replicas: int = 1, **spec: object) -> FakeCluster:
    cluster = FakeCluster()
    cluster.add_version(*KEY, spec=AutoscalerSpec(target="v1", **spec).to_json(), replicas=replicas)  # type: ignore[arg-type]
    return cluster
