"""Status of an AutopilotPodAutoscaler's status from a decision. Pure."""

import datetime
import functools
import math
from collections.abc import Mapping, Sequence
from typing import Any

from headrace.autoscaler.engine import Decision, Reason, reasons
from headrace.autoscaler.fleet import Fleet
from headrace.contract.apa import ACTIVE, CAPACITY_AVAILABLE, DECISIONS_KEPT, LIMITED, SIGNALS_TRUSTED
from headrace.contract.conditions import ConditionType, Finding, conditions_json


def stamp(seconds: float) -> str:
    """RFC 3339 in UTC, to the second."""
    return _stamp(math.floor(seconds))


@functools.lru_cache(maxsize=4)
def _stamp(seconds: int) -> str:
    """A thousand versions are looked at in the same second."""
    return datetime.datetime.fromtimestamp(seconds, datetime.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def active(decision: Decision, fleet: Fleet, before: Mapping[str, Any], *, generation: int) -> dict[str, Any]:
    """The status of a version that is scaled, but for what was learned of it."""
    limit = decision.first(reasons.BUDGET_REACHED, reasons.LIMIT_REACHED)
    short = decision.first(reasons.CAPACITY_SHORT, reasons.PODS_FAILING)
    conditions = [
        _finding(ACTIVE, None, usual="Scaling"),
        _finding(SIGNALS_TRUSTED, decision.first(*reasons.FAULT_CODES), usual="Fresh"),
        _finding(LIMITED, limit, usual="WithinBounds"),
        _finding(CAPACITY_AVAILABLE, short, usual="PodsScheduled"),
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
        "conditions": conditions_json(conditions, before.get("conditions", ()), now=now, generation=generation),
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
    found = [Finding(type=ACTIVE, holds=False, reason=reason, message=message)]
    conditions = conditions_json(found, before.get("conditions", ()), now=stamp(now), generation=generation)
    return {"observedGeneration": generation, "reason": reason, "conditions": conditions}


def _finding(kind: ConditionType, reason: Reason | None, *, usual: str) -> Finding:
    """The condition for this reason of the decision; without one, for the usual reason and with what that means."""
    if reason is None:
        reason = Reason(usual, {**kind.true, **kind.false}[usual])
    return Finding(type=kind, holds=reason.code in kind.true, reason=reason.code, message=reason.message)


def news(status: Mapping[str, Any], before: Mapping[str, Any]) -> bool:
    """Whether anyone would want to know now; otherwise the write can wait for the next round."""
    keys = ("observedGeneration", "desiredReplicas", "readyReplicas", "concurrency", "decisions", "coldStart")
    changed = any(status.get(key) != before.get(key) for key in keys if key in status)
    return changed or _facts(status.get("conditions", ())) != _facts(before.get("conditions", ()))


def _facts(conditions: Sequence[Mapping[str, Any]]) -> set[tuple[str, str, str]]:
    return {(condition["type"], condition["status"], condition["reason"]) for condition in conditions}


def _main(decision: Decision) -> Reason:
    """The reason that a reader in a hurry wants: what limits or changes, before what is as usual."""
    quiet = (reasons.STEADY, reasons.BOUNDS, reasons.GUESSED)
    loud = [reason for reason in decision.reasons if reason.code not in quiet]
    return loud[-1] if loud else decision.reasons[0]
