"""The `status.rollout` of a ModelEndpoint, from a decision. Pure."""

import datetime
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Final

from headrace.contract.codec import encode
from headrace.contract.rollout import EVENTS_KEPT, Phase, RolloutEvent, RolloutStatus
from headrace.routing.rollout.engine import Decision, Memory

MESSAGE_LIMIT: Final = 1024


def stamp(seconds: float) -> str:
    """RFC 3339 in UTC, to the second."""
    return datetime.datetime.fromtimestamp(int(seconds), datetime.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def rollout_status(
    decision: Decision, memory: Memory, before: RolloutStatus | None, *, version: str, former: str
) -> RolloutStatus:
    """What is to be said after the decision on the rollout from `former` to `version`; `before` was said last."""
    reason = decision.reasons[0]
    before = before if before is not None and before.version else None
    same = before is not None and before.version == version
    is_final = decision.phase.is_final
    if same and is_final and before is not None and before.phase is decision.phase:
        return replace(before, former=former, memory=_memory(memory))  # it has ended, and stays as it has ended
    serving = before.serving if before is not None and before.serving else former
    found = RolloutStatus(
        version=version,
        former=former,
        phase=decision.phase,
        weight=decision.weight,
        reason=reason.code,
        message=reason.message[:MESSAGE_LIMIT],
        settled=version if is_final else before.settled if before is not None and before.settled != version else "",
        serving=version if decision.phase is Phase.COMPLETED else former if former else serving,
        started_at=None if memory.began_at is None else stamp(memory.began_at),
        step_started_at=None if memory.step_at is None else stamp(memory.step_at),
        gates=decision.gates,
        events=before.events if before is not None else (),
        memory=_memory(memory),
    )
    if not same or before is None or (before.phase, before.weight) != (found.phase, found.weight):
        event = RolloutEvent(
            time=stamp(decision.at),
            phase=found.phase,
            weight=found.weight,
            reason=reason.code,
            message=f"{version}: {reason.message}"[:MESSAGE_LIMIT],
        )
        found = replace(found, events=(*found.events, event)[-EVENTS_KEPT:])
    return found


def news(status: RolloutStatus, before: RolloutStatus | None) -> bool:
    """Whether anyone would want to know now; otherwise the write can wait."""

    def facts(said: RolloutStatus) -> tuple[Any, ...]:
        return said.version, said.former, said.phase, said.weight, said.reason, said.settled, said.serving

    return before is None or facts(status) != facts(before)


def _memory(memory: Memory) -> Mapping[str, Any]:
    # Of a rollout that has ended only how it ended is remembered: counters of then are compared with none of now.
    if memory.phase.is_final:
        memory = Memory(phase=memory.phase, step=memory.step, began_at=memory.began_at, step_at=memory.step_at)
    found: Mapping[str, Any] = encode(memory)
    return found
