"""ColdStart: what a start was made of."""

from typing import Any

from headrace.autoscaler.cold_start import of_pod, phases_of
from headrace.autoscaler.exposition import parse
from headrace.autoscaler.fleet import read_pod

POD: dict[str, Any] = {
    "metadata": {"name": "v1-a", "creationTimestamp": "2026-01-01T00:00:00Z"},
    "status": {
        "podIP": "10.0.0.1",
        "conditions": [
            {"type": "PodScheduled", "status": "True", "lastTransitionTime": "2026-01-01T00:00:01Z"},
            {"type": "Ready", "status": "True", "lastTransitionTime": "2026-01-01T00:00:09Z"},
        ],
        "containerStatuses": [{"state": {"running": {"startedAt": "2026-01-01T00:00:04Z"}}, "restartCount": 0}],
    },
}
PAGE = """
headrace_start_seconds{phase="front"} 0.5
headrace_start_seconds{phase="import"} 1.0
headrace_start_seconds{phase="load"} 1.5
headrace_start_seconds{phase="warm"} 0.25
headrace_start_seconds{phase="prove"} 0.5
headrace_start_seconds{phase="tell"} 0.25
"""


def test_kubernetes_and_the_front_each_tell_their_part() -> None:
    told = phases_of(parse(PAGE, instance="10.0.0.1", wanted=("headrace_start_seconds",)))
    found = of_pod(read_pod(POD), told, decide=0.04)
    assert found.to_json(time="2026-01-01T00:00:09Z") == {
        "time": "2026-01-01T00:00:09Z",
        "pod": "v1-a",
        "seconds": 9.04,
        "decideSeconds": 0.04,
        "scheduleSeconds": 1.0,
        "pullSeconds": 3.0,
        "loadSeconds": 3.0,
        "warmUpSeconds": 1.0,
    }


def test_what_nobody_told_is_left_out() -> None:
    found = of_pod(read_pod(POD), {}, decide=None).to_json(time="2026-01-01T00:00:09Z")
    assert set(found) == {"time", "pod", "seconds", "scheduleSeconds", "pullSeconds"}
