"""Conditions: what an object's status says of it, as metav1.Condition has it, and which there are."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Annotated, Any

from headrace.contract.declaration import Items, Text

Time = Annotated[str, Text(format="date-time")]
"""RFC 3339, in UTC."""


class ConditionStatus(StrEnum):
    TRUE = "True"
    FALSE = "False"
    UNKNOWN = "Unknown"


@dataclass(frozen=True, kw_only=True)
class Condition:
    """One entry of `status.conditions`."""

    type: str
    """What is said; see below."""
    status: ConditionStatus
    """`True`, `False` or `Unknown`."""
    reason: str
    """Why, in one word for programs."""
    message: str
    """Why, in a sentence for people."""
    last_transition_time: Time
    """When `status` last changed."""
    observed_generation: int | None = None
    """The `metadata.generation` that it is about."""


Conditions = Annotated[tuple[Condition, ...], Items(key="type")]


@dataclass(frozen=True, kw_only=True)
class ConditionType:
    """A type of condition, and the reasons that it may have."""

    name: str
    meaning: str
    true: Mapping[str, str]
    """Reasons with status True, and what they mean."""
    false: Mapping[str, str]
    """Reasons with status False, and what they mean."""
    passes_on: str = ""
    """Whose reasons it has besides, in their own words; empty where the list is complete."""


@dataclass(frozen=True, kw_only=True)
class Finding:
    """What a controller found: a condition, but for what was known before."""

    type: ConditionType
    holds: bool
    reason: str
    message: str


def conditions_json(
    found: Iterable[Finding], before: Iterable[Mapping[str, Any]], *, now: str, generation: int
) -> list[dict[str, Any]]:
    """The new `status.conditions`; `before` are the old ones, whose times stay where the status is what it was."""
    old = {condition.get("type"): condition for condition in before}

    def condition(finding: Finding) -> dict[str, Any]:
        status, last = str(finding.holds), old.get(finding.type.name, {})
        return {
            "type": finding.type.name,
            "status": status,
            "reason": finding.reason,
            "message": finding.message,
            "lastTransitionTime": last["lastTransitionTime"] if last.get("status") == status else now,
            "observedGeneration": generation,
        }

    return list(map(condition, found))
