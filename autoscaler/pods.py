"""Pods: what a version's pods amount to for a decision."""

import datetime
import functools
import statistics
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from headrace.autoscaler.engine import PodCounts
from headrace.machinery.api_server import Key, Object

START_SECONDS_MAX = 3600.0
"""A longer time to Ready was no cold start: the pod became unready later and came back."""
_FAILING = frozenset(
    {
        "CrashLoopBackOff",
        "ImagePullBackOff",
        "ErrImagePull",
        "InvalidImageName",
        "CreateContainerConfigError",
        "CreateContainerError",
        "RunContainerError",
    }
)
"""Waiting reasons of a container that time alone will not cure."""


_METADATA = ("name", "uid", "creationTimestamp", "deletionTimestamp")
_CONDITION = ("type", "status", "reason", "lastTransitionTime")


@dataclass(frozen=True, kw_only=True)
class Fleet:
    """The pods of one version."""

    counts: PodCounts
    ready: Mapping[str, str]
    """Names and addresses of the ready pods."""
    cold_start_seconds: float | None
    """Median time from creation to Ready of the pods there are."""

    def asked(self, desired: int) -> "Fleet":
        """The same pods under a Deployment that asks for so many."""
        return replace(self, counts=replace(self.counts, desired=desired))


def kept(pod: Object) -> Object:
    """What is read here of a pod: what else it says is most of the memory that ten thousand of them take."""
    metadata, status = pod["metadata"], pod.get("status", {})
    return {
        "metadata": {name: metadata[name] for name in _METADATA if name in metadata},
        "status": {
            **{name: status[name] for name in ("phase", "podIP") if name in status},
            "conditions": [
                {name: condition[name] for name in _CONDITION if name in condition}
                for condition in status.get("conditions", ())
                if condition["type"] in ("Ready", "PodScheduled")
            ],
            **{
                kind: [
                    {"restartCount": state.get("restartCount", 0), "state": {"waiting": {"reason": _waits_for(state)}}}
                    for state in status[kind]
                ]
                for kind in ("initContainerStatuses", "containerStatuses")
                if kind in status
            },
        },
    }


def fleet(pods: Iterable[Mapping[str, Any]]) -> Fleet:
    """Counts each pod once; pods being deleted and finished pods count nowhere."""
    ready: dict[str, str] = {}
    starts: list[float] = []
    starting = unschedulable = failing = 0
    for pod in pods:
        status = pod.get("status", {})
        if pod["metadata"].get("deletionTimestamp") or status.get("phase") in ("Succeeded", "Failed"):
            continue
        conditions = {condition["type"]: condition for condition in status.get("conditions", ())}
        readiness = conditions.get("Ready", {})
        if readiness.get("status") == "True" and status.get("podIP"):
            ready[pod["metadata"]["name"]] = status["podIP"]
            seconds = _start_seconds(pod, readiness)
            if seconds is not None:
                starts.append(seconds)
        elif conditions.get("PodScheduled", {}).get("reason") == "Unschedulable":
            unschedulable += 1
        elif _failing(status):
            failing += 1
        else:
            starting += 1
    return Fleet(
        counts=PodCounts(desired=0, ready=len(ready), starting=starting, unschedulable=unschedulable, failing=failing),
        ready=ready,
        cold_start_seconds=statistics.median(starts) if starts else None,
    )


@dataclass
class Fleets:
    """The fleet of each version, counted anew only when its pods are not those of the look before: of ten thousand pods
    few change in a second."""

    pods: Callable[[str, str], Sequence[Object]]
    """Pods of a version; the same sequence as long as nothing in it changed."""
    _counted: dict[Key, tuple[Sequence[Object], Fleet]] = field(default_factory=dict)

    def of(self, key: Key) -> Fleet:
        """The fleet as it is now."""
        present = self.pods(*key)
        known = self._counted.get(key)
        if known is None or known[0] is not present:
            known = self._counted[key] = (present, fleet(present))
        return known[1]

    def keep(self, keys: Iterable[Key]) -> None:
        """Drops all other versions. Other threads may ask for fleets meanwhile."""
        for key in set(self._counted) - set(keys):
            self._counted.pop(key, None)


def cores(deployment: Mapping[str, Any]) -> float | None:
    """CPU limit of one pod of the Deployment, in cores: the largest container's; None without a limit."""
    containers = deployment["spec"].get("template", {}).get("spec", {}).get("containers", ())
    limits = [
        quantity(container["resources"]["limits"]["cpu"])
        for container in containers
        if container.get("resources", {}).get("limits", {}).get("cpu") is not None
    ]
    return max(limits) if limits else None


def quantity(text: str | float) -> float:
    """Cores in a Kubernetes CPU quantity: 2, "2", "500m"."""
    written = str(text)
    return float(written[:-1]) / 1000.0 if written.endswith("m") else float(written)


def _failing(status: Mapping[str, Any]) -> bool:
    states = [
        *(status.get("initContainerStatuses", ())),
        *(status.get("containerStatuses", ())),
    ]
    return any(_waits_for(state) in _FAILING for state in states)


def _waits_for(state: Mapping[str, Any]) -> str:
    """Reason for which a container waits; empty when it runs or gives none."""
    return str(state.get("state", {}).get("waiting", {}).get("reason", ""))


def _start_seconds(pod: Mapping[str, Any], readiness: Mapping[str, Any]) -> float | None:
    created, became = pod["metadata"].get("creationTimestamp"), readiness.get("lastTransitionTime")
    restarted = any(state.get("restartCount", 0) > 0 for state in pod["status"].get("containerStatuses", ()))
    if not created or not became or restarted:
        return None
    seconds = _moment(became) - _moment(created)
    return seconds if 0 <= seconds <= START_SECONDS_MAX else None


@functools.lru_cache(maxsize=4096)
def _moment(text: str) -> float:
    """Unix seconds of an RFC 3339 time; pods of one fleet share few, and are looked at each second."""
    return datetime.datetime.fromisoformat(text).timestamp()
