"""Replicas: how many pods a demand gets, and which may go."""

import math
from dataclasses import dataclass

from headrace.autoscaler.engine import reasons, windows
from headrace.autoscaler.engine.horizontal.capacity import Capacity
from headrace.autoscaler.engine.horizontal.demand import Demand
from headrace.autoscaler.engine.memory import published_rule
from headrace.autoscaler.engine.memory.memory import Memory
from headrace.autoscaler.engine.memory.stabilization_window import unlearned_seconds
from headrace.autoscaler.engine.observation import Observation
from headrace.autoscaler.engine.reasons import Reason
from headrace.autoscaler.engine.statistics import sliding_maximum, staffing
from headrace.contract.apa import AutoscalerSpec

TRIM_SHARE = 0.11
"""Smallest cut of a fleet, just over the tolerance of the Kubernetes HPA (a tenth): every action disturbs caches and
connections."""
MOVED_SHARE = 0.1
MOVED_DEVIATIONS = 1.5
"""A steady load is another when more is proven than a tenth above its mean, or so many of its deviations."""


def cold_start(spec: AutoscalerSpec, observation: Observation) -> float:
    """Seconds from ordering a pod to its first request."""
    measured = observation.cold_start_seconds
    return measured if measured is not None and 0 <= measured < math.inf else spec.cold_start_seconds


@dataclass(frozen=True, kw_only=True, slots=True)
class Situation:
    """What the number of pods is decided from."""

    spec: AutoscalerSpec
    observation: Observation
    memory: Memory
    """Its peaks already hold this demand."""
    now: float
    current: int
    """Pods asked for."""
    capacity: Capacity
    demand: Demand
    window_seconds: float
    """For how long a need is remembered."""

    @property
    def is_busy(self) -> bool:
        """Whether some request executes or waits."""
        return self.observation.queued > 0 or self.observation.executing > 0

    @property
    def target(self) -> float:
        """Slots of a pod that should be busy."""
        return self.demand.share * self.capacity.slots

    @property
    def warm_for(self) -> float:
        """Seconds of history in which nothing changed that makes it incomparable."""
        begun = self.memory.history.begun_at
        return self.now - max(begun if begun is not None else self.now, self.memory.history.limit_raised_at)

    @property
    def calm_for(self) -> float:
        """Seconds since the number of pods changed."""
        return self.now - self.memory.last.scaled_at

    @property
    def returns(self) -> bool:
        """Whether a load was seen to return after its pods had gone, so that a longer window was learned."""
        return self.window_seconds > unlearned_seconds(cold_start(self.spec, self.observation))

    @property
    def remembered(self) -> float:
        """Most slots that pods were ordered for within the window."""
        return sliding_maximum.highest(self.memory.history.desired_peaks, self.now - self.window_seconds)

    @property
    def ruled(self) -> int:
        """Pods by the published rule."""
        pods = self.memory.history.published.pods
        return pods if pods is not None else self.current

    def cuts_enough(self, kept: int) -> bool:
        """Whether keeping so many is a cut worth the disturbance."""
        return kept <= self.current - max(1, math.ceil(TRIM_SHARE * self.current))


def wanted_pods(of: Situation) -> tuple[int, Reason]:
    """Pods wanted before bounds, and the cause."""
    wanted, reason = _by_demand(of)
    least = _least(of) if wanted > 0 else 0
    if wanted >= least:
        return wanted, reason
    misses, rule = of.memory.history.window.misses, of.memory.history.published
    message = f"jumps of the load found too few pods {misses} times: at least {least}, by the published rule"
    if least > of.current and rule.looked_at == of.now:
        return least, Reason(reasons.SCALE_UP, message)
    if wanted > of.current:
        return wanted, reason  # the rest when the rule looks
    if wanted == of.current or not of.cuts_enough(least):
        return of.current, Reason(reasons.HOLDING, message)
    return least, Reason(reasons.SCALE_DOWN, message)


def taken_back(of: Situation) -> tuple[int, Reason] | None:
    """Pods without those that were ordered for what is gone, and the cause; None while nothing is to be taken back.

    A pod that starts has served nothing yet, so what was to be kept by remembering its need is only the time it has
    been starting. It goes as soon as the newest seconds prove, as strictly as a step is proven, that the ready pods do.
    Where a load was seen to return it stays.
    """
    ready = of.observation.pods.ready
    if of.memory.history.noise.height > 0 or of.returns or of.warm_for < of.window_seconds:
        return None
    if not 0 < ready < of.current or of.observation.load is None or of.observation.queued > 0:
        return None
    kept = max(ready, _least(of), _ceil((of.demand.most + of.demand.growth) / of.target))
    if not of.cuts_enough(kept):
        return None
    message = f"at most {of.demand.most:.1f} requests at once are left of what pods were ordered for: {kept}"
    return kept, Reason(reasons.SCALE_DOWN, message)


def _least(of: Situation) -> int:
    """Fewest pods where jumps found too few: the published rule's, and for the next jump what it would order for those
    who wait, for a minute. 0 where none did."""
    history = of.memory.history
    if history.published.pods is None or not history.window.regrets(of.now):
        return 0
    if of.capacity.measured or not history.noise.moves:
        return of.ruled
    crowd = published_rule.crowd(history.buckets, of.demand.service_seconds)
    return max(of.ruled, _ceil(crowd / (published_rule.SHARE * of.capacity.slots)))


def _by_demand(of: Situation) -> tuple[int, Reason]:
    """Pods wanted and the cause, as if no jump had ever found too few."""
    demand, current = of.demand, of.current
    comfortable = max(1, _ceil(demand.slots / of.target))
    if current == 0:
        return _from_zero(of, comfortable)
    if demand.service_seconds == 0:
        comfortable = min(comfortable, 2 * current)  # at most double until a service time is known
    if of.memory.history.noise.height > 0 and (of.spec.min_replicas > 0 or of.is_busy):
        return _for_noise(of)
    if _is_steady(of):
        return _for_steady_load(of)
    if _ceil(demand.desired / of.target) > current and comfortable > current:
        parts = f"{demand.offered:.1f} load, {demand.growth:.1f} growth, {demand.backlog:.1f} backlog"
        message = f"{demand.slots:.1f} requests at once ({parts}) over {of.target:.2f} a pod = {comfortable}"
        return comfortable, Reason(reasons.SCALE_UP, message)
    if of.spec.min_replicas == 0 and not of.is_busy:
        idle, history = of.spec.idle_seconds, of.memory.history
        least = max(windows.IDLE_SECONDS, of.window_seconds) if idle is None else idle
        since = history.last_arrival if history.last_arrival is not None else history.begun_at
        if since is not None and of.now - since >= least:
            return 0, Reason(reasons.IDLE, f"no request for {of.now - since:.0f} s: asleep")
    return _fewer(of, comfortable)


def _from_zero(of: Situation, comfortable: int) -> tuple[int, Reason]:
    """Pods of a version that sleeps. Only what came since counts: the minute before is why it sleeps."""
    since = (bucket for bucket in of.memory.history.buckets if bucket.end > of.memory.last.scaled_at)
    if of.observation.queued > 0 or any(bucket.arrived > 0 for bucket in since):
        wanted = comfortable if of.demand.service_seconds > 0 else 1
        return wanted, Reason(reasons.WOKEN, f"requests arrived for no pod: {wanted} wanted")
    return 0, Reason(reasons.IDLE, "no request, no pod")


def _fewer(of: Situation, comfortable: int) -> tuple[int, Reason]:
    """Pods that are kept: as many as the needs of the window ask for, while a cut is worth it and none is too soon."""
    demand, current, window = of.demand, of.current, of.window_seconds
    kept = max(comfortable, _ceil(of.remembered / of.capacity.slots))
    if demand.ebbing is not None and of.observation.queued == 0:
        kept = max(1, _ceil(demand.ebbing / of.target))  # what has been falling for minutes is not remembered
    if not of.cuts_enough(kept):
        return current, Reason(reasons.STEADY, f"{demand.slots:.1f} requests at once fit {current} pods")
    if of.warm_for < window:
        message = f"{kept} would do; history of {of.warm_for:.0f} s, must reach {window:.0f} s"
        return current, Reason(reasons.HOLDING, message)
    calm = max(windows.LOOK_BACK_SECONDS, windows.CALM_SHARE * window)
    if of.calm_for < calm:
        message = f"{kept} would do; changed {of.calm_for:.0f} s ago, must be {calm:.0f} s"
        return current, Reason(reasons.HOLDING, message)
    message = f"{of.remembered:.1f} slots at {of.capacity.slots:.3g} a pod were most in {window:.0f} s: {kept}"
    return kept, Reason(reasons.SCALE_DOWN, message)


def _is_steady(of: Situation) -> bool:
    """Whether the load is one whose minutes are alike, and the newest seconds do not prove that it is another, nor more
    than a second of it waits. A guess beside a front, or requests that queue within a second, are no ground for it."""
    steady, demand = of.memory.learned.steady, of.demand
    if steady.rate <= 0 or of.memory.learned.burst > 1.0:
        return False
    if not of.capacity.measured and of.observation.default_limit is not None:
        return False
    usual = (1.0 + max(MOVED_SHARE, MOVED_DEVIATIONS * steady.deviation)) * steady.rate * demand.service_seconds
    return demand.proven + demand.growth <= usual and of.observation.queued <= max(1.0, steady.rate)


def _for_steady_load(of: Situation) -> tuple[int, Reason]:
    """Pods for a load whose minutes are alike: those of the published rule, or fewer where nobody would notice."""
    steady, service, slots = of.memory.learned.steady, of.demand.service_seconds, of.capacity.slots
    offered = steady.rate * service
    # Long requests see the mean of their own time.
    crest = offered + (steady.crest * service - offered) * min(1.0, windows.STRETCH_SECONDS / max(service, 1e-9))
    needed = staffing.unnoticed_slots(offered, crest, steady.deviation * offered, service, slots)
    enough = max(1, _ceil(needed / slots))
    wanted = min(of.ruled, enough)
    rule = f"{of.ruled} by the published rule, {enough} so that hardly any waits"
    message = f"{offered:.1f} requests at once, minute for minute: {rule}"
    if of.returns:
        # What was missed before is kept as long as was learned.
        wanted = max(wanted, min(of.current, _ceil(of.remembered / slots)))
    if wanted > of.current:
        return wanted, Reason(reasons.SCALE_UP, message)
    if wanted == of.current or (wanted < of.ruled and not of.cuts_enough(wanted)):
        return of.current, Reason(reasons.STEADY, message)
    if wanted < of.ruled and (of.warm_for < of.window_seconds or of.calm_for < windows.LOOK_BACK_SECONDS):
        return of.current, Reason(reasons.HOLDING, message)
    return wanted, Reason(reasons.SCALE_DOWN, message)


def _for_noise(of: Situation) -> tuple[int, Reason]:
    """Pods by the published rule, for a load that is noise about a steady mean."""
    history = of.memory.history
    most = sliding_maximum.highest(history.published.peaks, of.now - windows.SCALE_DOWN_SECONDS_MAX)
    seen = f"{most:.1f} requests at once were most in {windows.SCALE_DOWN_SECONDS_MAX:.0f} s"
    rule = f"over {published_rule.SHARE} of {of.capacity.slots:.3g} a pod = {of.ruled}"
    message = f"noise of {history.noise.height:.2f} of a steady mean: {seen}, {rule}"
    return of.ruled, Reason(reasons.NOISY, message)


def _ceil(value: float) -> int:
    """Ceiling that forgives a rounding error and cannot overflow."""
    return math.ceil(min(value, 1e9) - 1e-9)
