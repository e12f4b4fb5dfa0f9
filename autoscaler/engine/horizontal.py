"""The horizontal axis: how many pods, from a demand that keeps rate, backlog and trend apart.

The published rule stands: replicas = ceil(demand / target). What differs is the demand. `current_requests` would count
a queue as load and buy 20 to 800 times the pods a step needs; here the load is rate x service time (Little), the
backlog is drained in a second within a bound, and growth is carried forward to the time when pods ordered now serve.
"""

import math
from dataclasses import dataclass

from headrace.autoscaler.engine import holding, model, noise, staffing, windows
from headrace.autoscaler.engine.capacity import Capacity
from headrace.autoscaler.engine.model import Memory, Observation, Reason
from headrace.contract.apa import AutoscalerSpec

IDLE_SECONDS = 60.0
"""Least time without a request before the last pod goes, unless the spec says: the window of Knative."""
HORIZON_SECONDS_MAX = 60.0
"""Farthest a trend is carried: the window it is measured over."""
DOUBT_SIGMAS = 2.0
"""Standard errors of the mean rate that are taken off before it may add pods, or keep them."""
OVERSHOOT = 1.9
"""Most pods with a backlog, over those that the load would fill: the goal for a step is two, and the rate is known to a
few hundredths. A queue of 10,000 once bought 21 times."""
BEGUN_SECONDS = 12
"""Seconds of load in the last minute before it may seem to grow, where it is known what a pod can do: callers who come
one after the other within seconds look like a line."""
SMALLEST_DRAIN = 0.5
"""Least share of the load by which a backlog may add slots: small fleets, whose soft target alone is half the limit
or little more, would else have no room to drain one."""
SWING_DOUBT = 0.23
"""Relative error of the dispersion of five minutes, two standard errors of the median of 300 differences (0.26 over the
root of five for that of a minute): taken off, since a Poisson stream shall not seem to swing."""
TRIM_SHARE = 0.11
"""Smallest cut of a fleet, just over the tolerance of the Kubernetes HPA (a tenth): every action disturbs caches and
connections."""
MOVED_SHARE = 0.1
MOVED_HEIGHTS = 1.5
"""A steady load is another when more is proven than a tenth above its mean, or so many times its noise's height."""
CALM_SHARE = 2.0 / 3.0
"""Share of the window of a scale-down that passes after a change before pods go: cuts that would follow each other are
made at once."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Demand:
    """Slots (requests executing at once) that the load asks for."""

    rate: float
    """Arrivals per second believed in."""
    service_seconds: float
    offered: float
    """rate x service time, in slots."""
    growth: float
    """Slots by which it will have grown when a pod ordered now serves."""
    backlog: float
    """Slots that drain the waiting requests, within a bound."""
    share: float
    """Soft target over hard limit."""
    proven: float
    """Slots of offered load that are beyond doubt."""
    most: float = math.inf
    """Slots of offered load that the newest seconds leave possible."""
    ebbing: float | None = None
    """Slots of offered load that are left now, where a fall over minutes is proven."""

    @property
    def slots(self) -> float:
        """Everything together, in slots busy at once."""
        return self.offered + self.growth + self.backlog


def cold_start(spec: AutoscalerSpec, observation: Observation) -> float:
    """Seconds from ordering a pod to its first request."""
    measured = observation.cold_start_seconds
    if measured is not None and math.isfinite(measured) and measured >= 0:
        return measured
    return spec.cold_start_seconds


def measure(
    memory: Memory, *, queued: float, start_seconds: float, ready: int, capacity: Capacity, drains: bool = True
) -> Demand:
    """The demand in the last minute's buckets (at least one) and the queue, in slots of pods of that capacity, of which
    so many are ready; `drains`: whether what waits is a backlog that more pods drain."""
    buckets = memory.buckets
    spread = _spread(memory)
    mean, arrived, seconds = windows.mean_rate(buckets)
    proven, fresh, stretch = windows.proven_rate(buckets, spread)
    service = capacity.seconds
    if service is None:
        # Nothing completed yet, so nothing is known of the service time: the requests in flight are the load.
        newest = buckets[-1]
        flying = (newest.executing_seconds + newest.queued_seconds) / newest.seconds
        return Demand(
            rate=mean,
            service_seconds=0.0,
            offered=flying,
            growth=0.0,
            backlog=0.0,
            share=staffing.LOWEST_SHARE,
            proven=flying,
        )
    # What a line of minutes explains is no step: the mean lags behind it by half its stretch.
    lag = windows.slow_trend(memory.coarse, spread) * seconds / 2.0
    rate, age = (fresh, stretch / 2.0) if proven > mean + lag else (mean, seconds / 2.0)
    offered = rate * service
    share = _share(rate, service, memory, capacity.slots)
    horizon = min(age + start_seconds + windows.PERIOD_SECONDS, HORIZON_SECONDS_MAX)
    growth = windows.trend(buckets, spread, memory.coarse) * horizon * service
    # What rises again within the longest window is expected to rise as far as it did, within twice the tolerance.
    known = (1.0 + 2.0 * TRIM_SHARE) * share * windows.highest(memory.peaks, buckets[-1].end - holding.SECONDS_MAX)
    if offered < known:
        growth = min(growth, known - offered)
    # Waiting now, and what will have joined it when a pod ordered now serves.
    if capacity.measured and sum(bucket.arrived > 0 for bucket in buckets) < BEGUN_SECONDS:
        growth = 0.0
    short = offered + growth / 2.0 - ready * capacity.slots
    if capacity.measured and memory.backlog_since is None:
        short = 0.0  # nothing to speak of waits in pods of which it is known what they can do
    waiting = queued * service + max(0.0, short) * start_seconds if drains else 0.0
    backlog = _backlog(waiting / max(1.0, service), offered + growth, share)
    if capacity.measured:
        # What a pod can do is known: at most twice the load is ordered at once, and more when that proved itself.
        growth = min(growth, offered)
        backlog = min(backlog, offered - growth)
    fall = windows.fall(memory.coarse, spread) if growth == 0 and proven <= mean else 0.0
    doubt = DOUBT_SIGMAS * math.sqrt(spread * arrived) / seconds
    return Demand(
        rate=rate,
        service_seconds=service,
        offered=offered,
        growth=growth,
        backlog=backlog,
        share=share,
        proven=max(proven, mean - doubt) * service,
        most=windows.ceiling_rate(buckets, spread) * service,
        ebbing=max(0.0, mean - fall * seconds / 2.0) * service if fall > 0 else None,
    )


def _backlog(work: float, offered: float, share: float) -> float:
    """Slots for the waiting work. Whoever arrives behind a backlog waits too, so it is to be gone within a second, the
    period of the scrapes, or one service time; but never with more than OVERSHOOT times the pods that the load would
    fill."""
    return max(0.0, min(work, max(OVERSHOOT * share - 1.0, SMALLEST_DRAIN) * offered))


def _spread(memory: Memory) -> float:
    """Variance of arrivals over their mean, at least 1: of the last minute, or as the last minutes had it if that is
    more, since what a minute of noise seems to prove is often noise."""
    buckets = memory.buckets
    minute = windows.dispersion(buckets)
    mean = sum(bucket.arrived for bucket in buckets) / len(buckets)
    return max(1.0, 1.0 if minute is None else minute, 1.0 + _swing(memory) * mean)


def _swing(memory: Memory) -> float:
    """Relative variance of the rate itself."""
    return max(0.0, memory.swing / memory.swing_arrived) if memory.swing_arrived > 0 else 0.0


def _share(rate: float, service: float, memory: Memory, slots: float) -> float:
    """Share of the slots to fill, where a pod has `slots`. What counts of a second differ by more than Poisson's is a
    rate that swings: short requests see each second's, long ones the mean of their own time."""
    offered = rate * service
    beyond = max(0.0, (1.0 - SWING_DOUBT) * (1.0 + _swing(memory) * rate) - 1.0)
    swing = service * math.sqrt(rate * beyond / max(1.0, service))
    share = staffing.target_share(offered, swing, service, slots)
    burst = memory.burst
    if burst > 1.0 and offered > 0:
        # Learned bursts within a second: room for three deviations of a stream with that much more variance.
        share = min(share, offered / (offered + windows.SIGMAS * math.sqrt(burst * offered)))
    return share


@dataclass(frozen=True, kw_only=True)
class Situation:
    """What the number of pods is decided from."""

    spec: AutoscalerSpec
    observation: Observation
    memory: Memory
    """Its peaks and wishes already hold this demand."""
    now: float
    current: int
    """Pods asked for."""
    capacity: Capacity
    """What a pod can do."""
    demand: Demand
    hold: float
    """Seconds for which a need is remembered."""

    @property
    def queued(self) -> float:
        """Requests that wait."""
        return self.observation.load.queued if self.observation.load is not None else 0.0

    @property
    def target(self) -> float:
        """Slots of a pod that should be busy."""
        return self.demand.share * self.capacity.slots

    @property
    def warm_for(self) -> float:
        """Seconds of history in which nothing changed that makes it incomparable."""
        begun = self.memory.history_start
        return self.now - max(begun if begun is not None else self.now, self.memory.changed_at)

    def cuts_enough(self, kept: int) -> bool:
        """Whether keeping so many is a cut worth the disturbance."""
        return kept <= self.current - max(1, math.ceil(TRIM_SHARE * self.current))


def replicas(of: Situation) -> tuple[int, Reason]:
    """Pods wanted before bounds, and the cause."""
    wanted, reason = _replicas(of)
    least = _least(of) if wanted > 0 else 0
    if wanted >= least:
        return wanted, reason
    message = f"jumps of the load found too few pods {of.memory.misses} times: at least {least}, by the published rule"
    if least > of.current and of.memory.ruled_at == of.now:
        return least, Reason(code=model.SCALE_UP, message=message)
    if wanted > of.current:
        return wanted, reason  # the rest when the rule looks
    if wanted == of.current or not of.cuts_enough(least):
        return of.current, Reason(code=model.HOLDING, message=message)
    return least, Reason(code=model.SCALE_DOWN, message=message)


def _least(of: Situation) -> int:
    """Fewest pods where jumps found too few: the published rule's, and for the next jump what it would order for those
    who wait, for a minute. 0 where none did."""
    if of.memory.ruled is None or not holding.regretted(of.memory, of.now):
        return 0
    if of.capacity.measured or not of.memory.moves:
        return of.memory.ruled
    crowd = noise.crowd(of.memory.buckets, of.demand.service_seconds)
    return max(of.memory.ruled, _ceil(crowd / (noise.SHARE * of.capacity.slots)))


def _replicas(of: Situation) -> tuple[int, Reason]:
    """The same by the engine's own reckoning."""
    spec, memory, demand, current = of.spec, of.memory, of.demand, of.current
    executing = of.observation.load.executing if of.observation.load is not None else 0.0
    comfortable = max(1, _ceil(demand.slots / of.target))
    if current == 0:
        # Only what came since counts: the minute before is why it sleeps.
        if of.queued > 0 or any(bucket.arrived > 0 for bucket in memory.buckets if bucket.end > memory.scaled_at):
            wanted = comfortable if demand.service_seconds > 0 else 1
            return wanted, Reason(code=model.WOKEN, message=f"requests arrived for no pod: {wanted} wanted")
        return 0, Reason(code=model.IDLE, message="no request, no pod")
    if demand.service_seconds == 0:
        comfortable = min(comfortable, 2 * current)  # at most double until a service time is known
    if memory.noisy > 0 and (of.spec.min_replicas > 0 or of.queued > 0 or executing > 0):
        return _published(of)
    if _is_steady(of):
        return _steady(of)
    needed = _ceil((demand.proven + demand.growth + demand.backlog) / of.target)
    if needed > current and comfortable > current:
        return comfortable, Reason(
            code=model.SCALE_UP,
            message=(
                f"{demand.slots:.1f} requests at once"
                f" ({demand.offered:.1f} load, {demand.growth:.1f} growth, {demand.backlog:.1f} backlog)"
                f" over {of.target:.2f} a pod = {comfortable}"
            ),
        )
    if spec.min_replicas == 0 and of.queued == 0 and executing == 0:
        quiet_since = memory.last_arrival if memory.last_arrival is not None else memory.history_start
        idle = spec.idle_seconds if spec.idle_seconds is not None else max(IDLE_SECONDS, of.hold)
        if quiet_since is not None and of.now - quiet_since >= idle:
            return 0, Reason(code=model.IDLE, message=f"no request for {of.now - quiet_since:.0f} s: asleep")
    remembered = windows.highest(memory.wishes, of.now - of.hold)
    kept = max(comfortable, _ceil(remembered / of.capacity.slots))
    if demand.ebbing is not None and of.queued == 0:
        kept = max(1, _ceil(demand.ebbing / of.target))  # what has been falling for minutes is not remembered
    if not of.cuts_enough(kept):
        return current, Reason(code=model.STEADY, message=f"{demand.slots:.1f} requests at once fit {current} pods")
    if of.warm_for < of.hold:
        return current, Reason(
            code=model.HOLDING, message=f"{kept} would do; history of {of.warm_for:.0f} s, must reach {of.hold:.0f} s"
        )
    calm_for = of.now - memory.scaled_at
    calm = max(windows.LOOK_BACK_SECONDS, CALM_SHARE * of.hold)
    if calm_for < calm:
        return current, Reason(
            code=model.HOLDING, message=f"{kept} would do; changed {calm_for:.0f} s ago, must be {calm:.0f} s"
        )
    return kept, Reason(
        code=model.SCALE_DOWN,
        message=f"{remembered:.1f} slots at {of.capacity.slots:.3g} a pod were most in {of.hold:.0f} s: {kept}",
    )


def _is_steady(of: Situation) -> bool:
    """Whether the load is one whose minutes are alike, and the newest seconds do not prove that it is another, nor more
    than a second of it waits. A guess beside a front, or requests that queue within a second, are no ground for it."""
    memory, demand = of.memory, of.demand
    if memory.steady <= 0 or memory.burst > 1.0:
        return False
    if not of.capacity.measured and of.observation.default_limit is not None:
        return False
    usual = (1.0 + max(MOVED_SHARE, MOVED_HEIGHTS * memory.height)) * memory.steady * demand.service_seconds
    return demand.proven + demand.growth <= usual and of.queued <= max(1.0, memory.steady)


def _steady(of: Situation) -> tuple[int, Reason]:
    """Pods for a load whose minutes are alike: those of the published rule, or fewer where nobody would notice."""
    memory, service = of.memory, of.demand.service_seconds
    offered = memory.steady * service
    # Long requests see the mean of their own time.
    crest = offered + (memory.crest * service - offered) * min(1.0, windows.COARSE_SECONDS / max(service, 1e-9))
    slots = staffing.unnoticed_slots(offered, crest, memory.height * offered, service, of.capacity.slots)
    ruled = memory.ruled if memory.ruled is not None else of.current
    enough = max(1, _ceil(slots / of.capacity.slots))
    wanted = min(ruled, enough)
    message = (
        f"{offered:.1f} requests at once, minute for minute: {ruled} by the published rule,"
        f" {enough} so that hardly any waits"
    )
    if of.hold > holding.usual(cold_start(of.spec, of.observation)):
        # What was missed before is kept as long as was learned.
        wanted = max(
            wanted, min(of.current, _ceil(windows.highest(memory.wishes, of.now - of.hold) / of.capacity.slots))
        )
    if wanted > of.current:
        return wanted, Reason(code=model.SCALE_UP, message=message)
    if wanted == of.current or (wanted < ruled and not of.cuts_enough(wanted)):
        return of.current, Reason(code=model.STEADY, message=message)
    calm_for = of.now - memory.scaled_at
    if wanted < ruled and (of.warm_for < of.hold or calm_for < windows.LOOK_BACK_SECONDS):
        return of.current, Reason(code=model.HOLDING, message=message)
    return wanted, Reason(code=model.SCALE_DOWN, message=message)


def _published(of: Situation) -> tuple[int, Reason]:
    """Pods by the published rule, for a load that is noise about a steady mean."""
    wanted = of.memory.ruled if of.memory.ruled is not None else of.current
    most = windows.highest(of.memory.published, of.now - holding.SECONDS_MAX)
    message = (
        f"noise of {of.memory.noisy:.2f} of a steady mean: {most:.1f} requests at once were most in"
        f" {holding.SECONDS_MAX:.0f} s, over {noise.SHARE} of {of.capacity.slots:.3g} a pod = {wanted}"
    )
    return wanted, Reason(code=model.NOISY, message=message)


def taken_back(of: Situation) -> tuple[int, Reason] | None:
    """Pods without those that were ordered for what is gone, and the cause; None while nothing is to be taken back.

    A pod that starts has served nothing yet, so what was to be kept by remembering its need is only the time it has
    been starting. It goes as soon as the newest seconds prove, as strictly as a step is proven, that the ready pods do.
    Where a load was seen to return (a learned window) it stays.
    """
    ready = of.observation.pods.ready
    if of.memory.noisy > 0:
        return None
    if not 0 < ready < of.current or of.observation.load is None or of.queued > 0:
        return None
    if of.hold > holding.usual(cold_start(of.spec, of.observation)) or of.warm_for < of.hold:
        return None
    kept = max(ready, _least(of), _ceil((of.demand.most + of.demand.growth) / of.target))
    if not of.cuts_enough(kept):
        return None
    return kept, Reason(
        code=model.SCALE_DOWN,
        message=f"at most {of.demand.most:.1f} requests at once are left of what pods were ordered for: {kept}",
    )


def _ceil(value: float) -> int:
    """Ceiling that forgives a rounding error and cannot overflow."""
    return math.ceil(min(value, 1e9) - 1e-9)
