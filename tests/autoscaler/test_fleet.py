"""What a version's pods amount to."""

from typing import Any

import pytest

from headrace.autoscaler.fake_cluster import FakeCluster
from headrace.autoscaler.fleet import (
    Deployment,
    Fleet,
    Fleets,
    State,
    fleet_of,
    read_deployment,
    read_pod,
)

CLUSTER = FakeCluster()


def fleet(*items: dict[str, Any]) -> Fleet:
    return fleet_of(map(read_pod, items))


def test_each_pod_counts_once() -> None:
    found = fleet(
        CLUSTER.pod("a", address="10.0.0.1"),
        CLUSTER.pod("b", address="10.0.0.2", state="starting"),
        CLUSTER.pod("c", state="unschedulable"),
        CLUSTER.pod("d", state="failing"),
    )

    counts = found.counts
    assert (counts.ready, counts.starting, counts.unschedulable, counts.failing) == (1, 1, 1, 1)
    assert found.ready == {"a": "10.0.0.1"}


def test_pods_that_leave_or_have_ended_count_nowhere() -> None:
    leaving = CLUSTER.pod("a", address="10.0.0.1")
    leaving["metadata"]["deletionTimestamp"] = "2026-01-01T00:00:00Z"
    ended = CLUSTER.pod("b", address="10.0.0.2")
    ended["status"]["phase"] = "Failed"

    found = fleet(leaving, ended)

    assert found.counts.ready + found.counts.starting + found.counts.failing == 0


def test_a_fleet_is_counted_again_only_when_a_pod_changed() -> None:
    present = [read_pod(CLUSTER.pod("a", address="10.0.0.1"))]
    fleets = Fleets(lambda namespace, version: present)
    first = fleets.of(("endpoint-fraud", "v1"))

    assert fleets.of(("endpoint-fraud", "v1")) is first
    assert first.asked(3).counts.desired == 3

    present = [*present, read_pod(CLUSTER.pod("b", address="10.0.0.2"))]
    assert fleets.of(("endpoint-fraud", "v1")).counts.ready == 2


def test_fleets_of_versions_that_are_gone_are_dropped() -> None:
    present = [read_pod(CLUSTER.pod("a", address="10.0.0.1"))]
    fleets = Fleets(lambda namespace, version: present)
    stays, goes = fleets.of(("endpoint-fraud", "v2")), fleets.of(("endpoint-fraud", "v1"))

    fleets.keep({("endpoint-fraud", "v2")})

    assert fleets.of(("endpoint-fraud", "v2")) is stays
    assert fleets.of(("endpoint-fraud", "v1")) is not goes


@pytest.mark.parametrize(
    ("state", "counted"),
    [
        ("", State.READY),
        ("starting", State.STARTING),
        ("unschedulable", State.UNSCHEDULABLE),
        ("failing", State.FAILING),
    ],
)
def test_what_is_kept_of_a_pod_is_what_it_counts_as(state: str, counted: State) -> None:
    item = CLUSTER.pod("a", address="10.0.0.1", state=state)
    item["metadata"] |= {"namespace": "endpoint-fraud", "annotations": {"of": "no use"}}
    item["spec"] = {"containers": []}
    item["status"]["conditions"].append({"type": "Initialized", "status": "True"})

    seconds = 10.0 if counted is State.READY else None
    assert read_pod(item)[:4] == ("a", "10.0.0.1", counted, seconds)


def test_the_cold_start_is_the_median_of_first_starts() -> None:
    def started(name: str, seconds: int) -> dict[str, Any]:
        return CLUSTER.pod(
            name, address=f"10.0.0.{seconds}", created="2026-01-01T00:00:00Z", ready=f"2026-01-01T00:00:{seconds:02d}Z"
        )

    restarted = started("d", 59)
    restarted["status"]["containerStatuses"] = [{"restartCount": 3, "state": {}}]

    assert fleet(started("a", 5), started("b", 12), started("c", 20), restarted).cold_start_seconds == 12
    assert fleet().cold_start_seconds is None


def deployment(*limits: str | int | None, **fields: Any) -> Deployment:
    containers = [{"resources": {"limits": {"cpu": cpu} if cpu is not None else {}}} for cpu in limits]
    return read_deployment(
        {"metadata": fields, "spec": {"replicas": 3, "template": {"spec": {"containers": containers}}}}
    )


def test_of_a_deployment_its_pods_and_their_cores_are_kept() -> None:
    assert deployment("2500m", "100m") == Deployment(3, 2.5, leaving=False)
    assert deployment(4, None).pod_cores == 4.0
    assert deployment(None).pod_cores is None
    assert deployment("1", deletionTimestamp="2026-01-01T00:00:00Z").leaving


@pytest.mark.parametrize(
    ("written", "cores"),
    [(2, 2.0), ("2", 2.0), ("0.5", 0.5), ("500m", 0.5), ("2e0", 2.0), ("0.002k", 2.0), ("1e3m", 1.0)],
)
def test_cores_are_read_in_every_spelling(written: str | int, cores: float) -> None:
    assert deployment(written).pod_cores == cores
