"""Estimate: what a version of an endpoint is about to be, cost and need, by its plan and what the cluster has. Pure."""

import datetime
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from headrace.components.endpoint.endpoint_plan import EndpointPlan
from headrace.components.endpoint.version_price import version_price
from headrace.components.platform.prices import Prices
from headrace.contract import names
from headrace.stacks.forecast.restarts import differences
from headrace.stacks.forecast.room import room

Object = Mapping[str, Any]
_PLACES_TOLD: Final = 4
"""Differences of a template that are told one by one."""


@dataclass(frozen=True, kw_only=True)
class Seen:
    """What a cluster has now."""

    nodes: Sequence[Object]
    pods: Sequence[Object]
    deployments: Mapping[str, Mapping[str, Object]]
    """Those of endpoints, by namespace and name."""
    autoscalers: Mapping[str, Mapping[str, Object]]
    """AutopilotPodAutoscalers, by namespace and name."""


@dataclass(frozen=True, kw_only=True)
class Cost:
    """An hour of the endpoint's pods."""

    least: float
    expected: float | None
    """None where there is no history."""
    most: float


@dataclass(frozen=True, kw_only=True)
class Estimate:
    """One version of an endpoint."""

    version: str
    runtime: str
    reasons: tuple[str, ...]
    pods_least: int
    pods_most: int
    pod: str
    """Resources of one pod, for people."""
    gpus_most: int
    """Of all pods together."""
    pods_now: int
    """Those that the version which serves now was told to have; 0 where none does."""
    pods_expected: float | None
    """As its history had on average; None without one."""
    surge: int
    """Pods beside those that serve until another version has their traffic, at most: as many as serve now."""
    cost: Cost | None
    """None where there is no price."""
    price_reason: str
    room: int | None
    """Further pods that the cluster has room for now; None where it was not asked."""
    restarts: str
    """Which pods an update replaces, and why; empty: none."""
    warning: str
    """What will not go well; empty: nothing is known."""


def estimate(
    name: str,
    plan: EndpointPlan,
    pod: Object,
    *,
    prices: Prices,
    seen: Seen | None,
    now: datetime.datetime,
    beside: Collection[str] = (),
) -> Estimate:
    """`pod` is the plan's template with the values of its outputs, as far as they are known; `beside` are the
    endpoint's other versions, which are there before and after."""
    allotment, scale = plan.allotment, plan.scale
    most = scale.max_replicas if plan.pods_most is None else min(scale.max_replicas, plan.pods_most)
    selector = pod["spec"].get("nodeSelector") or {}
    price = version_price(prices, allotment, gpu_memory_gib=plan.gpu_memory_gib, node_selector=selector, scale=scale)
    space = names.endpoint_namespace(name)
    deployments, told = (
        {version: found for version, found in of_all.get(space, {}).items() if version not in beside}
        for of_all in (({}, {}) if seen is None else (seen.deployments, seen.autoscalers))
    )
    serving = told.get(plan.version) or next(iter(told.values()), None)
    pods_now = sum(int(each["spec"].get("replicas", 1)) for each in deployments.values())
    expected = None if serving is None else mean_replicas(serving, now)
    free = None if seen is None else room(pod, seen.nodes, seen.pods)
    comes = bool(seen) and plan.version not in deployments
    restarts = "" if seen is None else _restarts(plan.version, pod, deployments, pods_now)
    needed = max(scale.min_replicas, 1) if comes else 1 if restarts else 0
    return Estimate(
        version=plan.version,
        runtime=plan.choice.runtime.value,
        reasons=(*plan.choice.reasons, allotment.memory_reason),
        pods_least=scale.min_replicas,
        pods_most=most,
        pod=_pod(plan),
        gpus_most=most * allotment.gpus,
        pods_now=pods_now,
        pods_expected=expected,
        surge=max(pods_now, scale.min_replicas, 1),
        cost=None if price is None else _cost(plan, price.per_hour, most, expected),
        price_reason="" if price is None else price.reason,
        room=free,
        restarts=restarts,
        warning=_warning(plan, free, needed),
    )


def mean_replicas(autoscaler: Object, now: datetime.datetime) -> float | None:
    """Pods on average since the oldest decision that the object keeps; None where it has none to tell."""
    status = autoscaler.get("status") or {}
    changes = sorted(
        (datetime.datetime.fromisoformat(each["time"]), int(each["replicas"]))
        for each in status.get("decisions") or ()
        if each.get("time") and each.get("replicas") is not None
    )
    if not changes or changes[0][0] >= now:
        return float(status["replicas"]) if status.get("replicas") is not None else None
    ends = [*(time for time, _ in changes[1:]), now]
    pod_seconds = sum(
        replicas * (end - time).total_seconds() for (time, replicas), end in zip(changes, ends, strict=True)
    )
    return pod_seconds / (now - changes[0][0]).total_seconds()


def _cost(plan: EndpointPlan, hour: float, most: int, expected: float | None) -> Cost:
    budget = plan.scale.cost_per_hour
    return Cost(
        least=plan.scale.min_replicas * hour,
        expected=None if expected is None else expected * hour,
        most=most * hour if budget is None else min(most * hour, budget),
    )


def _pod(plan: EndpointPlan) -> str:
    allotment = plan.allotment
    parts = [f"{allotment.cpu_request:g} cores", f"{allotment.memory_mib} MiB"]
    return ", ".join([*parts, *([f"{allotment.gpus} GPUs"] if allotment.gpus else [])])


def _restarts(version: str, pod: Object, deployments: Mapping[str, Object], pods_now: int) -> str:
    if version in deployments:
        places = list(differences(pod, deployments[version]["spec"]["template"]))
        if not places:
            return ""
        told = "; ".join(_short(place) for place in places[:_PLACES_TOLD])
        more = f" and {len(places) - _PLACES_TOLD} more" if len(places) > _PLACES_TOLD else ""
        return f"all {pods_now} of {version}: {told}{more}"
    if deployments:
        return f"the {pods_now} of {', '.join(sorted(deployments))} go once {version} serves"
    return ""


def _short(place: str) -> str:
    return place.removeprefix("spec.").removeprefix("metadata.").replace("containers[model].", "")


def _warning(plan: EndpointPlan, free: int | None, needed: int) -> str:
    if free is None or free >= needed:
        return ""
    return (
        f"{plan.version} needs room for {needed} more of its pods ({_pod(plan)}) and the cluster has room for {free} "
        "now: they wait until a node comes; add nodes, or ask for less with cpu and memory_mib"
    )
