"""`headrace status` against a cluster's answers."""

import json

from cluster_view import ClusterView, autoscaler, condition, endpoint

READY = condition("Ready", "True", "VersionsReady", at="2026-11-30T10:00:00Z")
ASLEEP = condition("Ready", "False", "NoReadyPod", "v7 starts", at="2026-11-30T10:00:00Z")


def test_an_endpoint_that_is_well_is_one_row_a_version_and_status_0(view: ClusterView) -> None:
    view.has(endpoint(READY), autoscaler("v7", readyReplicas=2, desiredReplicas=3, concurrency=8, reason="ScaleUp"))
    shown = view.run("status")
    assert shown.exit_code == 0, shown.output
    rows = shown.stdout.splitlines()
    assert rows[0].split()[:3] == ["ENDPOINT", "STATE", "VERSION"]
    assert "Ready" in rows[1]
    assert "2/3" in rows[1]
    assert "v8" in "".join(rows[2:])


def test_what_a_version_costs_is_told_where_its_price_is_known(view: ClusterView) -> None:
    scaler = autoscaler("v7", readyReplicas=2, desiredReplicas=3)
    view.has(endpoint(READY), scaler)
    assert "COST" not in view.run("status").stdout
    budget = {"podCostPerHour": 0.25, "currency": "USD", "priceSource": "a contract"}
    view.has(endpoint(READY), {**scaler, "spec": {"targetRef": {"name": "v7"}, "maxReplicas": 4, "budget": budget}})

    shown = view.run("status").stdout
    assert "COST/H" in shown
    assert "0.50 USD" in shown
    (document,) = json.loads(view.run("status", "--json").stdout)
    cost = {"now": 0.5, "most": 1.0, "currency": "USD", "sources": ["a contract"]}
    assert (document["cost"], document["versions"][0]["cost"], document["versions"][1]["cost"]) == (cost, cost, None)


def test_an_endpoint_that_is_not_well_says_why_and_ends_with_1(view: ClusterView) -> None:
    view.has(endpoint(ASLEEP))
    shown = view.run("status")
    assert shown.exit_code == 1
    assert "v7 starts" in shown.stdout


def test_scripts_get_json(view: ClusterView) -> None:
    view.has(endpoint(READY))
    (document,) = json.loads(view.run("status", "--json").stdout)
    assert document["name"] == "fraud"
    assert document["state"] == "Ready"


def test_a_cluster_without_endpoints_is_well(view: ClusterView) -> None:
    shown = view.run("status")
    assert (shown.exit_code, shown.stdout.strip()) == (0, "The cluster has no endpoint.")


def test_an_endpoint_that_is_not_there_is_refused_with_those_that_are(view: ClusterView) -> None:
    view.has(endpoint(READY))
    shown = view.run("status", "fruad")
    assert shown.exit_code == 2
    assert shown.stderr.strip() == "endpoint = 'fruad', must be an endpoint of this cluster; there are fraud"


def test_a_cluster_that_does_not_answer_is_named(view: ClusterView) -> None:
    view.server.down = True
    shown = view.run("status")
    assert shown.exit_code == 2
    assert view.server.host in shown.stderr or "503" in shown.stderr
