"""Report: an AutopilotPodAutoscaler's status from a decision. Pure."""

import datetime
import functools
import math
from collections.abc import Mapping, Sequence
from typing import Any, Final

from headrace.autoscaler.engine import Decision, model
from headrace.autoscaler.pods import Fleet
from headrace.contract.apa import DECISIONS_KEPT

ACTIVE: Final = "Active"
"""True while the version is scaled; False with the reason why it is not."""
SIGNALS: Final = "SignalsTrusted"
LIMITED: Final = "Limited"
"""True when a bound or the budget keeps the replicas from what the load asks for."""
CAPACITY: Final = "CapacityAvailable"
"""False when pods wait for a node or cannot start."""


def stamp(seconds: float) -> str:
    """RFC 3339 in UTC, to the second."""
    return _stamp(math.floor(seconds))


@functools.lru_cache(maxsize=4)
def _stamp(seconds: int) -> str:
    """A thousand versions are looked at in the same second."""
    return datetime.datetime.fromtimestamp(seconds, datetime.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def active(decision: Decision, fleet: Fleet, before: Mapping[str, Any], *, generation: int) -> dict[str, Any]:
    """The status of a version that is scaled, but for what was learned of it."""
    fault = next((reason for reason in decision.reasons if reason.code in model.FAULT_CODES), None)
    limit = _first(decision, model.BUDGET_REACHED, model.LIMIT_REACHED)
    short = _first(decision, model.CAPACITY_SHORT, model.PODS_FAILING)
    conditions = [
        (ACTIVE, True, "Scaling", "Replicas and concurrency follow the load."),
        (SIGNALS, False, fault.code, fault.message)
        if fault is not None
        else (SIGNALS, True, "Fresh", "Load is reported."),
        (LIMITED, True, limit.code, limit.message)
        if limit is not None
        else (LIMITED, False, "WithinBounds", "No bound is reached."),
        (CAPACITY, False, short.code, short.message)
        if short is not None
        else (CAPACITY, True, "PodsScheduled", "No pod waits for a node or fails to start."),
    ]
    now = stamp(decision.at)
    main = _main(decision)
    status: dict[str, Any] = {
        "observedGeneration": generation,
        "replicas": fleet.counts.desired,
        "desiredReplicas": decision.replicas,
        "readyReplicas": fleet.counts.ready,
        "concurrency": decision.concurrency,
        "targetConcurrency": round(decision.target, 3),
        "reason": main.code,
        "conditions": _conditions(conditions, before, now, generation),
    }
    if "demand" in decision.inputs:
        status["demand"] = f"{decision.inputs['demand']:.1f}"
    moved = decision.replicas != before.get("desiredReplicas") or decision.concurrency != before.get("concurrency")
    if moved and not decision.held:
        status["lastScaleTime"] = now
        entry = {
            "time": now,
            "replicas": decision.replicas,
            "concurrency": decision.concurrency,
            "reasons": [f"{reason.code}: {reason.message}" for reason in decision.reasons],
            "inputs": {name: round(value, 4) for name, value in decision.inputs.items()},
        }
        status["decisions"] = [*before.get("decisions", ()), entry][-DECISIONS_KEPT:]
    return status


def refused(reason: str, message: str, before: Mapping[str, Any], *, now: float, generation: int) -> dict[str, Any]:
    """The status of a version that is left alone."""
    return {
        "observedGeneration": generation,
        "reason": reason,
        "conditions": _conditions([(ACTIVE, False, reason, message)], before, stamp(now), generation),
    }


def news(status: Mapping[str, Any], before: Mapping[str, Any]) -> bool:
    """Whether anyone would want to know now; otherwise the write can wait for the next round."""
    keys = ("observedGeneration", "desiredReplicas", "readyReplicas", "concurrency", "decisions")
    if any(status.get(key) != before.get(key) for key in keys if key in status):
        return True
    return _facts(status.get("conditions", ())) != _facts(before.get("conditions", ()))


def _facts(conditions: Sequence[Mapping[str, Any]]) -> set[tuple[str, str, str]]:
    return {(condition["type"], condition["status"], condition["reason"]) for condition in conditions}


def _first(decision: Decision, *codes: str) -> model.Reason | None:
    return next((reason for code in codes for reason in decision.reasons if reason.code == code), None)


def _main(decision: Decision) -> model.Reason:
    """The reason that a reader in a hurry wants: what limits or changes, before what is as usual."""
    quiet = (model.STEADY, model.BOUNDS, model.GUESSED)
    loud = [reason for reason in decision.reasons if reason.code not in quiet]
    return loud[-1] if loud else decision.reasons[0]


def _conditions(
    wanted: Sequence[tuple[str, bool, str, str]], before: Mapping[str, Any], now: str, generation: int
) -> list[dict[str, Any]]:
    old = {condition["type"]: condition for condition in before.get("conditions", ())}
    found = []
    for kind, holds, reason, message in wanted:
        status = "True" if holds else "False"
        last = old.get(kind)
        unchanged = last is not None and last["status"] == status
        found.append(
            {
                "type": kind,
                "status": status,
                "reason": reason,
                "message": message,
                "lastTransitionTime": last["lastTransitionTime"] if last is not None and unchanged else now,
                "observedGeneration": generation,
            }
        )
    return found
