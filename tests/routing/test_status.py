"""What a ModelEndpoint says about itself, from pods as the API server describes them."""

from dataclasses import replace
from typing import Any

import pytest

from headrace.contract import names
from headrace.contract.codec import decode, encode
from headrace.contract.declaration import Style
from headrace.contract.model_endpoint import READY, ROLLED_OUT, ModelEndpointSpec, ModelEndpointStatus, ServedVersion
from headrace.contract.rollout import Rollout
from headrace.routing.ads.status import differs, endpoint_status, needs_pods, pod_failure
from headrace.routing.snapshot import Endpoint

NOW = "2026-01-01T00:00:00Z"
LATER = "2026-01-01T01:00:00Z"


def endpoint(**weights: int) -> Endpoint:
    versions = tuple(
        ServedVersion(name=name, model_uri="m", image="i", weight=weight) for name, weight in weights.items()
    )
    return Endpoint(name="fraud", spec=ModelEndpointSpec(versions=versions))


def item(status: dict[str, Any] | None = None) -> dict[str, Any]:
    metadata = {"name": "fraud", "namespace": "endpoint-fraud", "generation": 3}
    return {"metadata": metadata, **({"status": status} if status else {})}


def pod(version: str = "v1", *, name: str = "p", created: str = NOW, **status: Any) -> dict[str, Any]:
    return {
        "metadata": {"name": name, "labels": {names.VERSION_LABEL: version}, "creationTimestamp": created},
        "status": status,
    }


def container(**state: Any) -> list[dict[str, Any]]:
    return [{"name": "model", "state": state}]


def crashed(message: str = "", *, reason: str = "Error", code: int = 1) -> list[dict[str, Any]]:
    ended = {"terminated": {"exitCode": code, "reason": reason, "message": message}}
    waiting = {"waiting": {"reason": "CrashLoopBackOff", "message": "back-off 10s"}}
    return [{"name": "model", "state": waiting, "lastState": ended}]


def ready_condition(
    found: Endpoint | None, ready: dict[str, int], *pods: dict[str, Any], faults: tuple[str, ...] = ()
) -> dict[str, Any]:
    status = endpoint_status(item(), endpoint=found, faults=faults, ready=ready, pods=pods, now=NOW)
    condition = status["conditions"][0]
    assert condition["observedGeneration"] == status["observedGeneration"] == 3
    assert encode(decode(ModelEndpointStatus, status, Style.KUBERNETES), Style.KUBERNETES) == status, "as declared"
    assert condition["reason"] in READY.true or condition["status"] == "False", "as declared"
    return dict(condition)


def test_an_endpoint_is_ready_when_every_version_with_weight_has_a_ready_pod() -> None:
    assert ready_condition(endpoint(v1=90, v2=10), {"v1": 2, "v2": 1})["status"] == "True"
    assert ready_condition(endpoint(v1=100, v2=0), {"v1": 1})["status"] == "True", "no weight, no claim"
    assert ready_condition(endpoint(v1=90, v2=10), {"v1": 2})["status"] == "False"


def test_a_stopped_endpoint_is_not_ready_because_of_that_and_nobody_looks_at_its_pods() -> None:
    found = endpoint(v1=100)
    stopped = replace(found, spec=replace(found.spec, stopped=True))

    condition = ready_condition(stopped, {}, pod(containerStatuses=crashed()))

    assert (condition["status"], condition["reason"]) == ("False", "Stopped")
    assert not needs_pods(stopped, {})


def test_what_the_table_writer_says_stays() -> None:
    recorded = {
        "type": "Recorded",
        "status": "False",
        "reason": "AccessDenied",
        "message": "x",
        "lastTransitionTime": NOW,
    }
    before = item({"conditions": [recorded, {"type": "Gone", "status": "True"}]})
    status = endpoint_status(before, endpoint=endpoint(v1=100), faults=(), ready={"v1": 1}, pods=(), now=LATER)

    assert [condition["type"] for condition in status["conditions"]] == ["Ready", "Recorded"]
    assert status["conditions"][1] == recorded


def test_ready_pods_of_all_versions_are_counted() -> None:
    status = endpoint_status(
        item(), endpoint=endpoint(v1=100, v2=0), faults=(), ready={"v1": 2, "v2": 3}, pods=(), now=NOW
    )
    assert status["readyPods"] == 5


def test_pods_that_are_starting_are_no_failure() -> None:
    starting = pod(containerStatuses=container(waiting={"reason": "ContainerCreating"}))
    condition = ready_condition(endpoint(v1=100), {}, starting, pod(containerStatuses=container(running={})))
    assert condition["reason"] == "NoReadyPod"
    assert "v1" in condition["message"]


def test_a_pod_that_copies_its_models_weights_says_since_when() -> None:
    running = container(running={"startedAt": "2026-01-01T00:00:07Z"})
    waiting = container(waiting={"reason": "PodInitializing"})
    condition = ready_condition(
        endpoint(v1=100), {}, pod(name="p1", initContainerStatuses=running, containerStatuses=waiting)
    )

    assert condition["reason"] == "NoReadyPod"
    assert condition["message"].endswith("Pod p1 has been copying the model's weights since 2026-01-01T00:00:07Z.")


def test_a_pod_that_loads_its_model_says_since_when() -> None:
    running = container(running={"startedAt": "2026-01-01T00:00:07Z"})
    pods = [pod(name="p1", containerStatuses=running), pod("v0", name="p0", containerStatuses=running)]
    condition = ready_condition(endpoint(v1=100), {}, *pods)

    assert condition["reason"] == "NoReadyPod"
    assert condition["message"].endswith("still serve. Pod p1 has been loading the model since 2026-01-01T00:00:07Z.")


def test_a_version_to_come_that_cannot_start_says_why_while_another_serves() -> None:
    def conditions(before: dict[str, Any] | None, now: str, *pods: dict[str, Any]) -> list[dict[str, Any]]:
        status = endpoint_status(
            item(before), endpoint=endpoint(v2=100), faults=(), ready={"v1": 1, "v2": 0}, pods=pods, now=now
        )
        return list(status["conditions"])

    failing = pod("v2", containerStatuses=crashed("No module named 'xgboost'"))
    starting = pod("v2", containerStatuses=container(running={}))
    [ready, rolled_out, proven] = conditions(None, NOW, failing)
    again = conditions({"conditions": [ready, rolled_out, proven]}, LATER, failing)

    assert (ready["status"], ready["reason"]) == ("True", "FormerVersionServes")
    assert ready["message"] == "Version v1 serves until v2 has a ready pod."
    assert (rolled_out["type"], rolled_out["status"]) == ("RolledOut", "False")
    assert (rolled_out["reason"], rolled_out["message"]) == (
        "ModelLoadFailed",
        "Version v2, pod p: No module named 'xgboost'",
    )
    assert (proven["type"], proven["status"], proven["message"]) == ("Proven", "False", rolled_out["message"])
    assert [condition["lastTransitionTime"] for condition in again] == [NOW, NOW, NOW]
    assert [condition["type"] for condition in conditions({"conditions": again}, LATER, starting)] == ["Ready"]


def test_pods_are_asked_for_causes_only_where_something_is_not_as_wanted() -> None:
    assert not needs_pods(endpoint(v1=100), {"v1": 1})
    assert not needs_pods(endpoint(v1=100, v2=0), {"v1": 1, "v2": 0}), "no weight, no claim"
    assert needs_pods(endpoint(v1=100), {"v1": 0})
    assert needs_pods(endpoint(v2=100), {"v1": 1, "v2": 0})
    assert not needs_pods(endpoint(v2=100), {"v1": 0, "v2": 1}), "what served before and goes now is no failure"
    assert needs_pods(endpoint(v1=100), {"v1": 1}, unready={"v1"}), "a pod beside it is not ready"
    assert not needs_pods(endpoint(v1=100), {"v1": 1}, unready={"v0"})


@pytest.mark.parametrize(
    ("statuses", "reason", "message"),
    [
        (crashed("No module named 'xgboost'"), "ModelLoadFailed", "No module named 'xgboost'"),
        (crashed('{"reason": "WarmUpFailed", "message": "bad"}'), "WarmUpFailed", "bad"),
        (crashed('log line\n{"reason": "WarmUpFailed", "message": "bad"}'), "WarmUpFailed", "bad"),
        (crashed('{"reason": "not a reason"}'), "ModelLoadFailed", '{"reason": "not a reason"}'),
        (crashed("", reason="OOMKilled", code=137), "OOMKilled", "more memory than its limit"),
        (crashed("loading", reason="OOMKilled", code=137), "OOMKilled", "loading"),
        (crashed("", code=139), "ContainerFailed", "exit status 139"),
        (crashed("", reason="ContainerCannotRun", code=128), "ContainerCannotRun", "exit status 128"),
        (container(waiting={"reason": "ImagePullBackOff", "message": "no such image"}), "ImagePullBackOff", "no such"),
        (container(waiting={"reason": "CreateContainerConfigError"}), "CreateContainerConfigError", "ConfigError"),
        (container(terminated={"exitCode": 1, "reason": "Error", "message": "boom"}), "ModelLoadFailed", "boom"),
    ],
)
def test_a_failing_pod_says_why_in_its_own_words(statuses: list[Any], reason: str, message: str) -> None:
    condition = ready_condition(endpoint(v1=100), {}, pod(containerStatuses=statuses))
    assert (condition["status"], condition["reason"]) == ("False", reason)
    assert message in condition["message"]
    assert "Version v1, pod p:" in condition["message"]


@pytest.mark.parametrize(
    "said", ['secret "openai" not found', "couldn't find key api-key in Secret endpoint-fraud/openai"]
)
def test_a_secret_that_is_not_there_is_told_with_what_to_do(said: str) -> None:
    waiting = {"waiting": {"reason": "CreateContainerConfigError", "message": said}}
    (ended,) = crashed("of before")
    for statuses in (container(**waiting), [{**ended, "state": waiting}]):
        condition = ready_condition(endpoint(v1=100), {}, pod(containerStatuses=statuses))
        assert condition["reason"] == "CreateContainerConfigError"
        assert condition["message"] == (
            f"Version v1, pod p: {said}; make it in the endpoint's namespace, upon which the pod starts, or name "
            "another in environment"
        )


def of_template(name: str, template: str, **status: Any) -> dict[str, Any]:
    """A pod of version v1 whose Deployment had that template."""
    found = pod(name=name, **status)
    found["metadata"]["labels"]["pod-template-hash"] = template
    return found


READY_POD = {"conditions": [{"type": "Ready", "status": "True"}]}
NO_SECRET = {"containerStatuses": container(waiting={"reason": "CreateContainerConfigError", "message": "secret x"})}


def conditions_of_v1(*pods: dict[str, Any]) -> list[dict[str, Any]]:
    status = endpoint_status(item(), endpoint=endpoint(v1=100), faults=(), ready={"v1": 1}, pods=pods, now=NOW)
    return list(status["conditions"])


def test_a_change_that_keeps_new_pods_from_starting_says_why_while_those_of_before_serve() -> None:
    before, after = of_template("a", "1", **READY_POD), of_template("b", "2", **NO_SECRET)
    [ready, rolled_out] = conditions_of_v1(before, after)

    assert (ready["status"], ready["reason"]) == ("True", "VersionsReady")
    assert (rolled_out["type"], rolled_out["status"]) == ("RolledOut", "False")
    assert rolled_out["reason"] == "CreateContainerConfigError"
    assert rolled_out["message"].startswith("Version v1, pod b: secret x; make it")
    assert rolled_out["message"].endswith("; pods from before the change serve on")


def test_a_pod_that_fails_beside_its_like_is_no_failed_change() -> None:
    crashing = {"containerStatuses": crashed("", reason="OOMKilled", code=137)}
    leaving = of_template("old", "0", **crashing)
    leaving["metadata"]["deletionTimestamp"] = NOW

    ready = of_template("a", "1", **READY_POD)
    assert len(conditions_of_v1(ready, of_template("b", "1", **crashing))) == 1
    assert len(conditions_of_v1(ready, leaving)) == 1
    assert len(conditions_of_v1(ready, of_template("b", "2", containerStatuses=container(running={})))) == 1


def test_a_pod_that_cannot_be_placed_says_so() -> None:
    conditions = [{"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": "0/1 nodes: cpu"}]
    condition = ready_condition(endpoint(v1=100), {}, pod(conditions=conditions))
    assert (condition["reason"], "0/1 nodes: cpu" in condition["message"]) == ("Unschedulable", True)


def test_an_evicted_pod_says_so() -> None:
    assert pod_failure(pod(phase="Failed", reason="Evicted", message="disk")) == ("Evicted", "disk")
    assert pod_failure(pod(phase="Succeeded")) is None


def test_a_container_that_ended_well_is_no_failure() -> None:
    assert pod_failure(pod(initContainerStatuses=container(terminated={"exitCode": 0, "reason": "Completed"}))) is None


def test_the_newest_failing_pod_of_a_waiting_version_is_asked() -> None:
    old = pod(name="old", created="2025-12-31T00:00:00Z", containerStatuses=crashed("old words"))
    new = pod(name="new", created="2026-01-01T00:00:00Z", containerStatuses=crashed("new words"))
    other = pod("v2", name="z", created="2026-02-01T00:00:00Z", containerStatuses=crashed("not asked"))
    condition = ready_condition(endpoint(v1=50, v2=50), {"v2": 1}, old, other, new)
    assert "new words" in condition["message"]


def test_long_words_are_cut_from_the_front_because_the_end_says_what_happened() -> None:
    condition = ready_condition(endpoint(v1=100), {}, pod(containerStatuses=crashed("x" * 5000 + " the cause")))
    assert condition["message"].endswith("the cause")
    assert len(condition["message"]) < 1200


def test_an_object_that_breaks_a_rule_says_every_fault() -> None:
    condition = ready_condition(None, {}, faults=("weights add up to 90", "name is wrong"))
    assert (condition["reason"], condition["message"]) == ("InvalidSpec", "weights add up to 90; name is wrong")


def test_a_transition_is_dated_only_when_the_answer_changes() -> None:
    found = endpoint(v1=100)
    waiting = endpoint_status(item(), endpoint=found, faults=(), ready={}, pods=(), now=NOW)
    still = endpoint_status(item(waiting), endpoint=found, faults=(), ready={}, pods=(), now=LATER)
    assert still["conditions"][0]["lastTransitionTime"] == NOW
    assert not differs(item(waiting), still)
    well = endpoint_status(item(waiting), endpoint=found, faults=(), ready={"v1": 1}, pods=(), now=LATER)
    assert well["conditions"][0]["lastTransitionTime"] == LATER
    assert differs(item(waiting), well)


def test_what_serves_each_version_is_said_with_the_reasons() -> None:
    versions = (
        ServedVersion(name="v1", model_uri="m", image="i", weight=90, runtime="vllm", reasons=("7 GiB need a GPU",)),
        ServedVersion(name="v2", model_uri="m", image="i", weight=10),
    )
    found = Endpoint(name="fraud", spec=ModelEndpointSpec(versions=versions))
    status = endpoint_status(item(), endpoint=found, faults=(), ready={"v1": 1}, pods=(), now=NOW)

    assert status["runtimes"] == [
        {"version": "v1", "runtime": "vllm", "reasons": ["7 GiB need a GPU"]},
        {"version": "v2", "runtime": "mlflow", "reasons": []},
    ]


def rolling(phase: str, reason: str, *, version: str = "v2", asked: bool = True, ready: Any = None) -> Any:
    """The condition RolledOut of an endpoint that names v2, while its status tells of a rollout."""
    told = {"version": version, "former": "v1", "phase": phase, "weight": 5, "reason": reason, "message": "as told"}
    found = endpoint(v2=100)
    if asked:
        found = replace(found, spec=replace(found.spec, rollout=Rollout()))
    counts = {"v1": 1, "v2": 1} if ready is None else ready
    status = endpoint_status(
        item({"rollout": told}), endpoint=found, faults=(), ready=counts, pods=[pod("v2", containerStatuses=crashed())],
        now=NOW,
    )  # fmt: skip
    return next((each for each in status["conditions"] if each["type"] == ROLLED_OUT.name), None)


@pytest.mark.parametrize(
    ("phase", "reason", "status", "code"),
    [
        ("Waiting", "WaitingForPod", "False", "Waiting"),
        ("Progressing", "Baking", "False", "Progressing"),
        ("Paused", "Paused", "False", "Paused"),
        ("RolledBack", "ErrorRate", "False", "ErrorRate"),
        ("Completed", "GatesPassed", "True", "Completed"),
    ],
)
def test_a_rollout_is_told_as_a_condition(phase: str, reason: str, status: str, code: str) -> None:
    found = rolling(phase, reason)

    assert (found["status"], found["reason"], found["message"]) == (status, code, "Version v2: as told.")
    assert code in (ROLLED_OUT.true if status == "True" else ROLLED_OUT.false)


def test_a_pod_that_cannot_start_says_more_than_a_rollout_that_waits_for_it() -> None:
    assert rolling("Waiting", "WaitingForPod", ready={"v1": 1})["reason"] == "ContainerFailed"


def test_nothing_is_told_of_a_rollout_that_is_not_asked_for_or_of_another_version() -> None:
    assert rolling("Completed", "GatesPassed", asked=False) is None
    assert rolling("Completed", "GatesPassed", version="v1") is None
