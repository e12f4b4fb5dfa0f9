"""Fleet: what a version's pods amount to for a decision."""

import collections
import datetime
import enum
import statistics
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple

from headrace.autoscaler.engine import PodCounts
from headrace.kube.api_server import Key, Object, cores

START_SECONDS_MAX = 3600.0
"""A longer time to Ready was no cold start: the pod became unready later and came back."""
_FAILING = (
    "CrashLoopBackOff", "ImagePullBackOff", "ErrImagePull", "InvalidImageName", "CreateContainerConfigError",
    "CreateContainerError", "RunContainerError",
)  # fmt: skip
"""Waiting reasons of a container that time alone will not cure."""


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
    scheduled_seconds: float | None = None
    """Of these, from creation until it had a node; None where `start_seconds` is."""
    pulled_seconds: float | None = None
    """Of these, from then until its containers ran."""
    ready_at: float = 0.0
    """When it became ready, in Unix seconds."""


class Deployment(NamedTuple):
    replicas: int
    """Pods that it asks for."""
    pod_cores: float | None
    """CPU limit of one pod, in cores: the largest container's; None without a limit."""
    leaving: bool


@dataclass(frozen=True, kw_only=True)
class Fleet:
    counts: PodCounts
    ready: Mapping[str, str]
    """Names and addresses of the ready pods."""
    newest: Pod | None = None
    """The ready pod that started last; None where no start was seen."""
    cold_start_seconds: float | None
    """Median time from creation to Ready of the pods there are."""

    def asked(self, desired: int) -> "Fleet":
        """The same pods under a Deployment that asks for so many."""
        return replace(self, counts=replace(self.counts, desired=desired))


def read_pod(item: Object) -> Pod:
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
    name = item["metadata"]["name"]
    if seconds is None:
        return Pod(name, address, state, seconds)
    return Pod(name, address, state, seconds, *_phases(item, conditions), _at(readiness["lastTransitionTime"]))


def fleet_of(pods: Iterable[Pod]) -> Fleet:
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
        newest=max((each for each in present if each.start_seconds is not None), key=_ready_at, default=None),
        cold_start_seconds=statistics.median(starts) if starts else None,
    )


def bracketed(address: str) -> str:
    """An address as it stands in a URL."""
    return f"[{address}]" if ":" in address else address


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
            known = self._counted[key] = (present, fleet_of(present))
        return known[1]

    def keep(self, keys: Iterable[Key]) -> None:
        """Drops all other versions. Other threads may ask for fleets meanwhile."""
        for key in set(self._counted) - set(keys):
            self._counted.pop(key, None)


def read_deployment(item: Object) -> Deployment:
    containers = item["spec"].get("template", {}).get("spec", {}).get("containers", ())
    limits = [container.get("resources", {}).get("limits", {}).get("cpu") for container in containers]
    known = [cores(limit) for limit in limits if limit is not None]
    return Deployment(
        int(item["spec"].get("replicas", 1)), max(known, default=None), leaving="deletionTimestamp" in item["metadata"]
    )


def _failing(status: Mapping[str, Any]) -> bool:
    states = [*(status.get("initContainerStatuses", ())), *(status.get("containerStatuses", ()))]
    return any(state.get("state", {}).get("waiting", {}).get("reason", "") in _FAILING for state in states)


def _ready_at(pod: Pod) -> float:
    return pod.ready_at


def _at(text: str) -> float:
    """Unix seconds of RFC 3339 text."""
    return datetime.datetime.fromisoformat(text).timestamp()


def _phases(item: Object, conditions: Mapping[str, Mapping[str, Any]]) -> tuple[float | None, float | None]:
    """Seconds from creation until there was a node, and from then until all containers ran; None: not told."""
    scheduled = conditions.get("PodScheduled", {}).get("lastTransitionTime")
    states = (state.get("state", {}).get("running", {}) for state in item["status"].get("containerStatuses", ()))
    begun = [state["startedAt"] for state in states if state.get("startedAt")]
    if not scheduled:
        return None, None
    placed = _at(scheduled)
    pulled = max(0.0, max(map(_at, begun)) - placed) if begun else None
    return max(0.0, placed - _at(item["metadata"]["creationTimestamp"])), pulled


def _start_seconds(item: Object, readiness: Mapping[str, Any]) -> float | None:
    created, became = item["metadata"].get("creationTimestamp"), readiness.get("lastTransitionTime")
    restarted = any(state.get("restartCount", 0) > 0 for state in item["status"].get("containerStatuses", ()))
    if not created or not became or restarted:
        return None
    read = datetime.datetime.fromisoformat
    seconds = (read(became) - read(created)).total_seconds()
    return seconds if 0 <= seconds <= START_SECONDS_MAX else None
