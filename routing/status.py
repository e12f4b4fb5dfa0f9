"""Status: what a ModelEndpoint's user is told about it. Pure."""

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from headrace.contract import names
from headrace.routing.snapshot import Endpoint, former, waiting

READY: Final = "Ready"
ROLLED_OUT: Final = "RolledOut"
"""False while a version that the object names cannot start, and one that it does not name any more serves. There only
then: a first version that cannot start is what Ready is about."""
MESSAGE_LIMIT: Final = 1024
"""Characters of a pod's own words that are passed on; the API allows 32,768, a terminal shows less."""
_REASON: Final = re.compile(r"[A-Z][A-Za-z0-9]{2,63}")
_QUIET: Final = ("ContainerCreating", "PodInitializing")
"""Waiting reasons of a pod that is merely starting."""


def endpoint_status(
    item: Mapping[str, Any],
    *,
    endpoint: Endpoint | None,
    faults: Sequence[str],
    ready: Mapping[str, int],
    pods: Iterable[Mapping[str, Any]],
    now: str,
) -> dict[str, Any]:
    """The `status` of a ModelEndpoint object.

    `ready` counts ready pods by version, also of versions that the object does not name; `pods` are the endpoint's
    pods, asked for the cause when `needs_pods`; `now` is RFC 3339 text, used only when a condition's status changes.
    """
    generation = item["metadata"].get("generation", 0)
    if endpoint is None:
        condition = _condition(False, "InvalidSpec", "; ".join(faults))
    else:
        missing, others = waiting(endpoint, ready), former(endpoint, ready)
        if not missing:
            condition = _condition(True, "VersionsReady", "Every version that takes traffic has a ready pod.")
        elif others:
            words = f"Version {', '.join(others)} serves until {', '.join(missing)} has a ready pod."
            condition = _condition(True, "FormerVersionServes", words)
        else:
            condition = _not_ready(missing, list(pods))
    failure = None if endpoint is None else _failure(coming(endpoint, ready), list(pods))
    conditions = [condition] if failure is None else [condition, _condition(False, *failure, kind=ROLLED_OUT)]
    for made in conditions:
        made["observedGeneration"] = generation
        before = _condition_before(item, made["type"])
        unchanged = before is not None and before.get("status") == made["status"]
        made["lastTransitionTime"] = before["lastTransitionTime"] if before is not None and unchanged else now
    total = sum(ready.values()) if endpoint is not None else 0
    status = {"observedGeneration": generation, "readyPods": total, "conditions": conditions}
    if endpoint is not None:
        status["runtimes"] = [
            {"version": version.name, "runtime": version.runtime, "reasons": list(version.reasons)}
            for version in endpoint.spec.versions
        ]
    return status


def differs(item: Mapping[str, Any], status: Mapping[str, Any]) -> bool:
    """Whether writing the status would change the object."""
    current = item.get("status") or {}
    return any(current.get(key) != value for key, value in status.items())


def is_ready(item: Mapping[str, Any]) -> bool:
    """Whether the object says that it is ready."""
    before = _condition_before(item)
    return before is not None and before.get("status") == "True"


def needs_pods(endpoint: Endpoint, ready: Mapping[str, int]) -> bool:
    """Whether the endpoint's pods must be asked why it is not ready, or why a version to come is not."""
    return bool(waiting(endpoint, ready))


def coming(endpoint: Endpoint, ready: Mapping[str, int]) -> list[str]:
    """Versions without a ready pod that shall take the traffic from one that the object does not name any more."""
    return waiting(endpoint, ready) if former(endpoint, ready) else []


def _condition(holds: bool, reason: str, message: str, *, kind: str = READY) -> dict[str, Any]:
    return {"type": kind, "status": "True" if holds else "False", "reason": reason, "message": message}


def _condition_before(item: Mapping[str, Any], kind: str = READY) -> dict[str, Any] | None:
    conditions = (item.get("status") or {}).get("conditions") or ()
    return next((dict(condition) for condition in conditions if condition.get("type") == kind), None)


def _not_ready(waiting: Sequence[str], pods: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """The first failure that a pod of a waiting version reports, or that they are still starting."""
    failure = _failure(waiting, pods)
    if failure is not None:
        return _condition(False, *failure)
    listed = ", ".join(waiting)
    words = f"No pod is ready for version {listed}; requests to it answer 503, unless pods that were ready still serve."
    return _condition(False, "NoReadyPod", " ".join([words, *_loading(waiting, pods)]))


def _loading(versions: Sequence[str], pods: Sequence[Mapping[str, Any]]) -> list[str]:
    """A sentence a pod of these versions whose container runs, so that what it does is to load the model."""
    found = []
    for pod in sorted(pods, key=lambda pod: str(pod["metadata"]["name"])):
        version = (pod["metadata"].get("labels") or {}).get(names.VERSION_LABEL)
        for container in (pod.get("status") or {}).get("containerStatuses") or ():
            since = ((container.get("state") or {}).get("running") or {}).get("startedAt")
            if since and version in versions and not container.get("ready"):
                found.append(f"Pod {pod['metadata']['name']} has been loading the model since {since}.")
    return found


def _failure(versions: Sequence[str], pods: Sequence[Mapping[str, Any]]) -> tuple[str, str] | None:
    """Reason and message of the newest failing pod of the first of these versions that has one."""
    for version in versions:
        for pod in sorted(pods, key=_newest_first):
            if (pod["metadata"].get("labels") or {}).get(names.VERSION_LABEL) != version:
                continue
            failure = pod_failure(pod)
            if failure is not None:
                reason, message = failure
                return reason, f"Version {version}, pod {pod['metadata']['name']}: {message}"
    return None


def _newest_first(pod: Mapping[str, Any]) -> tuple[str, ...]:
    # Inverting each character sorts RFC 3339 times from new to old with the name as a stable second key.
    created = pod["metadata"].get("creationTimestamp") or ""
    return ("".join(chr(255 - ord(character)) for character in created), pod["metadata"]["name"])


def pod_failure(pod: Mapping[str, Any]) -> tuple[str, str] | None:
    """Reason and message of what is wrong with a pod, in its own words; None for one that is well or just starting."""
    status = pod.get("status") or {}
    containers = [*(status.get("initContainerStatuses") or ()), *(status.get("containerStatuses") or ())]
    for container in containers:
        state = container.get("state") or {}
        ended = state.get("terminated") or (container.get("lastState") or {}).get("terminated")
        if ended and (ended.get("exitCode", 0) != 0 or ended.get("reason") == "OOMKilled"):
            return _of_exit(ended)
        stuck = state.get("waiting") or {}
        if stuck.get("reason") and stuck["reason"] not in _QUIET:
            return stuck["reason"], _short(stuck.get("message") or stuck["reason"])
    for condition in status.get("conditions") or ():
        if condition.get("type") == "PodScheduled" and condition.get("status") == "False":
            return condition.get("reason") or "Unschedulable", _short(condition.get("message") or "not scheduled")
    if status.get("phase") == "Failed":
        return status.get("reason") or "PodFailed", _short(status.get("message") or "the pod failed")
    return None


def _of_exit(ended: Mapping[str, Any]) -> tuple[str, str]:
    """A container's last words: JSON `{"reason", "message"}`, or what the front wrote on failing to load the model."""
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
