"""The autoscaler on a real cluster, under real load through the PoP: open loop, no retries, every answer counted."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from live_platform import Platform, eventually
from live_scaling import OBJECT, SPACE, Scaled, assert_all_answered, settled

from bench.autoscaler import live_load
from headrace.contract import names


def test_an_endpoint_that_asks_for_nothing_is_scaled(platform: Platform) -> None:
    eventually(
        lambda: "True" in platform.kubectl("-n", "endpoint-breast-cancer", "get", *OBJECT, "--no-headers").split()
    )


@pytest.mark.long
def test_load_brings_pods_its_end_removes_them_and_no_request_fails(scaled: Scaled) -> None:
    settled(scaled)
    with scaled.load(*live_load.ramp(1, 25, 75)) as load:
        eventually(lambda: scaled.ready >= 4, seconds=240)
        top = scaled.replicas
        shown = scaled.platform.kubectl("get", "apa", "-A", "--no-headers")
        printed = scaled.up(preview=True, max_replicas=6)
    with scaled.load(2.0) as quiet:
        eventually(lambda: scaled.replicas == 1, seconds=400)
        eventually(lambda: scaled.ready == 1, seconds=60)

    assert 4 <= top <= 6
    assert_all_answered(load)
    assert_all_answered(quiet)
    for verb in ("to create", "to update", "to delete", "to replace"):
        assert verb not in printed, printed
    (line,) = [line.split() for line in shown.splitlines() if line.startswith(SPACE)]
    assert line[1:5] == ["v1", "v1", "1", "6"]
    assert line[9] == "True"  # Active
    decisions = json.loads(scaled.get(".status.decisions"))
    # Requests of this model wait for each other in a pod, which no curve of calls tells: pods are tried.
    assert {"Trying", "ScaleDown"} <= {reason.split(":")[0] for entry in decisions for reason in entry["reasons"]}
    assert "Scaled" in scaled.events()


@pytest.mark.long
def test_bounds_changed_under_load_hold_at_once_and_no_request_fails(scaled: Scaled) -> None:
    with scaled.load(5.0) as load:
        scaled.up(min_replicas=3, max_replicas=6)
        eventually(lambda: scaled.ready == 3, seconds=120)
        scaled.up(max_replicas=1)
        eventually(lambda: scaled.ready == 1, seconds=120)
        scaled.up(max_replicas=6)

    assert_all_answered(load)


@pytest.mark.long
def test_a_deployment_that_an_hpa_scales_too_is_left_to_it(scaled: Scaled) -> None:
    rival = {
        "apiVersion": "autoscaling/v2",
        "kind": "HorizontalPodAutoscaler",
        "metadata": {"name": "rival", "namespace": SPACE},
        "spec": {
            "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "v1"},
            "minReplicas": 1,
            "maxReplicas": 2,
        },
    }
    with applied(scaled, rival):
        eventually(lambda: scaled.condition("Active") == ("False", "HorizontalPodAutoscalerPresent"))
    eventually(lambda: scaled.condition("Active")[0] == "True")


@pytest.mark.long
@pytest.mark.parametrize(
    ("spec", "reason"),
    [
        ({"targetRef": {"name": "v1"}}, "TargetConflict"),
        ({"targetRef": {"name": "unheard-of"}}, "TargetMissing"),
    ],
)
def test_an_object_that_cannot_be_followed_says_why_and_disturbs_nobody(
    scaled: Scaled, spec: dict[str, Any], reason: str
) -> None:
    eventually(lambda: scaled.replicas == 1, seconds=300)  # the stories before left it with more
    with applied(scaled, second(spec)):
        eventually(lambda: scaled.condition("Active", of="second") == ("False", reason))
        eventually(lambda: reason in scaled.events())
        assert scaled.condition("Active")[0] == "True"
        assert scaled.replicas == 1


@pytest.mark.long
def test_bounds_that_exclude_each_other_are_refused_by_the_api_server(scaled: Scaled) -> None:
    contradiction = {"targetRef": {"name": "other"}, "minReplicas": 5, "maxReplicas": 2}

    with pytest.raises(AssertionError, match="minReplicas must be at most maxReplicas"):
        scaled.platform.kubectl("apply", "-f", "-", text=json.dumps(second(contradiction)))

    assert scaled.get(".items[*].metadata.name", of=("autopilotpodautoscalers",)) == "v1"
    assert scaled.condition("Active")[0] == "True"


@pytest.mark.long
def test_it_sleeps_and_a_request_wakes_it(scaled: Scaled) -> None:
    scaled.up(min_replicas=0, max_replicas=6, idle_seconds=5)
    eventually(lambda: scaled.replicas == 0, seconds=300)
    eventually(lambda: scaled.get(".items[*].metadata.name", of=("pods",)) == "", seconds=120)
    assert scaled.ask() == 200, "it waits for the pod"
    scaled.up(max_replicas=6)


@pytest.mark.long
def test_an_endpoint_deleted_while_it_scales_leaves_no_trace(scaled: Scaled) -> None:
    restarts = "jsonpath={.items[*].status.containerStatuses[*].restartCount}"
    selector = ("-n", names.SYSTEM_NAMESPACE, "get", "pods", "-l", f"{names.COMPONENT_LABEL}={names.AUTOSCALER}")
    before = scaled.platform.kubectl(*selector, "-o", restarts)
    with scaled.load(15.0):
        eventually(lambda: scaled.replicas > 1)
        scaled.down()
    assert SPACE not in scaled.platform.kubectl("get", "namespaces", "-o", "name")
    assert scaled.platform.kubectl(*selector, "-o", restarts) == before
    assert scaled.platform.ask(scaled.platform.model.request).status == 200
    log = scaled.platform.kubectl("-n", names.SYSTEM_NAMESPACE, "logs", f"deploy/{names.AUTOSCALER}")
    assert "Traceback" not in log


def second(spec: dict[str, Any]) -> dict[str, Any]:
    """Another AutopilotPodAutoscaler beside the endpoint's own."""
    return {
        "apiVersion": f"{names.API_GROUP}/{names.API_VERSION}",
        "kind": names.APA_KIND,
        "metadata": {"name": "second", "namespace": SPACE},
        "spec": spec,
    }


@contextmanager
def applied(scaled: Scaled, thing: dict[str, Any]) -> Iterator[None]:
    """The object, for as long as the block lasts."""
    scaled.platform.kubectl("apply", "-f", "-", text=json.dumps(thing))
    try:
        yield
    finally:
        scaled.platform.kubectl("-n", SPACE, "delete", thing["kind"], thing["metadata"]["name"])
