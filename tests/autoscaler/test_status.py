"""What an AutopilotPodAutoscaler says of its version, against what is declared that it may say."""

from types import SimpleNamespace
from typing import Any

import pytest

from headrace.autoscaler import status
from headrace.autoscaler.engine import Decision, PodCounts, Reason, reasons
from headrace.contract.apa import (
    ACTIVE,
    AUTOPILOT_POD_AUTOSCALER,
    CAPACITY_AVAILABLE,
    LIMITED,
    SIGNALS_TRUSTED,
    AutoscalerStatus,
)
from headrace.contract.codec import decode, encode
from headrace.contract.declaration import Style

FLEET: Any = SimpleNamespace(counts=PodCounts(desired=2, ready=1))
CONDITIONS = {condition.name: condition for condition in AUTOPILOT_POD_AUTOSCALER.conditions}
CODES = sorted(value for name, value in vars(reasons).items() if name.isupper() and isinstance(value, str))
"""Of every reason that the engine has."""


def told(code: str, before: dict[str, Any] | None = None, *, at: float = 0.0, replicas: int = 2) -> dict[str, Any]:
    decision = Decision(
        at=at,
        replicas=replicas,
        concurrency=8,
        target=5.6,
        held=code in reasons.FAULT_CODES,
        reasons=(Reason(code, "so it is"),),
        inputs={"demand": 3.0},
    )
    return status.active(decision, FLEET, {} if before is None else before, generation=4)


def conditions(given: dict[str, Any]) -> dict[str, tuple[str, str]]:
    return {condition["type"]: (condition["status"], condition["reason"]) for condition in given["conditions"]}


def declared(given: dict[str, Any]) -> bool:
    return all(
        reason in (CONDITIONS[kind].true if holds == "True" else CONDITIONS[kind].false)
        for kind, (holds, reason) in conditions(given).items()
    )


@pytest.mark.parametrize("code", CODES)
def test_whatever_was_decided_the_object_says_what_is_declared(code: str) -> None:
    given = told(code)

    assert encode(decode(AutoscalerStatus, given, Style.KUBERNETES), Style.KUBERNETES) == given
    assert declared(given)


def test_every_reason_not_to_trust_signals_is_declared_and_no_other() -> None:
    assert set(SIGNALS_TRUSTED.false) == reasons.FAULT_CODES
    assert {conditions(told(code))["SignalsTrusted"] for code in reasons.FAULT_CODES} == {
        ("False", code) for code in SIGNALS_TRUSTED.false
    }


@pytest.mark.parametrize(
    ("kind", "holds", "codes"),
    [(LIMITED, "True", LIMITED.true), (CAPACITY_AVAILABLE, "False", CAPACITY_AVAILABLE.false)],
)
def test_every_declared_reason_is_one_that_the_engine_has(kind: Any, holds: str, codes: dict[str, str]) -> None:
    assert {conditions(told(code))[kind.name] for code in codes} == {(holds, code) for code in codes}


def test_a_version_that_is_left_alone_says_why() -> None:
    given = status.refused("TargetMissing", "Deployment v1 does not exist", {}, now=0.0, generation=4)

    assert conditions(given) == {ACTIVE.name: ("False", "TargetMissing")}
    assert declared(given)


def test_a_condition_keeps_its_time_until_its_status_changes() -> None:
    def changed(given: dict[str, Any]) -> str:
        return next(str(each["lastTransitionTime"]) for each in given["conditions"] if each["type"] == "SignalsTrusted")

    trusted = told(reasons.STEADY, at=0.0)
    still = told(reasons.SCALE_UP, trusted, at=60.0)
    lost = told(reasons.STALE, still, at=120.0)

    assert [changed(given) for given in (trusted, still, lost)] == [
        "1970-01-01T00:00:00Z",
        "1970-01-01T00:00:00Z",
        "1970-01-01T00:02:00Z",
    ]


def test_a_decision_that_changes_something_is_kept_with_its_reasons() -> None:
    first = told(reasons.SCALE_UP, replicas=2)
    assert first["decisions"][-1]["reasons"] == ["ScaleUp: so it is"]
    assert (first["replicas"], first["readyReplicas"], first["desiredReplicas"]) == (2, 1, 2)

    again = told(reasons.STEADY, first, at=5.0, replicas=2)
    assert "decisions" not in again
    assert not status.news(again, first)

    more = told(reasons.SCALE_UP, first, at=10.0, replicas=3)
    assert [entry["replicas"] for entry in more["decisions"]] == [2, 3]
    assert status.news(more, first)


def test_a_held_decision_changes_nothing() -> None:
    assert "decisions" not in told(reasons.NO_DATA, told(reasons.STEADY), replicas=9)


def test_the_reason_in_a_word_is_what_limits_or_changes() -> None:
    def main(*codes: str) -> str:
        found = tuple(Reason(code, "so it is") for code in codes)
        decision = Decision(at=0.0, replicas=2, concurrency=8, target=5.6, held=False, reasons=found, inputs={})
        return str(status.active(decision, FLEET, {}, generation=4)["reason"])

    assert main(reasons.SCALE_UP, reasons.LIMIT_REACHED) == reasons.LIMIT_REACHED
    assert main(reasons.SCALE_UP, reasons.GUESSED) == reasons.SCALE_UP
    assert main(reasons.STEADY, reasons.GUESSED) == reasons.STEADY
