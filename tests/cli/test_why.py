"""`headrace why`: what happened to an endpoint, by time."""

import json

from cluster_view import SPACE, ClusterView, autoscaler, condition, endpoint

EVENTS = f"/api/v1/namespaces/{SPACE}/events"


def a_day(view: ClusterView) -> None:
    """A version that started, was scaled, and lost a pod."""
    decision = {
        "time": "2026-11-30T10:01:00Z",
        "replicas": 3,
        "concurrency": 8,
        "reasons": ["ScaleUp: 10.0 requests at once over 4 a pod = 3"],
        "inputs": {"demand": 10.0},
    }
    view.has(
        endpoint(condition("Ready", "True", "VersionsReady", "all serve", at="2026-11-30T10:00:00Z")),
        autoscaler("v7", decisions=[decision]),
    )
    pod = {"name": "v7-abc"}
    event = {
        "metadata": {},
        "lastTimestamp": "2026-11-30T10:02:00Z",
        "reason": "OOMKilling",
        "message": "out of memory\n",
    }
    view.lists(EVENTS, {**event, "involvedObject": pod, "count": 2})


def test_sentences_come_in_the_order_of_time(view: ClusterView) -> None:
    a_day(view)
    shown = view.run("why", "fraud")
    assert shown.exit_code == 0, shown.output
    ready, scaled, killed = shown.stdout.splitlines()
    assert "fraud  is Ready (VersionsReady): all serve" in ready
    assert "v7  3 pods of 8 requests at once: ScaleUp: 10.0 requests at once over 4 a pod = 3" in scaled
    assert "v7-abc  OOMKilling: out of memory (2 times)" in killed


def test_scripts_get_the_numbers_of_a_decision(view: ClusterView) -> None:
    a_day(view)
    found = json.loads(view.run("why", "fraud", "--json").stdout)
    assert [each["source"] for each in found] == ["condition", "decision", "event"]
    assert found[1]["numbers"] == {"demand": 10.0}
