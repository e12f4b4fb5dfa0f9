"""Pods: what a version's pods amount to for a decision. Pure."""

import datetime
import functools
import statistics
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from headrace.autoscaler.engine import PodCounts

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


@dataclass(frozen=True, kw_only=True)
class Fleet:
    """The pods of one version."""

    counts: PodCounts
    ready: Mapping[str, str]
    """Names and addresses of the ready pods."""
    cold_start_seconds: float | None
    """Median time from creation to Ready of the pods there are."""


def fleet(pods: Iterable[Mapping[str, Any]], *, desired: int) -> Fleet:
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
        counts=PodCounts(
            desired=desired, ready=len(ready), starting=starting, unschedulable=unschedulable, failing=failing
        ),
        ready=ready,
        cold_start_seconds=statistics.median(starts) if starts else None,
    )


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
    return any(state.get("state", {}).get("waiting", {}).get("reason") in _FAILING for state in states)


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
