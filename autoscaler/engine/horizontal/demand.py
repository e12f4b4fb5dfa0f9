"""Demand: the slots that a load asks for, with rate, backlog and growth kept apart.

The published rule stands: replicas = ceil(demand / target). What differs is the demand. `current_requests` would count
a queue as load and buy 20 to 800 times the pods a step needs; here the load is rate x service time (Little), the
backlog is drained in a second within a bound, and growth is carried forward to the time when pods ordered now serve.
"""

import math
from dataclasses import dataclass

from headrace.autoscaler.engine.horizontal.capacity import Capacity
from headrace.autoscaler.engine.memory.memory import Memory
from headrace.autoscaler.engine.statistics import rates, sliding_maximum, staffing, trends
from headrace.autoscaler.engine.windows import HORIZON_SECONDS_MAX, HORIZONTAL_PERIOD_SECONDS, SCALE_DOWN_SECONDS_MAX

DOUBT_SIGMAS = 2.0
"""Standard errors of the mean rate that are taken off before it may add pods, or keep them."""
OVERSHOOT = 1.9
"""Most pods with a backlog, over those that the load would fill: the goal for a step is two, and the rate is known to a
few hundredths. A queue of 10,000 once bought 21 times."""
BEGUN_SECONDS = 12
"""Where it is known what a pod can do, a load grows only after so many seconds of it in the last minute: callers who
start one after the other look like a line."""
SMALLEST_DRAIN = 0.5
"""Least share of the load by which a backlog may add slots: the soft target of small fleets is little more than half
the limit, and OVERSHOOT times that would drain nothing."""
RETURN_SHARE = 0.22
"""By how much a load that rises again may exceed its last peak: twice the smallest cut of a fleet."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Demand:
    """Slots (requests executing at once) that the load asks for."""

    rate: float
    """Arrivals a second that are believed in."""
    service_seconds: float
    """0: nothing completed yet."""
    offered: float
    """rate x service time."""
    proven: float
    """Offered load that is beyond doubt."""
    share: float
    """Soft target over hard limit."""
    growth: float = 0.0
    """By how much it will have grown when a pod ordered now serves."""
    backlog: float = 0.0
    """What drains the waiting requests, within a bound."""
    most: float = math.inf
    """Offered load that the newest seconds leave possible."""
    ebbing: float | None = None
    """Offered load that is left now, where a fall over minutes is proven."""

    @property
    def slots(self) -> float:
        return self.offered + self.growth + self.backlog

    @property
    def desired(self) -> float:
        """What pods are ordered for: the same with the load that is proven."""
        return self.proven + self.growth + self.backlog


def measured(
    memory: Memory, *, queued: float, start_seconds: float, ready: int, capacity: Capacity, drains: bool = True
) -> Demand:
    """The demand in the last minute's buckets (at least one) and the queue, in slots of pods of that capacity, of which
    so many are ready. `drains`: whether what waits is a backlog that more pods drain."""
    buckets, stretches, variability = memory.history.buckets, memory.history.stretches, memory.learned.variability
    dispersion = variability.dispersion(buckets)
    mean, arrived, seconds = rates.mean_rate(buckets)
    proven, fresh, stretch = rates.proven_rate(buckets, dispersion)
    service = capacity.seconds
    if service is None:
        # Nothing completed yet, so nothing is known of the service time: the requests in flight are the load.
        newest = buckets[-1]
        flying = (newest.executing_seconds + newest.queued_seconds) / newest.seconds
        share = staffing.LOWEST_SHARE
        return Demand(rate=mean, service_seconds=0.0, offered=flying, proven=flying, share=share)
    # What a line of minutes explains is no step: the mean lags behind it by half its stretch.
    lag = trends.slow_growth(stretches, dispersion) * seconds / 2.0
    rate, age = (fresh, stretch / 2.0) if proven > mean + lag else (mean, seconds / 2.0)
    offered = rate * service
    share = _share(rate, service, memory, capacity.slots)
    horizon = min(age + start_seconds + HORIZONTAL_PERIOD_SECONDS, HORIZON_SECONDS_MAX)
    growth = trends.growth(buckets, dispersion, stretches) * horizon * service
    # What rises again within the longest window is expected to rise as far as it did, within a tolerance.
    peak = sliding_maximum.highest(memory.history.needs, buckets[-1].end - SCALE_DOWN_SECONDS_MAX)
    known = (1.0 + RETURN_SHARE) * share * peak
    if offered < known:
        growth = min(growth, known - offered)
    if capacity.measured and sum(bucket.arrived > 0 for bucket in buckets) < BEGUN_SECONDS:
        growth = 0.0
    # Waiting now, and what will have joined it when a pod ordered now serves.
    short = offered + growth / 2.0 - ready * capacity.slots
    if capacity.measured and memory.history.backlog_since is None:
        short = 0.0  # nothing to speak of waits in pods of which it is known what they can do
    waiting = queued * service + max(0.0, short) * start_seconds if drains else 0.0
    backlog = _backlog(waiting / max(1.0, service), offered + growth, share)
    if capacity.measured:
        # What a pod can do is known: at most twice the load is ordered at once, and more when that proved itself.
        growth = min(growth, offered)
        backlog = min(backlog, offered - growth)
    fall = trends.fall(stretches, dispersion) if growth == 0 and proven <= mean else 0.0
    doubt = DOUBT_SIGMAS * math.sqrt(dispersion * arrived) / seconds
    return Demand(
        rate=rate,
        service_seconds=service,
        offered=offered,
        growth=growth,
        backlog=backlog,
        share=share,
        proven=max(proven, mean - doubt) * service,
        most=rates.possible_rate(buckets, dispersion) * service,
        ebbing=max(0.0, mean - fall * seconds / 2.0) * service if fall > 0 else None,
    )


def _backlog(work: float, offered: float, share: float) -> float:
    """Slots for the waiting work. Whoever arrives behind a backlog waits too, so it is to be gone within a second, the
    period of the scrapes, or one service time; but never with more than OVERSHOOT times the pods that the load would
    fill."""
    return max(0.0, min(work, max(OVERSHOOT * share - 1.0, SMALLEST_DRAIN) * offered))


def _share(rate: float, service_seconds: float, memory: Memory, slots: float) -> float:
    """Share of the slots to fill, where a pod has so many."""
    offered, burst = rate * service_seconds, memory.learned.burst
    deviation = memory.learned.variability.load_deviation(rate, service_seconds)
    share = staffing.target_share(offered, deviation, service_seconds, slots)
    if burst > 1.0 and offered > 0:
        # Learned bursts within a second: room for three deviations of a stream with that much more variance.
        share = min(share, offered / (offered + rates.SIGMAS * math.sqrt(burst * offered)))
    return share
