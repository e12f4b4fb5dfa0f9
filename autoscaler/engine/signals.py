"""From counters to load per interval: what may be trusted, and the reason when it may not."""

import math

from headrace.autoscaler.engine import model
from headrace.autoscaler.engine.model import Bucket, LoadCounters, Memory, Observation, Reason

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
    if memory.decided_at is not None and now < memory.decided_at - SKEW_SECONDS:
        return Reason(
            code=model.CLOCK_SKEW,
            message=f"the clock went back {memory.decided_at - now:.0f} s: history is started again",
        )
    load = observation.load
    if load is None:
        return Reason(code=model.NO_DATA, message="no load was reported: the present count is held")
    faults = broken(load)
    if faults is not None:
        return faults
    if not math.isfinite(observation.taken_at) or observation.taken_at > now + SKEW_SECONDS:
        return Reason(
            code=model.CLOCK_SKEW,
            message=f"the counters are from {observation.taken_at - now:.0f} s in the future: clocks disagree",
        )
    age = now - observation.taken_at
    if age > STALE_SECONDS:
        return Reason(code=model.STALE, message=f"the newest counters are {age:.0f} s old, must be under 15 s")
    if memory.load is None or memory.taken_at is None:
        return Reason(code=model.WARMING, message="first counters: rates are known from the next ones")
    seconds = observation.taken_at - memory.taken_at
    if seconds < NEAR_SECONDS:
        return None
    if seconds > GAP_SECONDS:
        return Reason(code=model.GAP, message=f"no counters for {seconds:.0f} s: history is started again")
    before = memory.load
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
        return Reason(code=model.COUNTER_RESET, message="a counter went back: its source restarted")
    if max(grown) > RATE_MAX * max(seconds, 1.0):
        return Reason(
            code=model.IMPLAUSIBLE, message=f"a counter grew by {max(grown):.3g} in {seconds:.0f} s: not a load"
        )
    return bucket


def broken(load: LoadCounters) -> Reason | None:
    """The reason why these numbers cannot be counters of a load; None when they can."""
    for name in LoadCounters.__dataclass_fields__:
        value = getattr(load, name)
        if not math.isfinite(value):
            return Reason(code=model.NOT_FINITE, message=f"{name} = {value}, must be finite")
        if value < 0:
            return Reason(code=model.NEGATIVE, message=f"{name} = {value}, must be 0 or more")
        if value > 1e18:
            return Reason(code=model.IMPLAUSIBLE, message=f"{name} = {value:.3g}, no counter of requests grows so far")
    return None


def share(value: float | None) -> float | None:
    """A utilisation that may be used: finite and not negative, at most 2 (a burstable pod may exceed its share)."""
    if value is None or not math.isfinite(value) or value < 0 or value > 2:
        return None
    return value
