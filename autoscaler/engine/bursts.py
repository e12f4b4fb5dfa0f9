"""Bursts: requests that come many at once, which show in that they wait far longer than a Poisson stream would."""

from headrace.autoscaler.engine import model, staffing, vertical, windows
from headrace.autoscaler.engine.model import Memory, Observation, Reason

FACTOR_MAX = 4096.0
"""Largest factor on the variance of arrivals: bursts of four thousand requests at once."""
LONGER = 3.0
"""Times the wait that queueing theory expects, before bursts are the explanation."""
KEEP_SECONDS = 3600.0
"""How long a learned burst is believed without being seen again."""


def factor(memory: Memory, observation: Observation, now: float, *, limit: int) -> tuple[float, Reason | None]:
    """The burst factor after a cycle: doubled while requests wait far longer than a Poisson stream would make them."""
    cycle, pods = memory.cycle, observation.pods
    service = memory.profile.service_seconds
    if cycle.arrived < windows.ENOUGH_ARRIVALS or cycle.pod_seconds <= 0 or service is None:
        return memory.burst, None
    wait = cycle.queued_seconds / cycle.arrived
    slots = cycle.pod_seconds / cycle.seconds * limit
    offered = cycle.arrived / cycle.seconds * service
    if pods.ready < pods.desired or now - memory.scaled_at < 2.0 * vertical.PERIOD_SECONDS:
        return memory.burst, None  # short of pods, which explains any wait
    expected = staffing.mean_wait(offered, slots, service)
    noticed = max(staffing.WAIT_SECONDS, staffing.SLACK_SHARE * service)
    if wait > max(noticed, LONGER * expected) and memory.burst < FACTOR_MAX:
        reason = Reason(
            code=model.BURSTY,
            message=f"requests wait {wait * 1000:.0f} ms, theory expects {expected * 1000:.1f} ms: they come in bursts",
        )
        return memory.burst * 2.0, reason
    if memory.burst > 1.0 and wait < 0.1 * staffing.WAIT_SECONDS:
        keep = 0.5 ** (cycle.seconds / KEEP_SECONDS)
        return max(1.0, memory.burst * keep), None
    return memory.burst, None
