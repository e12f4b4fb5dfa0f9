"""The vertical axis: what one look does to the concurrency limit of a pod."""

from dataclasses import dataclass, replace

from headrace.autoscaler.engine.memory.cycle import Cycle
from headrace.autoscaler.engine.memory.memory import Memory
from headrace.autoscaler.engine.observation import Observation
from headrace.autoscaler.engine.reasons import RELEARNING, Reason
from headrace.autoscaler.engine.vertical import learning, limit
from headrace.autoscaler.engine.windows import VERTICAL_PERIOD_SECONDS
from headrace.contract.apa import AutoscalerSpec


@dataclass(frozen=True, kw_only=True, slots=True)
class VerticalLook:
    memory: Memory
    limit: int
    reasons: tuple[Reason, ...] = ()
    cycle: Cycle | None = None
    """The cycle that ended with this look; None: it goes on."""


def look(spec: AutoscalerSpec, observation: Observation, memory: Memory, now: float, *, current: int) -> VerticalLook:
    """The limit is moved at the end of each cycle; a model that changed is noticed at any time."""
    looked_at, cycle, learned = memory.history.vertical_at, memory.history.cycle, memory.learned
    if looked_at is None:
        return VerticalLook(memory=memory.with_history(vertical_at=now, cycle=Cycle()), limit=current)
    found: tuple[Reason, ...] = ()
    if learned.surprises >= learning.SURPRISES_TO_FORGET and learned.profile.calls is None:
        found = (Reason(RELEARNING, "service times are not those learned: they are learned anew"),)
        learned = replace(learned, profile=learning.forget(learned.profile), surprises=0, streak=0)
        memory = replace(memory, learned=learned)
    if now - looked_at < VERTICAL_PERIOD_SECONDS - 1e-6:
        return VerticalLook(memory=memory, limit=current, reasons=found)
    if learned.profile.calls is not None:
        moved = limit.runtime_limit(spec, learned.profile, cycle, current=current, own=observation.default_limit)
    else:
        moved = limit.learned_limit(spec, learned.profile, cycle, current=current, streak=learned.streak)
    # Fewer pods for a raised limit is a scale-down, and waits as long.
    raised_at = now if moved.concurrency > current else memory.history.limit_raised_at
    memory = memory.with_history(vertical_at=now, cycle=Cycle(), limit_raised_at=raised_at)
    memory = memory.with_learned(profile=moved.profile, streak=moved.streak)
    reasons = (moved.reason, *found) if moved.reason is not None else found
    return VerticalLook(memory=memory, limit=moved.concurrency, reasons=reasons, cycle=cycle)
