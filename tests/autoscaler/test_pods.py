"""What a version's pods amount to."""

import pytest

from headrace.autoscaler import pods
from headrace.autoscaler.fake_kube import FakeCluster

CLUSTER = FakeCluster()


def test_each_pod_counts_once() -> None:
    found = pods.fleet(
        [
            CLUSTER.pod("a", address="10.0.0.1"),
            CLUSTER.pod("b", address="10.0.0.2", state="starting"),
            CLUSTER.pod("c", state="unschedulable"),
            CLUSTER.pod("d", state="failing"),
        ]
    )

    counts = found.counts
    assert (counts.ready, counts.starting, counts.unschedulable, counts.failing) == (1, 1, 1, 1)
    assert found.ready == {"a": "10.0.0.1"}


def test_pods_that_leave_or_have_ended_count_nowhere() -> None:
    leaving = CLUSTER.pod("a", address="10.0.0.1")
    leaving["metadata"]["deletionTimestamp"] = "2026-01-01T00:00:00Z"
    ended = CLUSTER.pod("b", address="10.0.0.2")
    ended["status"]["phase"] = "Failed"

    found = pods.fleet([leaving, ended])

    assert found.counts.ready + found.counts.starting + found.counts.failing == 0


def test_a_fleet_is_counted_again_only_when_a_pod_changed() -> None:
    present = [CLUSTER.pod("a", address="10.0.0.1")]
    fleets = pods.Fleets(lambda namespace, version: present)
    first = fleets.of(("endpoint-fraud", "v1"))

    assert fleets.of(("endpoint-fraud", "v1")) is first
    assert first.asked(3).counts.desired == 3

    present = [*present, CLUSTER.pod("b", address="10.0.0.2")]
    assert fleets.of(("endpoint-fraud", "v1")).counts.ready == 2


def test_fleets_of_versions_that_are_gone_are_dropped() -> None:
    present = [CLUSTER.pod("a", address="10.0.0.1")]
    fleets = pods.Fleets(lambda namespace, version: present)
    stays, goes = fleets.of(("endpoint-fraud", "v2")), fleets.of(("endpoint-fraud", "v1"))

    fleets.keep({("endpoint-fraud", "v2")})

    assert fleets.of(("endpoint-fraud", "v2")) is stays
    assert fleets.of(("endpoint-fraud", "v1")) is not goes


@pytest.mark.parametrize("state", ["", "starting", "unschedulable", "failing"])
def test_what_is_kept_of_a_pod_counts_as_the_whole_pod(state: str) -> None:
    pod = CLUSTER.pod("a", address="10.0.0.1", state=state)
    pod["metadata"] |= {"namespace": "endpoint-fraud", "annotations": {"of": "no use"}}
    pod["spec"] = {"containers": []}
    pod["status"]["conditions"].append({"type": "Initialized", "status": "True"})

    short = pods.kept(pod)

    assert pods.fleet([short]) == pods.fleet([pod])
    assert "spec" not in short
    assert "annotations" not in short["metadata"]


def test_the_cold_start_is_the_median_of_first_starts() -> None:
    def started(name: str, seconds: int) -> dict[str, object]:
        return CLUSTER.pod(
            name, address=f"10.0.0.{seconds}", created="2026-01-01T00:00:00Z", ready=f"2026-01-01T00:00:{seconds:02d}Z"
        )

    restarted = started("d", 59)
    restarted["status"]["containerStatuses"] = [{"restartCount": 3, "state": {}}]  # type: ignore[index]

    assert pods.fleet([started("a", 5), started("b", 12), started("c", 20), restarted]).cold_start_seconds == 12
    assert pods.fleet([]).cold_start_seconds is None


def test_cores_are_read_in_both_spellings() -> None:
    def deployment(*limits: str | int | None) -> dict[str, object]:
        containers = [{"resources": {"limits": {"cpu": cpu} if cpu is not None else {}}} for cpu in limits]
        return {"spec": {"template": {"spec": {"containers": containers}}}}

    assert pods.cores(deployment("2500m", "100m")) == 2.5
    assert pods.cores(deployment(4, None)) == 4.0
    assert pods.cores(deployment(None)) is None
