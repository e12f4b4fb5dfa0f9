"""What an endpoint is about to be, cost and need."""

import datetime
from typing import Any

import pytest

from headrace.components.endpoint.endpoint_plan import EndpointPlan
from headrace.components.endpoint.selection.choice import Runtime, RuntimeChoice
from headrace.components.endpoint.sizing import allotment
from headrace.components.platform.prices import Prices
from headrace.contract.apa import AutoscalerSpec
from headrace.stacks.forecast import table
from headrace.stacks.forecast.estimate import Estimate, Seen, estimate, mean_replicas

NOW = datetime.datetime(2026, 11, 30, 12, tzinfo=datetime.UTC)
IMAGE = "models/fraud@sha256:1"


def plan(version: str = "v7", *, gpus: int = 0, pods_most: int | None = None, **scale: Any) -> EndpointPlan:
    size = allotment(Runtime.MLFLOW, 0, gpus=gpus, cpu=1.0, memory_mib=1024)
    container = {"name": "model", "image": IMAGE, "resources": size.manifest()}
    return EndpointPlan(
        version=version,
        choice=RuntimeChoice(runtime=Runtime.MLFLOW, gpus=gpus, reasons=("a flavor of Python",)),
        allotment=size,
        scale=AutoscalerSpec(target=version, **scale),
        pods_most=pods_most,
        gpu_memory_gib=24,
        pod={"metadata": {}, "spec": {"containers": [container]}},
    )


def seen(*, cores: str = "4", version: str = "v7", image: str = IMAGE, replicas: int = 3, decisions: Any = ()) -> Seen:
    """A cluster of one node, in which a version serves."""
    node = {
        "metadata": {"name": "a"},
        "spec": {},
        "status": {"allocatable": {"cpu": cores, "memory": "64Gi", "pods": "110"}},
    }
    template = plan().pod
    template["spec"]["containers"][0]["image"] = image
    space = "endpoint-fraud"
    return Seen(
        nodes=[node],
        pods=[],
        deployments={space: {version: {"spec": {"replicas": replicas, "template": template}}}},
        autoscalers={space: {version: {"status": {"replicas": replicas, "decisions": decisions}}}},
    )


def of(planned: EndpointPlan, world: Seen | None = None, prices: Prices | None = None) -> Estimate:
    return estimate("fraud", planned, planned.pod, prices=prices or Prices(), seen=world, now=NOW)


def test_a_new_endpoint_costs_its_fewest_to_its_most_pods_and_nobody_knows_what_to_expect() -> None:
    found = of(plan(min_replicas=2, max_replicas=10))

    assert found.cost is not None
    assert (found.cost.least, found.cost.expected, found.cost.most) == pytest.approx((2 * 0.0126, None, 10 * 0.0126))
    assert found.price_reason == "6% of a node of 4 cores and 16 GiB"
    assert (found.room, found.restarts, found.warning) == (None, "", "")


def test_an_endpoint_that_may_sleep_may_cost_nothing_and_a_quota_or_a_budget_bounds_the_most() -> None:
    asleep = of(plan(min_replicas=0, max_replicas=100, cost_per_hour=3.0, pod_cost_per_hour=0.5))
    bounded = of(plan(max_replicas=100, pods_most=8))

    assert asleep.cost is not None
    assert (asleep.cost.least, asleep.cost.most, asleep.price_reason) == (0.0, 3.0, "scale.pod_cost_per_hour")
    assert bounded.pods_most == 8


def test_gpus_are_counted_and_a_pod_for_which_there_is_no_machine_has_no_price() -> None:
    assert of(plan(gpus=2, max_replicas=3)).gpus_most == 6
    assert of(plan(gpus=16)).cost is None


def test_the_expected_cost_is_that_of_the_endpoints_own_history() -> None:
    decisions = [
        {"time": "2026-11-30T08:00:00Z", "replicas": 1},
        {"time": "2026-11-30T11:00:00Z", "replicas": 5},
    ]
    world = seen(decisions=decisions)

    assert mean_replicas(world.autoscalers["endpoint-fraud"]["v7"], NOW) == pytest.approx((3 * 1 + 1 * 5) / 4)
    found = of(plan(), world)
    assert found.cost is not None
    assert found.cost.expected == pytest.approx(2 * 0.0126 * 1.0)
    # before the first decision there is what it was told to have; where nothing was, nothing is known
    assert mean_replicas({"status": {"replicas": 3}}, NOW) == 3
    assert mean_replicas({}, NOW) is None


def test_an_update_without_change_replaces_no_pod() -> None:
    found = of(plan(), seen())

    assert found.restarts == ""
    assert found.pods_now == 3
    assert "Pods replaced: none" in table.text({"fraud": found}, Prices())


def test_what_restarts_is_told_with_the_reason() -> None:
    assert of(plan(), seen(image="models/fraud@sha256:0")).restarts == "all 3 of v7: image"
    assert of(plan("v8"), seen()).restarts == "the 3 of v7 go once v8 serves"
    assert of(plan("v8"), seen()).surge == 3


def test_a_version_beside_another_neither_replaces_its_pods_nor_counts_them() -> None:
    new = plan("v8", min_replicas=2)

    found = estimate("fraud", new, new.pod, prices=Prices(), seen=seen(replicas=3), now=NOW, beside={"v7"})

    assert (found.restarts, found.pods_now, found.surge, found.pods_expected) == ("", 0, 2, None)


def test_where_the_cluster_has_no_room_a_sentence_says_what_to_do() -> None:
    full = of(plan("v8"), seen(cores="100m"))

    assert full.room == 0
    assert full.warning == (
        "v8 needs room for 1 more of its pods (0.25 cores, 1024 MiB) and the cluster has room for 0 now: they wait "
        "until a node comes; add nodes, or ask for less with cpu and memory_mib"
    )
    assert of(plan(), seen(cores="100m")).warning == ""


def test_the_table_has_a_line_an_endpoint_and_their_sum() -> None:
    estimates = {"fraud": of(plan(max_replicas=10), seen()), "churn": of(plan("v1", max_replicas=5), seen())}

    lines = table.text(estimates, Prices()).splitlines()
    assert lines[0] == "Forecast: USD an hour (AWS on demand, us-east-1, 2026-05-18)"
    assert lines[2].split() == [
        "fraud", "v7", "mlflow", "1", "to", "10", "0.25", "cores,", "1024", "MiB", "0",
        "0.01", "0.04", "0.13", "+3", "16",
    ]  # fmt: skip
    assert lines[4].split() == ["all", "2", "to", "15", "0", "0.03", "0.08", "0.19"]
    shown = table.markdown(estimates, Prices())
    assert "| fraud | v7 | mlflow | 1 to 10 |" in shown
    assert "- fraud: a flavor of Python" in shown
    assert table.document(estimates, Prices())["endpoints"]["fraud"]["pods_most"] == 10
