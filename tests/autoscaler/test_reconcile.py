"""Reconcile against a cluster in memory: what the world looks like after a look, not which calls were made."""

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
from reconciled_world import KEY, NAMESPACE, RecordingFronts, World

from headrace.autoscaler.counter_aggregation import Reading
from headrace.autoscaler.engine import LoadCounters
from headrace.autoscaler.fake_cluster import FakeCluster
from headrace.autoscaler.journal import Journal
from headrace.autoscaler.reconcile import Reconciler
from headrace.contract.apa import AutoscalerSpec
from headrace.kube.api_server import Key, named

RELEASED = Path(__file__).parents[1] / "recorded" / "apa-status-0.1.json"
"""Statuses of objects as release 0.1 wrote them: a concurrency that was learned, and pods that tell their curve."""


class CountingCluster(FakeCluster):
    """Counts the statuses written."""

    written = 0

    def write_status(self, namespace: str, name: str, status: Mapping[str, Any]) -> None:
        self.written += 1
        super().write_status(namespace, name, status)


def test_load_brings_pods_and_the_status_says_why() -> None:
    world = World()
    world.run(30, 400)

    assert world.replicas >= 10
    status = world.status()
    assert status["desiredReplicas"] == world.replicas
    assert status["decisions"][-1]["replicas"] == world.replicas
    assert any("ScaleUp" in " ".join(decision["reasons"]) for decision in status["decisions"])
    assert status["decisions"][-1]["inputs"]["demand"] > 0
    assert world.condition("Active") == ("True", "Scaling")
    assert "Scaled" in world.reasons()


def test_at_most_twenty_decisions_are_kept() -> None:
    world = World(max_replicas=1_000_000)
    for step in range(40):
        world.run(6, 100 * 1.3**step)

    assert len(world.status()["decisions"]) == 20
    assert world.status()["decisions"][-1]["replicas"] == world.replicas


def test_statuses_without_news_are_written_twice_a_minute_and_not_all_at_once() -> None:
    keys: list[Key] = [(f"endpoint-{number}", "v1") for number in range(100)]
    cluster = CountingCluster()
    for key in keys:
        cluster.add_version(*key, spec=AutoscalerSpec(target="v1").to_json())
    reconciler = Reconciler(cluster, RecordingFronts(), Journal(""))
    written = []
    for second in range(120):
        cluster.written = 0
        now = 1_780_000_000.0 + second
        load = LoadCounters(arrived=0, completed=0, executing_seconds=0, queued_seconds=0)
        for item in cluster.autoscalers():
            reconciler.reconcile(item, Reading(taken_at=now, load=load), now, owner=named(item))
        written.append(cluster.written)

    settled = written[60:]
    assert sum(settled) == 2 * len(keys)
    assert max(settled) < len(keys) / 10


def test_no_decision_waits_for_statuses_and_the_newest_is_written() -> None:
    world = World()
    jobs: list[Callable[[], None]] = []
    world.reconciler.submit = jobs.append
    world.run(30, 400)

    assert world.replicas >= 10
    assert world.status() == {}
    assert len(jobs) == 1 + len(world.cluster.scalings)  # one status, and the events
    for job in jobs:
        job()
    assert world.status()["desiredReplicas"] == world.replicas


def test_every_ready_pod_gets_the_limit_and_gets_it_again() -> None:
    world = World(replicas=3, initial_concurrency=6, min_concurrency=6, max_concurrency=6)
    world.look(10)
    addresses = [pod.address for pod in world.cluster.pods(*KEY)]
    assert world.fronts.limits == dict.fromkeys(addresses, 6)

    world.fronts.limits[addresses[0]] = 1  # a pod that restarted
    world.look(10)
    assert world.fronts.limits[addresses[0]] == 6


def test_replicas_changed_by_hand_are_put_back() -> None:
    world = World()
    world.run(30, 100)
    wanted = world.replicas

    world.cluster.deployments[KEY]["spec"]["replicas"] = 50
    world.look(100)

    assert world.replicas == wanted


def test_a_restarted_controller_removes_nothing_until_it_knows_the_load() -> None:
    world = World(replicas=7)
    world.start_controller()

    for _ in range(15):
        world.look(10)

    assert world.replicas == 7


def test_no_metrics_hold_and_one_event_tells() -> None:
    """R22."""
    world = World()
    world.run(30, 400)
    before = world.replicas

    world.run(120, None)

    assert world.replicas == before
    assert world.condition("SignalsTrusted") == ("False", "NoData")
    assert world.reasons().count("NoData") == 1
    world.run(5, 400)
    assert world.condition("SignalsTrusted")[0] == "True"


def test_an_api_server_that_is_away_changes_nothing_and_is_caught_up_with() -> None:
    """R18."""
    world = World()
    world.run(30, 100)
    before = world.replicas

    world.cluster.down = True
    world.run(20, 800)
    assert world.replicas == before

    world.cluster.down = False
    world.run(2, 800)
    assert world.replicas > before


@pytest.mark.parametrize(
    ("spec", "fault"),
    [
        ({"targetRef": {"name": "v1"}, "minReplicas": 5, "maxReplicas": 2}, "minReplicas = 5"),
        ({"targetRef": {"name": "v1"}, "budget": {"costPerHour": 3.0}}, "podCostPerHour"),
        ({"targetRef": {}}, "name"),
        ({}, "targetRef"),
        ({"targetRef": {"name": "v1"}, "minReplicas": "many"}, "many"),
    ],
)
def test_a_spec_that_breaks_a_rule_is_refused_and_the_fault_named(spec: dict[str, Any], fault: str) -> None:
    world = World(replicas=3)
    world.cluster.objects[KEY]["spec"] = spec
    world.run(3, 1000)

    assert world.replicas == 3
    assert world.condition("Active") == ("False", "InvalidSpec")
    assert fault in world.status()["conditions"][0]["message"]
    assert world.reasons().count("InvalidSpec") == 1


def test_a_missing_target_is_said_and_healed_when_it_appears() -> None:
    world = World()
    deployment = world.cluster.deployments.pop(KEY)
    world.look(100)
    assert world.condition("Active") == ("False", "TargetMissing")

    world.cluster.deployments[KEY] = deployment
    world.look(100)
    assert world.condition("Active") == ("True", "Scaling")


def test_an_endpoint_deleted_while_it_scales_leaves_no_trace() -> None:
    world = World()
    world.run(10, 400)
    world.cluster.deployments.pop(KEY)
    world.look(4000)
    world.cluster.objects.pop(KEY)

    world.reconciler.release(keep=())

    assert world.reconciler.tracked == {}


def test_a_target_that_an_hpa_scales_too_is_left_to_it() -> None:
    world = World(replicas=3)
    world.cluster.namespace_rivals[NAMESPACE] = [
        {"metadata": {"name": "old"}, "spec": {"scaleTargetRef": {"kind": "Deployment", "name": "v1"}}}
    ]
    world.run(10, 1000)

    assert world.replicas == 3
    assert world.condition("Active") == ("False", "HorizontalPodAutoscalerPresent")


def test_of_two_autoscalers_on_one_deployment_the_older_scales() -> None:
    world = World()
    second: Key = (NAMESPACE, "copy")
    world.cluster.add_version(*second, spec=world.spec.to_json())
    world.look(100)
    world.look(100, key=second)

    assert world.condition("Active") == ("True", "Scaling")
    assert world.condition("Active", second) == ("False", "TargetConflict")


def test_a_pod_that_is_not_ready_blocks_nothing() -> None:
    """aibrix#617."""
    world = World(replicas=2)
    world.cluster.version_pods[KEY][1] = world.cluster.pod("stuck", state="failing")
    for _ in range(30):
        world.look(400)

    assert world.replicas >= 10
    assert world.condition("CapacityAvailable") == ("False", "PodsFailing")


def test_nodes_that_are_full_are_a_condition() -> None:
    world = World(replicas=2, min_concurrency=2, max_concurrency=2)
    world.cluster.version_pods[KEY][1] = world.cluster.pod("waiting", state="unschedulable")
    counts = []
    for _ in range(60):
        world.look(100)
        counts.append(world.replicas)

    assert world.condition("CapacityAvailable") == ("False", "CapacityShort")
    assert len(set(counts[45:])) == 1


def test_a_budget_limits_and_its_condition_says_so() -> None:
    world = World(cost_per_hour=4.0, pod_cost_per_hour=1.0)
    world.run(30, 4000)

    assert world.replicas == 4
    assert world.condition("Limited") == ("True", "BudgetReached")


def test_a_version_sleeps_when_idle_and_wakes_with_a_request() -> None:
    world = World(min_replicas=0, idle_seconds=30.0, cold_start_seconds=5.0)
    world.run(20, 10)
    world.run(60, 0)
    assert world.replicas == 0

    world.look(1)
    assert world.replicas == 1


def test_what_was_learned_outlives_the_controller_and_reaches_the_next_version() -> None:
    world = World(initial_concurrency=2, max_concurrency=64)
    for _ in range(200):
        world.look(200)
        world.cluster.settle(*KEY)
    learned = world.status()["concurrency"]
    assert learned > 2

    world.start_controller()
    world.look(200)
    assert world.status()["concurrency"] == learned

    successor: Key = (NAMESPACE, "v2")
    spec = AutoscalerSpec(target="v2", initial_concurrency=2, max_concurrency=64)
    world.cluster.add_version(*successor, spec=spec.to_json())
    world.look(0, key=successor)
    assert world.status(successor)["concurrency"] == learned


def test_profiles_that_release_0_1_stored_are_started_from() -> None:
    learned, told = json.loads(RELEASED.read_text())
    world = World(max_concurrency=64)
    world.cluster.objects[KEY]["status"] = learned
    world.look(200)
    assert world.status()["concurrency"] == learned["profile"]["concurrency"] == 32

    world = World(max_concurrency=64)
    world.cluster.objects[KEY]["status"] = told
    world.look(200)
    profile = world.status()["profile"]
    assert profile["calls"] == told["profile"]["calls"] is not None
    assert len(profile["latency"]) == len(told["profile"]["latency"]) == 4


def test_a_profile_is_stored_as_release_0_1_reads_it() -> None:
    """While a controller is replaced by a newer one, the older may still lead."""
    released = json.loads(RELEASED.read_text())[1]["profile"]
    world = World()
    world.look(200)
    world.look(200)

    assert set(world.status()["profile"]) == set(released)
    assert set(world.status()["profile"]["memory"]) == set(released["memory"])


def test_a_stored_profile_that_makes_no_sense_is_left_aside() -> None:
    world = World()
    world.cluster.objects[KEY]["status"] = {"profile": {"shape": "unknown"}}
    world.look(10)

    assert world.condition("Active") == ("True", "Scaling")
