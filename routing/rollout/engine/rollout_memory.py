"""Memory: what a rollout remembers from look to look. Immutable; it travels through the object's status."""

from dataclasses import dataclass, replace

from headrace.contract.rollout import Phase
from headrace.routing.rollout.engine.gates import Gate
from headrace.routing.rollout.engine.observation import (
    NOTHING_COMPARED,
    NOTHING_COUNTED,
    Compared,
    VersionCounters,
)


@dataclass(frozen=True, kw_only=True, slots=True)
class Memory:
    phase: Phase = Phase.WAITING
    step: int = 0
    """Position in the spec's steps."""
    began_at: float | None = None
    step_at: float | None = None
    """When the present share was given."""
    lost_at: float | None = None
    """Since when the new version has no ready pod, after it had one."""
    former_lost_at: float | None = None
    gates: tuple[Gate, ...] = ()
    new: VersionCounters | None = None
    """Counters at the last look."""
    former: VersionCounters | None = None
    compared: Compared = NOTHING_COMPARED
    seen: VersionCounters = NOTHING_COUNTED
    """All of the former version since the rollout began, from before the first step too."""


def since(now: VersionCounters, before: VersionCounters | None) -> VersionCounters | None:
    """What was counted since the last look; None at the first and after counters began anew."""
    if before is None or len(before.within) != len(now.within):
        return None
    pairs = [(now.requests, before.requests), (now.errors, before.errors), (now.timed, before.timed)]
    within = tuple(zip(now.within, before.within, strict=True))
    if any(later < earlier for later, earlier in (*pairs, *within)):
        return None
    requests, errors, timed = (later - earlier for later, earlier in pairs)
    return VersionCounters(
        requests=requests, errors=errors, timed=timed, within=tuple(later - earlier for later, earlier in within)
    )


def added(to: VersionCounters, more: VersionCounters) -> VersionCounters:
    """Both together."""
    within = to.within if to.within else (0.0,) * len(more.within)
    if len(within) != len(more.within):
        within = (0.0,) * len(more.within)  # other bounds than before: what is known of quantiles begins anew
        to = replace(to, timed=0.0)
    return VersionCounters(
        requests=to.requests + more.requests,
        errors=to.errors + more.errors,
        timed=to.timed + more.timed,
        within=tuple(a + b for a, b in zip(within, more.within, strict=True)),
    )
