"""What one pod can do at its best: how many requests it serves side by side, and for how long each.

A pod is not its concurrency limit. Where its front measures what model calls cost, the pod is a station of servers:
its workers at the best of their call curve, or its cores at the CPU-seconds that a request costs, whichever does less.
Neither grows when a node is full, a neighbour is loud or pods start, as the time that a request takes does; so pods
that slow each other down are never read as load. Where nothing of this is known, the concurrency limit and the time
that requests take stand in for it, and the decision says that it is a guess.
"""

import math
from dataclasses import dataclass, replace

from headrace.autoscaler.engine.memory.profile import Profile
from headrace.autoscaler.engine.observation import CallCurve, Observation, usable_share

CALLS = "calls"
CPU = "CPU"
SEEN = "what full pods completed"
REQUESTS = "requests in a pod"

BEST_KEEP_SECONDS = 100.0
"""Time constant with which the best that calls were seen to allow fades: over a minute a full node hides it."""
CPU_HALF_LIFE_SECONDS = 20.0
"""Half-life of the CPU-seconds of a request: a look-back. A kernel counts them exactly."""
LEAST_SHARE = 0.25
"""Of the CPU-seconds a request costs now: least that it is believed to cost in larger calls. A logistic regression was
measured at a fifth."""
SECONDS_MAX = 3600.0
"""A call that is told to take longer is no call."""
CALLS_MAX = 1e6
"""A pod that is told to run more calls at once, or more requests in one, is none."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Capacity:
    slots: float
    """Requests served side by side."""
    seconds: float | None
    """Time of each; None until one completed."""
    source: str
    """What sets it: CALLS, CPU, SEEN or REQUESTS."""
    measured: bool = True
    """Whether a front told what its calls cost; else the capacity is a guess."""

    @property
    def rate(self) -> float | None:
        """Requests a second that the pod completes when every slot is busy."""
        return self.slots / self.seconds if self.seconds is not None and self.seconds > 0 else None


def sound(calls: CallCurve | None) -> CallCurve | None:
    """The curve, if it can be one: finite, not negative, of some time and within reason; else None."""
    if calls is None:
        return None
    seconds, counts = (calls.fixed_seconds, calls.request_seconds), (calls.requests_max, calls.at_once)
    is_sound = all(0 <= value <= SECONDS_MAX for value in seconds) and all(1 <= value <= CALLS_MAX for value in counts)
    return calls if is_sound and sum(seconds) > 0 else None


def each_seconds(calls: CallCurve) -> float:
    """Seconds of a worker's time for one request, in calls as full as they are worth making."""
    return calls.fixed_seconds / calls.requests_max + calls.request_seconds


def at_best(observation: Observation, profile: Profile, *, concurrency: int) -> Capacity:
    """Capacity of a pod that admits `concurrency` requests at once."""
    calls, known = profile.calls, observation.default_limit is not None
    if calls is None or profile.call_rate <= 0:
        guess = Capacity(slots=float(concurrency), seconds=profile.service_seconds, source=REQUESTS, measured=False)
        cores = _of_cores(observation, profile.cpu_seconds, concurrency) if known else None
        return guess if cores is None else min(guess, replace(cores, measured=False), key=_rate)
    slots = min(calls.at_once, float(concurrency))
    best = Capacity(slots=slots, seconds=calls.at_once / profile.call_rate, source=CALLS)
    cost = profile.cpu_seconds
    if cost is not None and calls.mean_seconds is not None and calls.mean_seconds > 0:
        # What a request costs beside its call, in front and worker, is for the most part a cost of calls too.
        cost *= min(1.0, max(LEAST_SHARE, each_seconds(calls) / calls.mean_seconds))
    cores = _of_cores(observation, cost, concurrency)
    if cores is not None:
        best = min(best, cores, key=_rate)
    if profile.seen_rate > 0:
        seconds = best.seconds if best.seconds is not None else 0.0
        seen = Capacity(slots=min(best.slots, profile.seen_rate * seconds), seconds=seconds, source=SEEN)
        best = min(best, seen, key=_rate)
    return best


def _of_cores(observation: Observation, cost: float | None, concurrency: int) -> Capacity | None:
    """Capacity of the pod's cores where a request costs so many CPU-seconds; None where either is unknown."""
    cores = observation.pod_cores
    if cores is None or not 0 < cores < math.inf or cost is None:
        return None
    servers = max(1.0, cores)  # half a core is one server at half the speed
    return Capacity(slots=min(servers, float(concurrency)), seconds=cost * servers / cores, source=CPU)


def _rate(capacity: Capacity) -> float:
    rate = capacity.rate
    return math.inf if rate is None else rate


def learned(profile: Profile, observation: Observation, *, seconds: float, completed: float) -> Profile:
    """The profile after so many seconds in which so many requests completed: the best rate that calls were seen to
    allow, and the CPU-seconds of a request."""
    if completed > 0:
        profile = replace(profile, load_seconds=profile.load_seconds + seconds)
    calls = sound(observation.calls)
    if calls is not None:
        rate = calls.at_once / each_seconds(calls)
        call_rate = max(rate, profile.call_rate * math.exp(-seconds / BEST_KEEP_SECONDS))
        profile = replace(profile, calls=calls, call_rate=call_rate)
    used, cores = usable_share(observation.utilisation.cpu), observation.pod_cores
    if used is None or cores is None or not 0 < cores < math.inf or completed <= 0:
        return profile
    keep = 0.5 ** (seconds / CPU_HALF_LIFE_SECONDS)
    return replace(
        profile,
        cpu_busy=keep * profile.cpu_busy + used * cores * observation.pods.ready * seconds,
        cpu_done=keep * profile.cpu_done + completed,
    )
