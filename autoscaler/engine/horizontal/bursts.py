"""Bursts: requests that come many at once, which show in that they wait far longer than a Poisson stream would."""

from headrace.autoscaler.engine.memory.cycle import Cycle
from headrace.autoscaler.engine.memory.memory import Memory
from headrace.autoscaler.engine.observation import Observation
from headrace.autoscaler.engine.reasons import BURSTY, Reason
from headrace.autoscaler.engine.statistics import staffing
from headrace.autoscaler.engine.statistics.rates import ENOUGH_ARRIVALS
from headrace.autoscaler.engine.windows import VERTICAL_PERIOD_SECONDS

FACTOR_MAX = 4096.0
"""Largest factor on the variance of arrivals: bursts of four thousand requests at once."""
LONGER = 3.0
"""Times the wait that queueing theory expects, before bursts are the explanation."""
KEEP_SECONDS = 3600.0
"""How long a learned burst is believed without being seen again."""


def factor(
    memory: Memory, cycle: Cycle, observation: Observation, now: float, *, limit: int
) -> tuple[float, Reason | None]:
    """The factor on the variance of arrivals after a cycle: doubled while requests wait far longer than a Poisson
    stream would make them. 1 where a front tells what a pod can do: waits are explained by its calls then."""
    profile, burst, pods = memory.learned.profile, memory.learned.burst, observation.pods
    service = profile.service_seconds
    if profile.calls is not None:
        return 1.0, None
    if cycle.arrived < ENOUGH_ARRIVALS or cycle.pod_seconds <= 0 or service is None:
        return burst, None
    if pods.ready < pods.desired or now - memory.last.scaled_at < 2.0 * VERTICAL_PERIOD_SECONDS:
        return burst, None  # short of pods, which explains any wait
    wait = cycle.queued_seconds / cycle.arrived
    offered, slots = cycle.arrived / cycle.seconds * service, cycle.pod_seconds / cycle.seconds * limit
    expected = staffing.mean_wait(offered, slots, service)
    noticed = max(staffing.WAIT_SECONDS, staffing.SLACK_SHARE * service)
    if wait > max(noticed, LONGER * expected) and burst < FACTOR_MAX:
        message = f"requests wait {wait * 1000:.0f} ms, theory expects {expected * 1000:.1f} ms: they come in bursts"
        return burst * 2.0, Reason(BURSTY, message)
    if burst > 1.0 and wait < 0.1 * staffing.WAIT_SECONDS:
        return max(1.0, burst * 0.5 ** (cycle.seconds / KEEP_SECONDS)), None
    return burst, None
