"""Pods: what a version's pods amount to for a decision."""

import collections
import datetime
import enum
import statistics
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple

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


_UNITS = {"": 1.0, "n": 1e-9, "u": 1e-6, "m": 1e-3, "k": 1e3, "M": 1e6, "Ki": 2.0**10, "Mi": 2.0**20}
"""Of a CPU quantity. No pod has a million cores."""


class State(enum.Enum):
    """What a pod counts as, once."""

    READY = "ready"
    STARTING = "starting"
    UNSCHEDULABLE = "unschedulable"
    FAILING = "failing"
    LEAVING = "leaving"
    """Being deleted or finished: it counts nowhere."""


class Pod(NamedTuple):
    """What is read of a pod: its object takes 15 KiB of memory, this 300 bytes."""

    name: str
    address: str
    state: State
    start_seconds: float | None
    """From creation to Ready; None where that was no first start, or is none yet."""


class Deployment(NamedTuple):
    """What is read of a Deployment."""

    replicas: int
    """Pods that it asks for."""
    pod_cores: float | None
    """CPU limit of one pod, in cores: the largest container's; None without a limit."""
    leaving: bool
    """It is being deleted."""


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


def pod(item: Object) -> Pod:
    """The pod that an object of the API server describes."""
    status = item.get("status", {})
    address = status.get("podIP", "")
    conditions = {condition["type"]: condition for condition in status.get("conditions", ())}
    readiness = conditions.get("Ready", {})
    seconds = None
    if item["metadata"].get("deletionTimestamp") or status.get("phase") in ("Succeeded", "Failed"):
        state = State.LEAVING
    elif readiness.get("status") == "True" and address:
        state, seconds = State.READY, _start_seconds(item, readiness)
    elif conditions.get("PodScheduled", {}).get("reason") == "Unschedulable":
        state = State.UNSCHEDULABLE
    else:
        state = State.FAILING if _failing(status) else State.STARTING
    return Pod(item["metadata"]["name"], address, state, seconds)


def fleet(pods: Iterable[Pod]) -> Fleet:
    """Counts each pod once."""
    present = list(pods)
    states = collections.Counter(each.state for each in present)
    starts = [each.start_seconds for each in present if each.start_seconds is not None]
    return Fleet(
        counts=PodCounts(
            desired=0,
            ready=states[State.READY],
            starting=states[State.STARTING],
            unschedulable=states[State.UNSCHEDULABLE],
            failing=states[State.FAILING],
        ),
        ready={each.name: each.address for each in present if each.state is State.READY},
        cold_start_seconds=statistics.median(starts) if starts else None,
    )


@dataclass
class Fleets:
    """The fleet of each version, counted anew only when its pods are not those of the look before: of ten thousand pods
    few change in a second."""

    pods: Callable[[str, str], Sequence[Pod]]
    """Pods of a version; the same sequence as long as nothing in it changed."""
    _counted: dict[Key, tuple[Sequence[Pod], Fleet]] = field(default_factory=dict)

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


def deployment(item: Object) -> Deployment:
    """The Deployment that an object of the API server describes."""
    return Deployment(
        int(item["spec"].get("replicas", 1)), _cores(item), leaving="deletionTimestamp" in item["metadata"]
    )


def _cores(item: Object) -> float | None:
    containers = item["spec"].get("template", {}).get("spec", {}).get("containers", ())
    limits = [
        quantity(container["resources"]["limits"]["cpu"])
        for container in containers
        if container.get("resources", {}).get("limits", {}).get("cpu") is not None
    ]
    return max(limits) if limits else None


def quantity(text: str | float) -> float:
    """Cores in a Kubernetes CPU quantity: 2, "2", "2e0", "500m", "0.002k"."""
    written = str(text)
    unit = written.lstrip("+-.0123456789eE")
    return float(written.removesuffix(unit)) * _UNITS[unit]


def _failing(status: Mapping[str, Any]) -> bool:
    states = [
        *(status.get("initContainerStatuses", ())),
        *(status.get("containerStatuses", ())),
    ]
    return any(state.get("state", {}).get("waiting", {}).get("reason", "") in _FAILING for state in states)


def _start_seconds(item: Object, readiness: Mapping[str, Any]) -> float | None:
    created, became = item["metadata"].get("creationTimestamp"), readiness.get("lastTransitionTime")
    restarted = any(state.get("restartCount", 0) > 0 for state in item["status"].get("containerStatuses", ()))
    if not created or not became or restarted:
        return None
    seconds = _moment(became) - _moment(created)
    return seconds if 0 <= seconds <= START_SECONDS_MAX else None


def _moment(text: str) -> float:
    """Unix seconds of an RFC 3339 time."""
    return datetime.datetime.fromisoformat(text).timestamp()
