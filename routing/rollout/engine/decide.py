"""decide(spec, observation, memory, now): one look at one rollout. Pure; the caller logs, acts and keeps the memory."""

from dataclasses import dataclass, replace
from typing import Final

from headrace.contract.rollout import Command, GateStatus, Phase, Rollout
from headrace.routing.rollout.engine import gates, reasons
from headrace.routing.rollout.engine.observation import NOTHING_COMPARED, Compared, Observation, VersionCounters
from headrace.routing.rollout.engine.reasons import Reason
from headrace.routing.rollout.engine.rollout_memory import Memory, added, since

LOST_SECONDS: Final = 30.0
"""How long a version may be without a ready pod before that is a verdict. The control plane gives its share to the
other version within moments, so that this hurts nobody; a pod that is moved to another node is back by then."""
START_SECONDS: Final = 600.0
"""Wait for the first ready pod where the spec does not say: that of Kubernetes' Deployments."""
SETTLE_SECONDS: Final = 10.0
"""Of a step, in which latency is not judged: the autoscaler answers to the new share, and what it starts is cold."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Decision:
    """What share the new version should have, and why."""

    at: float
    phase: Phase
    weight: int
    """In percent."""
    reasons: tuple[Reason, ...]
    """The one that matters most first."""
    gates: tuple[GateStatus, ...] = ()


def decide(spec: Rollout, observation: Observation, memory: Memory, now: float) -> tuple[Decision, Memory]:
    """What share the new version should have now, and what to remember. `spec` must be sound."""
    if memory.began_at is None:
        memory = replace(memory, began_at=now)
    memory, counted = _counted(observation, memory)
    if memory.phase is Phase.ROLLED_BACK and observation.asked is Command.RETRY:
        memory = replace(memory, phase=Phase.WAITING, began_at=now, step=0, step_at=None, lost_at=None)
    if memory.phase.is_final:
        return _told(spec, memory, now, Reason(reasons.PASSED, "it has ended"))
    if observation.asked is Command.ABORT:
        return _ended(spec, memory, now, Phase.ROLLED_BACK, Reason(reasons.ABORTED, "a person asked for it"))
    if memory.phase is Phase.WAITING:
        return _begun(spec, observation, memory, now)
    memory = _lost(observation, memory, now)
    if memory.lost_at is not None and now - memory.lost_at >= LOST_SECONDS:
        said = f"the new version has had no ready pod for {now - memory.lost_at:.0f} s"
        return _ended(spec, memory, now, Phase.ROLLED_BACK, Reason(reasons.PODS_LOST, said))
    if memory.former_lost_at is not None and now - memory.former_lost_at >= LOST_SECONDS:
        said = "the former version has no pod any more"
        return _ended(spec, memory, now, Phase.COMPLETED, Reason(reasons.FORMER_GONE, said))
    if counted is None:
        return _told(spec, memory, now, Reason(reasons.NO_DATA, "the balancers' counters are not known"))
    memory = _judged(spec, memory, counted, now)
    fault = gates.failed(memory.gates, spec)
    if fault is not None:
        return _ended(spec, memory, now, Phase.ROLLED_BACK, fault)
    return _advanced(spec, observation, memory, now)


_Counted = tuple[VersionCounters, VersionCounters, VersionCounters, Compared]
"""Since the last look: of the new version, of the former; of the former before that; and comparisons."""


def _counted(observation: Observation, memory: Memory) -> tuple[Memory, _Counted | None]:
    """What was counted since the last look, None where that cannot be told; and the memory for the next look."""
    new, former = observation.new, observation.former
    if new is None or former is None:
        return memory, None
    more, beside = since(new, memory.new), since(former, memory.former)
    told, known = observation.compared, memory.compared
    if told.answers < known.answers or told.changed < known.changed:
        known = NOTHING_COMPARED  # who compares began anew
    answers, changed = told.answers - known.answers, told.changed - known.changed
    before = memory.seen
    memory = replace(memory, new=new, former=former, compared=observation.compared)
    if beside is not None:
        memory = replace(memory, seen=added(before, beside))
    if more is None or beside is None:
        return memory, None
    return memory, (more, beside, before, Compared(answers=answers, changed=changed))


def _begun(spec: Rollout, observation: Observation, memory: Memory, now: float) -> tuple[Decision, Memory]:
    """Out of Waiting, once the new version has a pod."""
    assert memory.began_at is not None
    if observation.former_ready <= 0 and observation.new_ready > 0:
        first = Reason(reasons.FIRST_VERSION, "no other version has a ready pod")
        return _ended(spec, memory, now, Phase.COMPLETED, first)
    if observation.new_ready <= 0:
        waited, longest = now - memory.began_at, spec.start_seconds if spec.start_seconds is not None else START_SECONDS
        if waited >= longest:
            # Without another version its requests stay its own, and are answered once it has a pod.
            phase = Phase.ROLLED_BACK if observation.former_ready > 0 else Phase.COMPLETED
            said = f"it had no ready pod within {longest:g} s"
            return _ended(spec, memory, now, phase, Reason(reasons.NOT_READY, said))
        said = f"the new version has no ready pod yet, after {waited:.0f} s"
        return _told(spec, memory, now, Reason(reasons.WAITING_FOR_POD, said))
    memory = replace(memory, phase=Phase.PROGRESSING, step=0, step_at=now, gates=gates.begun(spec))
    return _told(spec, memory, now, Reason(reasons.STEP_STARTED, f"step 1 of {len(spec.steps)}"))


def _lost(observation: Observation, memory: Memory, now: float) -> Memory:
    def lost_at(ready: int, before: float | None) -> float | None:
        if ready > 0:
            return None
        return now if before is None else before

    return replace(
        memory,
        lost_at=lost_at(observation.new_ready, memory.lost_at),
        former_lost_at=lost_at(observation.former_ready, memory.former_lost_at),
    )


def _judged(spec: Rollout, memory: Memory, counted: _Counted, now: float) -> Memory:
    """The memory with the gates' evidence of what came since the last look."""
    new, former, before, compared = counted
    assert memory.step_at is not None
    settled = now - memory.step_at >= SETTLE_SECONDS
    found = gates.blocks(new=new, former=former, before=before, compared=compared, settled=settled)
    return replace(memory, gates=gates.after(memory.gates, found, spec))


def _advanced(spec: Rollout, observation: Observation, memory: Memory, now: float) -> tuple[Decision, Memory]:
    """To the next step, where the present one is over."""
    paused = observation.asked is Command.PAUSE
    memory = replace(memory, phase=Phase.PAUSED if paused else Phase.PROGRESSING)
    assert memory.step_at is not None
    if paused:
        return _told(spec, memory, now, Reason(reasons.PAUSED, "a person asked that the share stays"))
    left = spec.bake_seconds - (now - memory.step_at)
    if left > 0:
        return _told(spec, memory, now, Reason(reasons.BAKING, f"{left:.0f} s of the step are left"))
    waiting = gates.open_gates(memory.gates, spec)
    if waiting:
        counts = [f"{gate.name} after {gate.new.requests:.0f} requests" for gate in waiting]
        said = f"too early to tell of {', '.join(counts)}: neither good nor bad is shown yet"
        return _told(spec, memory, now, Reason(reasons.TOO_FEW_REQUESTS, said))
    if memory.step + 1 >= len(spec.steps):
        return _ended(spec, memory, now, Phase.COMPLETED, Reason(reasons.PASSED, "every step passed its gates"))
    memory = replace(memory, step=memory.step + 1, step_at=now, gates=gates.next_step(memory.gates))
    said = f"step {memory.step + 1} of {len(spec.steps)}, after the one before passed its gates"
    return _told(spec, memory, now, Reason(reasons.STEP_STARTED, said))


def _ended(spec: Rollout, memory: Memory, now: float, phase: Phase, reason: Reason) -> tuple[Decision, Memory]:
    memory = replace(memory, phase=phase, step_at=now)
    return _told(spec, memory, now, reason)


def _told(spec: Rollout, memory: Memory, now: float, reason: Reason) -> tuple[Decision, Memory]:
    if memory.phase is Phase.COMPLETED:
        weight = 100
    elif memory.phase in (Phase.PROGRESSING, Phase.PAUSED):
        weight = spec.steps[min(memory.step, len(spec.steps) - 1)]
    else:
        weight = 0
    shown = gates.status(memory.gates, spec)
    return Decision(at=now, phase=memory.phase, weight=weight, reasons=(reason,), gates=shown), memory
