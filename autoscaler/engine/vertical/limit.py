"""The concurrency limit of a pod: quickly down, cautiously up, quiet when settled."""

import math
from dataclasses import dataclass, replace

from headrace.autoscaler.engine.memory.cycle import Cycle
from headrace.autoscaler.engine.memory.profile import Profile
from headrace.autoscaler.engine.observation import Observation
from headrace.autoscaler.engine.reasons import CONCURRENCY_DOWN, CONCURRENCY_UP, Reason
from headrace.autoscaler.engine.statistics import latency_curve
from headrace.autoscaler.engine.vertical import learning
from headrace.contract.apa import AutoscalerSpec

MEMORY_MARK = 0.85
GPU_MEMORY_MARK = 0.95
"""A pod out of memory loses every request it holds, so memory keeps a margin; engines that preallocate GPU memory
stand near 0.9 from the start, so only a proven rise with concurrency counts there."""
FILLED = 0.75
"""Of its mark, memory that a pod must use before it lowers the limit of a runtime that guards itself."""
COMPUTE_MARK = 1.0
"""At its best concurrency a pod's cores, or tensor pipe, are just full; the soft target keeps the margin."""
DEAD_ZONE = 0.2
"""No move for less than this share of the limit: throughput over latency is flat around its best, where such a move
changes it by about a hundredth."""
CYCLES_TO_MOVE = 3
"""Cycles in a row that must want the same direction, once a ceiling has been met."""
URGENT = 0.25
"""A limit a quarter too high comes down at once (the tolerance of Envoy's gradient)."""
GROWTH = 1.25
"""Largest growth per move, once a ceiling has been met."""
STARTING_GROWTH = 2.0
"""Growth per cycle before a ceiling has been met: slow start (Jacobson 1988)."""
IDLE_GROWTH = 4.0
"""The same where four times the requests would leave every measured resource under a quarter: bound by waiting."""
SHRINK = 0.5
"""Smallest factor of one move down: halving doubles the pods wanted, enough for one cycle."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Move:
    concurrency: int
    profile: Profile
    streak: int = 0
    reason: Reason | None = None
    """None: the limit stays."""


def start(spec: AutoscalerSpec, profile: Profile, observation: Observation) -> int:
    """The hard limit before anything was learned: the profile's, the spec's, the runtime's, the cores of a pod, or 4.

    A pod whose front hands its workers no more than they can run keeps the runtime's own limit: only memory lowers it.
    """
    pod_cores, own = observation.pod_cores, observation.default_limit
    if spec.initial_concurrency is not None:
        own = spec.initial_concurrency
    keeps_own = profile.calls is not None and not profile.lowered
    if own is not None and (keeps_own or profile.concurrency is None):
        chosen = own
    elif profile.concurrency is not None:
        chosen = profile.concurrency
    elif pod_cores is not None and math.isfinite(pod_cores) and pod_cores > 0:
        chosen = math.ceil(pod_cores)
    else:
        chosen = 4
    return bounded(spec, chosen)


def bounded(spec: AutoscalerSpec, concurrency: int) -> int:
    """Within the spec's limits."""
    return max(spec.min_concurrency, min(spec.max_concurrency, concurrency))


def _gpu_memory(profile: Profile) -> float:
    return learning.ceiling(profile.gpu_memory, GPU_MEMORY_MARK)


def runtime_limit(spec: AutoscalerSpec, profile: Profile, cycle: Cycle, *, current: int, own: int | None) -> Move:
    """The limit of a pod whose front knows what its workers can run: the runtime's `own`, or what memory allows once
    pods fill it. A rise that is not near the mark yet proves nothing: heaps grow while they warm up."""
    own = own if spec.initial_concurrency is None else spec.initial_concurrency
    profile = replace(profile, exploring=False)
    stays = Move(concurrency=current, profile=profile)
    if own is None or cycle.readings == 0:
        return stays
    full = max(cycle.memory / MEMORY_MARK, cycle.gpu_memory / GPU_MEMORY_MARK) / cycle.readings >= FILLED
    room, cause = min((learning.ceiling(profile.memory, MEMORY_MARK), "memory"), (_gpu_memory(profile), "GPU memory"))
    wanted = bounded(spec, max(1, round(min(room, own)))) if full or profile.lowered else bounded(spec, own)
    if abs(wanted - current) <= max(0.5, DEAD_ZONE * current) and wanted != bounded(spec, own):
        return stays
    if wanted < current:
        lower = max(wanted, math.ceil(SHRINK * current))
        reason = Reason(CONCURRENCY_DOWN, f"{cause} is full at {room:.0f} requests a pod: {current} to {lower}")
        return Move(concurrency=lower, profile=replace(profile, lowered=True), reason=reason)
    if wanted == current:
        return replace(stays, profile=replace(profile, lowered=False))
    higher = min(wanted, math.floor(STARTING_GROWTH * current))
    reason = Reason(CONCURRENCY_UP, f"memory has room: {current} to {higher} requests a pod")
    return Move(concurrency=higher, profile=replace(profile, lowered=higher < own), reason=reason)


def goal(profile: Profile, current: int) -> tuple[float, str]:
    """Best concurrency as far as known, and what sets it; infinite while nothing does."""
    law = latency_curve.optimum(profile.latency, current)
    # A limit that was learned once is not raised before the law is known again.
    limits = [
        (law if law is not None else math.inf if profile.exploring else float(current), "throughput over latency"),
        (learning.ceiling(profile.memory, MEMORY_MARK), "memory"),
        (_gpu_memory(profile), "GPU memory"),
        (_per_request(profile.cpu_per_request), "CPU"),
        (_per_request(profile.tensor_per_request), "tensor cores"),
    ]
    return min(limits)


def _per_request(share: float) -> float:
    return COMPUTE_MARK / share if share > 0 else math.inf


def learned_limit(spec: AutoscalerSpec, profile: Profile, cycle: Cycle, *, current: int, streak: int) -> Move:
    """The limit of a pod that schedules requests by itself, by the profile after a cycle of traffic.

    `streak`: cycles in a row that wanted more (positive) or less.
    """
    best, cause = goal(profile, current)
    wanted = max(1.0, best)
    used = cycle.executing_seconds / cycle.pod_seconds if cycle.pod_seconds > 0 else 0.0
    if wanted < current - max(0.5, DEAD_ZONE * current):
        lower = bounded(spec, max(round(wanted), math.ceil(SHRINK * current)))
        falling = min(streak, 0) - 1
        if lower < current and wanted >= (1.0 - URGENT) * current and -falling < CYCLES_TO_MOVE:
            return Move(concurrency=current, profile=profile, streak=falling)
        if lower < current:
            reason = Reason(CONCURRENCY_DOWN, f"{cause} is best at {wanted:.1f} requests a pod: {current} to {lower}")
            return Move(concurrency=lower, profile=replace(profile, exploring=False), reason=reason)
    # While it explores it goes on to the ceiling it sees, however near that is.
    dead = DEAD_ZONE / 2.0 if profile.exploring else DEAD_ZONE
    grows = wanted >= current + max(0.5, dead * current)
    # No growth for a pod that does not fill what it has (Netflix): there is nothing to gain and nothing to learn from.
    if not grows or used < current / 2.0 or cycle.completed < learning.POINT_COMPLETIONS:
        return Move(concurrency=current, profile=replace(profile, exploring=profile.exploring and grows))
    streak = max(streak, 0) + 1
    if not profile.exploring and streak < CYCLES_TO_MOVE:
        return Move(concurrency=current, profile=profile, streak=streak)
    factor = _growth(profile, cycle, current, used)
    higher = max(math.floor(factor * current), current + 1)
    higher = bounded(spec, higher if math.isinf(wanted) else min(higher, round(wanted)))
    if higher <= current:
        return Move(concurrency=current, profile=profile)
    message = f"pods fill {used:.1f} of {current} with room in every resource: {current} to {higher}"
    return Move(concurrency=higher, profile=profile, reason=Reason(CONCURRENCY_UP, message))


def _growth(profile: Profile, cycle: Cycle, current: int, used: float) -> float:
    if not profile.exploring:
        return GROWTH
    if profile.cpu_per_request <= 0 or cycle.readings == 0 or used <= 0:
        return STARTING_GROWTH
    waiting = cycle.waiting / cycle.readings / used
    busiest = max(profile.cpu_per_request, profile.tensor_per_request, waiting) * current
    idle = IDLE_GROWTH * busiest < 0.25 and cycle.memory / cycle.readings < 0.5 * MEMORY_MARK
    return IDLE_GROWTH if idle else STARTING_GROWTH
