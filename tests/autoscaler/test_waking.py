"""Waking: what the loop does for a version that sleeps while requests wait for it."""

from fake_controller import KEY, Controller, cluster_of

from headrace.autoscaler.held_requests import Held, HeldRequests
from headrace.kube.api_server import Key


def test_requests_for_a_sleeping_version_wake_it_at_the_next_tick() -> None:
    cluster = cluster_of(replicas=0, min_replicas=0)
    controller = Controller(cluster)
    controller.tick(3)
    assert cluster.deployments[KEY]["spec"]["replicas"] == 0

    controller.load.rate = 1.0
    controller.tick()

    assert cluster.deployments[KEY]["spec"]["replicas"] == 1


class Waiting(HeldRequests):
    """What a test says waits."""

    def __init__(self) -> None:
        super().__init__()
        self.of: dict[Key, Held] = {}

    def counts(self) -> dict[Key, Held]:
        return self.of


def test_requests_that_wait_wake_a_version_between_two_ticks() -> None:
    cluster, waiting = cluster_of(replicas=0, min_replicas=0), Waiting()
    controller = Controller(cluster, held=waiting)
    controller.tick(3)
    waiting.of[KEY] = Held(100, 0.01)

    controller.loop.wake()

    assert cluster.deployments[KEY]["spec"]["replicas"] == 1
    assert cluster.objects[KEY]["status"]["reason"] == "Woken"
    controller.loop.wake()
    assert cluster.scalings == [(*KEY, 1)]


def test_a_version_is_woken_while_nobody_reports_load() -> None:
    cluster, waiting = cluster_of(replicas=0, min_replicas=0), Waiting()
    controller = Controller(cluster, held=waiting)
    controller.tick(3)
    controller.load.rate = None
    waiting.of[KEY] = Held(1, 0.01)

    controller.tick()

    assert cluster.deployments[KEY]["spec"]["replicas"] == 1


def test_who_does_not_lead_wakes_nobody() -> None:
    cluster, waiting = cluster_of(replicas=0, min_replicas=0), Waiting()
    Controller(cluster, "leader").tick(3)
    other = Controller(cluster, "other", held=waiting)
    other.tick(3)
    waiting.of[KEY] = Held(1, 0.01)

    other.loop.wake()

    assert cluster.scalings == []
