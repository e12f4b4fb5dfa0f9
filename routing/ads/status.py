"""The status of a ModelEndpoint object, with its conditions. Pure."""

import itertools
import json
import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any, Final

from headrace.contract import names
from headrace.contract.codec import encode
from headrace.contract.conditions import ConditionType, Finding, conditions_json
from headrace.contract.declaration import Style
from headrace.contract.evidence import Proof
from headrace.contract.model_endpoint import READY, RECORDED, ROLLED_OUT
from headrace.contract.rollout import Phase
from headrace.routing.ads.proofs import finding
from headrace.routing.snapshot import Endpoint, previous_versions, versions_without_pods

MESSAGE_LIMIT: Final = 1024
"""Most characters of a pod's message in a condition; the API allows 32,768, a terminal shows less."""
_REASON: Final = re.compile(r"[A-Z][A-Za-z0-9]{2,63}")
_WITHOUT_SECRET: Final = "CreateContainerConfigError"
"""Reason of a waiting container whose Secret, or a key of it, does not exist."""
_STARTING: Final = ("ContainerCreating", "PodInitializing")
"""Reasons of waiting containers that are starting and have not failed."""
_DOING: Final = {"initContainerStatuses": "copying the model's weights", "containerStatuses": "loading the model"}
"""What a running container of a pod that is not ready does."""


def endpoint_status(
    item: Mapping[str, Any],
    *,
    endpoint: Endpoint | None,
    faults: Sequence[str],
    ready: Mapping[str, int],
    pods: Iterable[Mapping[str, Any]],
    proofs: Mapping[str, Proof] | None = None,
    now: str,
) -> dict[str, Any]:
    """The `status` of a ModelEndpoint object.

    `ready` counts ready pods by version, also of versions that the object does not name; `pods` are the endpoint's
    pods, read for the cause when `needs_pods`; `proofs` are those of its versions, by name; `now` is RFC 3339 text,
    used only when a condition's status changes.
    """
    generation = item["metadata"].get("generation", 0)
    pods, proofs = list(pods), {} if proofs is None else proofs
    if endpoint is None:
        condition = _condition(False, "InvalidSpec", "; ".join(faults))
    else:
        missing, previous = versions_without_pods(endpoint, ready), previous_versions(endpoint, ready)
        if endpoint.spec.stopped:
            condition = _condition(False, "Stopped", "The endpoint is stopped: requests get 503 until it is started.")
        elif not missing:
            condition = _condition(True, "VersionsReady", "Every version that takes traffic has a ready pod.")
        elif previous:
            words = f"Version {', '.join(previous)} serves until {', '.join(missing)} has a ready pod."
            condition = _condition(True, "FormerVersionServes", words)
        else:
            condition = _not_ready(missing, pods)
    failure = None
    if endpoint is not None and not endpoint.spec.stopped:
        failure = _failure(new_versions(endpoint, ready), pods) or _failure_of_change(endpoint, ready, pods)
    # A first version that cannot start is what Ready is about.
    rolled_out = _rolled_out(item, endpoint) if failure is None else _condition(False, *failure, kind=ROLLED_OUT)
    found = [condition] if rolled_out is None else [condition, rolled_out]
    if endpoint is not None:
        unproven = [name for name in versions_without_pods(endpoint, ready) if name not in proofs]
        proven = finding(endpoint, proofs, _failure(unproven, pods))
        found += [] if proven is None else [proven]
    before = _conditions_before(item)
    conditions = conditions_json(found, before, now=now, generation=generation)
    conditions += [{**each} for each in before if each.get("type") == RECORDED.name]  # the table writer's
    total = sum(ready.values()) if endpoint is not None else 0
    status = {"observedGeneration": generation, "readyPods": total, "conditions": conditions}
    if endpoint is not None:
        status["runtimes"] = [
            {"version": version.name, "runtime": version.runtime, "reasons": list(version.reasons)}
            for version in endpoint.spec.versions
        ]
        told = [proofs[version.name] for version in endpoint.spec.versions if version.name in proofs]
        if told or (item.get("status") or {}).get("proofs"):
            status["proofs"] = [encode(proof, Style.KUBERNETES) for proof in told]
    return status


def differs(item: Mapping[str, Any], status: Mapping[str, Any]) -> bool:
    """Whether writing the status would change the object."""
    current = item.get("status") or {}
    return any(current.get(key) != value for key, value in status.items())


def is_ready(item: Mapping[str, Any]) -> bool:
    return any(each.get("type") == READY.name and each.get("status") == "True" for each in _conditions_before(item))


def needs_pods(endpoint: Endpoint, ready: Mapping[str, int], *, unready: Collection[str] = ()) -> bool:
    """Whether the endpoint's pods must be read to say why a version has no ready pod, or why one of its pods is not;
    `unready` has the versions with such pods."""
    if endpoint.spec.stopped:
        return False
    return bool(versions_without_pods(endpoint, ready)) or any(each.name in unready for each in endpoint.weighted)


def new_versions(endpoint: Endpoint, ready: Mapping[str, int]) -> list[str]:
    """Versions without a ready pod that are to take the traffic from a previous version, which serves meanwhile."""
    return versions_without_pods(endpoint, ready) if previous_versions(endpoint, ready) else []


def _condition(holds: bool, reason: str, message: str, *, kind: ConditionType = READY) -> Finding:
    return Finding(type=kind, holds=holds, reason=reason, message=message)


def _rolled_out(item: Mapping[str, Any], endpoint: Endpoint | None) -> Finding | None:
    """What the rollout controller has written, as a condition; None where the spec asks for no rollout."""
    told = (item.get("status") or {}).get("rollout") or {}
    if (
        endpoint is None
        or endpoint.spec.rollout is None
        or told.get("version") not in {v.name for v in endpoint.weighted}
    ):
        return None
    phase, reason, message = told["phase"], told["reason"], told["message"]
    code = reason if phase == Phase.ROLLED_BACK else phase
    return _condition(phase == Phase.COMPLETED, code, f"Version {told['version']}: {message}.", kind=ROLLED_OUT)


def _conditions_before(item: Mapping[str, Any]) -> Sequence[Mapping[str, Any]]:
    return (item.get("status") or {}).get("conditions") or ()


def _not_ready(versions: Sequence[str], pods: Sequence[Mapping[str, Any]]) -> Finding:
    """The finding with the first failure that a pod of these versions reports, or that they are still starting."""
    failure = _failure(versions, pods)
    if failure is not None:
        return _condition(False, *failure)
    listed = ", ".join(versions)
    served = "requests to it wait for one, or get 503, unless pods that were ready still serve"
    words = f"No pod is ready for version {listed}; {served}."
    return _condition(False, "NoReadyPod", " ".join([words, *_loading(versions, pods)]))


def _loading(versions: Sequence[str], pods: Sequence[Mapping[str, Any]]) -> list[str]:
    """A sentence for each pod of these versions whose container runs and is not ready: it copies a large model's
    weights first, and loads the model then."""
    found = []
    for pod, (kind, does) in itertools.product(_by_name(pods), _DOING.items()):
        for container in (pod.get("status") or {}).get(kind) or ():
            since = ((container.get("state") or {}).get("running") or {}).get("startedAt")
            if since and _version(pod) in versions and not container.get("ready"):
                found.append(f"Pod {pod['metadata']['name']} has been {does} since {since}.")
    return found


def _failure(versions: Sequence[str], pods: Sequence[Mapping[str, Any]]) -> tuple[str, str] | None:
    """Reason and message of the newest failing pod of the first of these versions that has one."""
    newest = sorted(_by_name(pods), key=lambda pod: pod["metadata"].get("creationTimestamp") or "", reverse=True)
    for version, pod in itertools.product(versions, newest):
        failure = pod_failure(pod) if _version(pod) == version else None
        if failure is not None:
            return failure[0], f"Version {version}, pod {pod['metadata']['name']}: {failure[1]}"
    return None


def _failure_of_change(
    endpoint: Endpoint, ready: Mapping[str, int], pods: Sequence[Mapping[str, Any]]
) -> tuple[str, str] | None:
    """As `_failure`, of pods of a version whose Deployment was changed while pods of before serve on."""
    for version in (each.name for each in endpoint.weighted if ready.get(each.name, 0) > 0):
        own = [pod for pod in pods if _version(pod) == version and not pod["metadata"].get("deletionTimestamp")]
        serving = {_template(pod) for pod in own if _is_ready(pod)}
        failure = _failure([version], [pod for pod in own if _template(pod) not in serving]) if serving else None
        if failure is not None:
            return failure[0], f"{failure[1]}; pods from before the change serve on"
    return None


def _template(pod: Mapping[str, Any]) -> str | None:
    """What a Deployment's pods of the same template share."""
    return (pod["metadata"].get("labels") or {}).get("pod-template-hash")


def _is_ready(pod: Mapping[str, Any]) -> bool:
    conditions = (pod.get("status") or {}).get("conditions") or ()
    return any(each.get("type") == "Ready" and each.get("status") == "True" for each in conditions)


def _by_name(pods: Iterable[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    return sorted(pods, key=lambda pod: str(pod["metadata"]["name"]))


def _version(pod: Mapping[str, Any]) -> str | None:
    return (pod["metadata"].get("labels") or {}).get(names.VERSION_LABEL)


def pod_failure(pod: Mapping[str, Any]) -> tuple[str, str] | None:
    """Reason and message of a pod's failure, in its own words; None for a pod that is healthy or starting."""
    status = pod.get("status") or {}
    containers = [*(status.get("initContainerStatuses") or ()), *(status.get("containerStatuses") or ())]
    for container in containers:
        state = container.get("state") or {}
        stuck = state.get("waiting") or {}
        if stuck.get("reason") == _WITHOUT_SECRET:  # whatever ended it before, this keeps it from starting again
            return _WITHOUT_SECRET, _of_secret(stuck.get("message") or _WITHOUT_SECRET)
        ended = state.get("terminated") or (container.get("lastState") or {}).get("terminated")
        if ended and (ended.get("exitCode", 0) != 0 or ended.get("reason") == "OOMKilled"):
            return _of_exit(ended)
        if stuck.get("reason") and stuck["reason"] not in _STARTING:
            return stuck["reason"], _short(stuck.get("message") or stuck["reason"])
    for condition in status.get("conditions") or ():
        if condition.get("type") == "PodScheduled" and condition.get("status") == "False":
            return condition.get("reason") or "Unschedulable", _short(condition.get("message") or "not scheduled")
    if status.get("phase") == "Failed":
        return status.get("reason") or "PodFailed", _short(status.get("message") or "the pod failed")
    return None


def _of_secret(said: str) -> str:
    """What the kubelet says of a Secret or a key that `environment` names and that is not there, with the remedy."""
    remedy = "make it in the endpoint's namespace, upon which the pod starts, or name another in environment"
    return _short(f"{said}; {remedy}" if "secret" in said.lower() else said)


def _of_exit(ended: Mapping[str, Any]) -> tuple[str, str]:
    """Of a container's termination message: JSON `{"reason", "message"}`, or text on why the model did not load."""
    said = (ended.get("message") or "").strip()
    fallback = ended.get("reason") or "Error"
    if fallback == "OOMKilled":
        return fallback, _short(said or "the container used more memory than its limit")
    try:
        parsed = json.loads(said.splitlines()[-1]) if said else None
    except ValueError:
        parsed = None
    if isinstance(parsed, dict) and _REASON.fullmatch(str(parsed.get("reason", ""))):
        return str(parsed["reason"]), _short(str(parsed.get("message", "")))
    if said:
        return "ModelLoadFailed", _short(said)
    reason = "ContainerFailed" if fallback == "Error" else fallback
    return reason, f"exit status {ended.get('exitCode')}, without a word"


def _short(text: str) -> str:
    text = " ".join(text.split())
    return text if len(text) <= MESSAGE_LIMIT else "…" + text[-MESSAGE_LIMIT + 1 :]
