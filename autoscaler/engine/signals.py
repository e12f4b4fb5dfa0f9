"""From counters to load per interval: what may be trusted, and the reason when it may not."""

import math

from headrace.autoscaler.engine import reasons
from headrace.autoscaler.engine.memory.memory import Memory
from headrace.autoscaler.engine.observation import LoadCounters, Observation
from headrace.autoscaler.engine.reasons import Reason
from headrace.autoscaler.engine.statistics.buckets import Bucket

STALE_SECONDS = 15.0
"""Three horizontal periods: older counters describe another load."""
SKEW_SECONDS = 5.0
"""One horizontal period: counters from further in the future show that two clocks disagree."""
GAP_SECONDS = 60.0
"""A hole longer than the window of buckets leaves nothing to compare with; also the sign of a clock that jumped."""
NEAR_SECONDS = 0.5
"""Half a period of the scrapes. Counters that claim to be nearer to the last ones are of sources that were read at
other moments, and make no rate; those that follow do."""
RATE_MAX = 1e8
"""Requests a second, or requests in flight, that no version has: 300 times the whole reference platform."""


def read(observation: Observation, memory: Memory, now: float) -> Bucket | Reason | None:
    """The load since the last trusted counters; a Reason to hold; None when there is nothing new.

    The caller keeps the counters as the new base whenever they are finite, so that one bad scrape costs one interval.
    """
    decided_at, history = memory.last.decided_at, memory.history
    if decided_at is not None and now < decided_at - SKEW_SECONDS:
        return Reason(reasons.CLOCK_SKEW, f"the clock went back {decided_at - now:.0f} s: history is started again")
    load = observation.load
    if load is None:
        return Reason(reasons.NO_DATA, "no load was reported: the present count is held")
    if (fault := broken(load)) is not None:
        return fault
    if not math.isfinite(observation.taken_at) or observation.taken_at > now + SKEW_SECONDS:
        message = f"the counters are from {observation.taken_at - now:.0f} s in the future: clocks disagree"
        return Reason(reasons.CLOCK_SKEW, message)
    age = now - observation.taken_at
    if age > STALE_SECONDS:
        return Reason(reasons.STALE, f"the newest counters are {age:.0f} s old, must be under 15 s")
    if history.counters is None or history.taken_at is None:
        return Reason(reasons.WARMING, "first counters: rates are known from the next ones")
    seconds = observation.taken_at - history.taken_at
    if seconds < NEAR_SECONDS:
        return None
    if seconds > GAP_SECONDS:
        return Reason(reasons.GAP, f"no counters for {seconds:.0f} s: history is started again")
    before = history.counters
    bucket = Bucket(
        end=observation.taken_at,
        seconds=seconds,
        arrived=load.arrived - before.arrived,
        completed=load.completed - before.completed,
        executing_seconds=load.executing_seconds - before.executing_seconds,
        queued_seconds=load.queued_seconds - before.queued_seconds,
        executing=load.executing,
    )
    grown = (bucket.arrived, bucket.completed, bucket.executing_seconds, bucket.queued_seconds)
    if min(grown) < 0:
        return Reason(reasons.COUNTER_RESET, "a counter went back: its source restarted")
    if max(grown) > RATE_MAX * max(seconds, 1.0):
        return Reason(reasons.IMPLAUSIBLE, f"a counter grew by {max(grown):.3g} in {seconds:.0f} s: not a load")
    return bucket


def broken(load: LoadCounters) -> Reason | None:
    """The reason why these numbers cannot be counters of a load; None when they can."""
    for name in LoadCounters.__dataclass_fields__:
        value = getattr(load, name)
        if not math.isfinite(value):
            return Reason(reasons.NOT_FINITE, f"{name} = {value}, must be finite")
        if value < 0:
            return Reason(reasons.NEGATIVE, f"{name} = {value}, must be 0 or more")
        if value > 1e18:
            return Reason(reasons.IMPLAUSIBLE, f"{name} = {value:.3g}, no counter of requests grows so far")
    return None
