"""How long a need is remembered before its pods go, and what pods that were missed teach about it."""

from collections.abc import Sequence
from dataclasses import replace

from headrace.autoscaler.engine import staffing, windows
from headrace.autoscaler.engine.capacity import Capacity
from headrace.autoscaler.engine.model import Bucket, Memory, Peak

SECONDS_MAX = 300.0
"""The published scale-down window: the longest here."""
STARTS = 2.0
"""Cold starts for which a need is remembered. A pod that must come back costs its start, and the service missing
meanwhile is valued at as much again; keeping it just as long as that costs at most twice the best hindsight could do
(ski rental, Karlin 1988)."""
TOLERANCE = 1.1
"""Times the window that would just have kept them: what returns does so to a tenth of its time."""
LEARNED_SECONDS = 3600.0
"""How long a learned window is believed without being taught again."""
MISSES = 2
"""Misses within LEARNED_SECONDS after which the published rule bounds the fleet from below: a step is one, and teaches
nothing of the next; who jumps twice may jump again."""
JUMP = 1.5
"""Times the mean of its last minute that a load has jumped to: less is growth, or a model that became slower."""


def seconds(memory: Memory, start_seconds: float, now: float) -> float:
    """For how long a need is remembered now."""
    unlearned = usual(start_seconds)
    return max(unlearned, memory.hold) if now - memory.hold_learned_at < LEARNED_SECONDS else unlearned


def usual(start_seconds: float) -> float:
    """For how long while nothing else was learned."""
    return min(SECONDS_MAX, max(windows.LOOK_BACK_SECONDS, STARTS * start_seconds))


def learn(
    memory: Memory, now: float, *, current: int, wanted: int, short: bool, start_seconds: float, hold: float
) -> Memory:
    """The memory after a decision. Pods that were taken away and are wanted back teach a window that would have kept
    them, if their absence leaves the load more than every slot (`short`), or if keeping them would have cost less than
    the STARTS cold starts for which a need is remembered. A load that returns after more than SECONDS_MAX teaches
    nothing: it is not waited for."""
    released = tuple(past for past in memory.released if past.at > now - SECONDS_MAX)
    if wanted < current:
        return replace(memory, released=(*released, Peak(at=now, slots=current)))
    if wanted == current or not released:
        return memory
    missed = next((past for past in reversed(released) if past.slots >= wanted), released[0])
    memory = replace(memory, released=tuple(past for past in released if past.slots > wanted))
    gone = now - missed.at
    if not short and gone >= STARTS * start_seconds:
        return memory
    longer = min(SECONDS_MAX, TOLERANCE * (hold + gone))
    return replace(memory, hold=longer, hold_learned_at=now)


def late_jump(buckets: Sequence[Bucket], proven: float, service_seconds: float) -> bool:
    """Whether so many slots are a jump of the load over its last minute, and requests wait longer than they may."""
    arrived, seconds = sum(bucket.arrived for bucket in buckets), sum(bucket.seconds for bucket in buckets)
    jumped = proven * seconds > JUMP * arrived * service_seconds
    return jumped and windows.mean_wait(buckets) > staffing.slack_seconds(service_seconds)


def missed(memory: Memory, now: float) -> Memory:
    """The memory after a look at which the load had jumped past the ready pods. What follows within SECONDS_MAX is the
    same miss: of that the window learns."""
    apart = now - memory.missed_at
    before = memory.misses if apart < LEARNED_SECONDS else 0
    return replace(memory, misses=before + (before == 0 or apart > SECONDS_MAX), missed_at=now)


def regretted(memory: Memory, now: float) -> bool:
    """Whether pods were missed so often of late that the published rule bounds how few there are."""
    return memory.misses >= MISSES and now - memory.missed_at < LEARNED_SECONDS


def counted_in(memory: Memory, pod: Capacity) -> Memory:
    """The memory with needs counted in slots of this pod: what is remembered of pods that were measured another way is
    as many pods."""
    before, slots = memory.pod_slots, pod.slots if pod.measured else 0.0
    if before == slots:
        return memory
    if before <= 0 or slots <= 0:
        return replace(memory, pod_slots=slots, peaks=(), wishes=(), published=())
    scale = slots / before

    def scaled(peaks: tuple[Peak, ...]) -> tuple[Peak, ...]:
        return tuple(Peak(at=peak.at, slots=peak.slots * scale) for peak in peaks)

    return replace(
        memory,
        pod_slots=slots,
        peaks=scaled(memory.peaks),
        wishes=scaled(memory.wishes),
        published=scaled(memory.published),
    )
