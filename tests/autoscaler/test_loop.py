"""The loop: ticks, wake-up calls, leaving and taking the lead."""

from collections.abc import Mapping

from headrace.autoscaler.engine import LoadCounters
from headrace.autoscaler.fake_kube import FakeCluster
from headrace.autoscaler.journal import Journal
from headrace.autoscaler.kube import Key
from headrace.autoscaler.lease import Elector
from headrace.autoscaler.loop import Loop
from headrace.autoscaler.metrics import Reading, Targets
from headrace.autoscaler.reconcile import WAKE_ANNOTATION, Reconciler
from headrace.contract.apa import AutoscalerSpec

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

    def __init__(self, cluster: FakeCluster, identity: str = "one") -> None:
        self.now = 0.0
        self.load = Load()
        self.elector = Elector(cluster, identity)
        self.loop = Loop(
            cluster,
            self.load,  # type: ignore[arg-type]
            Reconciler(cluster, Pods(), Journal("")),
            self.elector,
            wall=lambda: 1_780_000_000.0 + self.now,
            monotonic=lambda: self.now,
        )

    def tick(self, seconds: int = 1) -> None:
        for _ in range(seconds):
            self.now += 1.0
            self.loop.tick()


def _cluster(replicas: int = 1, **spec: object) -> FakeCluster:
    cluster = FakeCluster()
    cluster.add_version(*KEY, spec=AutoscalerSpec(target="v1", **spec).to_json(), replicas=replicas)  # type: ignore[arg-type]
    return cluster


def test_a_call_wakes_a_sleeping_version_without_waiting_for_the_tick() -> None:
    cluster = _cluster(replicas=0, min_replicas=0)
    controller = Controller(cluster)
    controller.tick(3)

    assert controller.loop.wake(KEY)
    controller.loop.answer_calls()

    assert cluster.deployments[KEY]["spec"]["replicas"] == 1


def test_a_call_for_nobody_is_told_so() -> None:
    controller = Controller(_cluster())

    assert not controller.loop.wake(("endpoint-fraud", "v9"))


def test_a_replica_without_the_lease_passes_the_call_on() -> None:
    cluster = _cluster(replicas=0, min_replicas=0)
    leader, follower = Controller(cluster, "one"), Controller(cluster, "two")
    leader.tick(3)
    follower.tick(3)

    assert follower.loop.wake(KEY)
    assert WAKE_ANNOTATION in cluster.objects[KEY]["metadata"]["annotations"]
    leader.tick()

    assert cluster.deployments[KEY]["spec"]["replicas"] == 1


def test_a_crash_of_the_leader_changes_no_replicas_and_the_next_decides_soon() -> None:
    """R21."""
    cluster = _cluster(replicas=5)
    first, second = Controller(cluster, "one"), Controller(cluster, "two")
    first.load.rate = second.load.rate = 10.0
    first.tick(10)
    second.tick(10)
    cluster.scalings.clear()

    second.tick(15)

    assert second.elector.leading
    assert cluster.scalings == []
    second.load.rate = 2000.0
    second.tick(6)
    assert cluster.deployments[KEY]["spec"]["replicas"] > 5


def test_ten_minutes_of_silence_scale_nothing() -> None:
    """R18, R22: sources and API server come and go."""
    cluster = _cluster(replicas=5)
    controller = Controller(cluster)
    controller.load.rate = 10.0
    controller.tick(5)
    controller.load.rate = None
    cluster.down = True
    controller.tick(120)
    cluster.down = False
    controller.tick(500)

    assert cluster.scalings == []


def test_one_version_that_surprises_does_not_stop_the_others() -> None:
    cluster = _cluster()
    other: Key = ("endpoint-fraud", "v2")
    cluster.add_version(*other, spec=AutoscalerSpec(target="v2").to_json())
    cluster.deployments[KEY]["spec"]["replicas"] = "nonsense"
    controller = Controller(cluster)
    controller.load.rate = 1000.0

    controller.tick(10)

    assert cluster.deployments[other]["spec"]["replicas"] > 1


def test_readiness_does_not_depend_on_leading() -> None:
    cluster = _cluster()
    first, second = Controller(cluster, "one"), Controller(cluster, "two")
    first.tick()
    second.tick()

    assert first.loop.ready() == (True, "leading")
    assert second.loop.ready() == (True, "standing by")
    assert second.loop.alive()[0]
    second.now += 100
    assert not second.loop.alive()[0]
