"""Belief: more pods are believed in only while completions rise.

What a pod can do is a measurement, and may be wrong: a model that got slower, a lock that all calls share, a node whose
cores others use. Two rules keep such an error from ordering pods without end.

Where the capacity of a pod is measured, pods that are full although they should have room are tried with some more. If
completions rise, or pods are full no longer, the rate at which full pods were seen to complete is their capacity
from now on, and each order that follows from it is a trial again, of at most as many pods as serve. If not, the pods go
again, and the next trial waits twice as long.

Where the capacity is guessed from the time that requests take, that time counts as at most SLOWER times what it was
when pods were last ordered, until those pods serve: if requests then take longer and completions did not follow, pods
slow each other down, and no more are ordered for a while.
"""

import math
from dataclasses import replace

from headrace.autoscaler.engine import model, windows
from headrace.autoscaler.engine.capacity import SEEN, Capacity
from headrace.autoscaler.engine.model import Bucket, Memory, Observation, Reason, Trial

SEEN_SECONDS = 10.0
"""Newest seconds by which pods are judged full: two horizontal periods."""
SETTLED_SECONDS = 15.0
"""After a change pods are judged when they have served so long: a look-back, less the time for which it is judged."""
LASTING_SHARE = 0.5
"""Of the newer half's arrivals, those of the older half of the same seconds, at least."""
FULL_SECONDS = 0.05
FULL_CALLS = 3.0
"""A pod is full when requests spend more than this and the time of this many calls in it, on average."""
EMPTYING_BUCKETS = 10
EMPTYING_SHARE = 0.9
"""A backlog is being drained while the newer half of so many buckets holds less than this share of the older half."""
STEP_SHARE = 0.25
"""Pods tried, over those there are; at least one."""
GAIN = 0.3
"""Of the completions that pods should add in proportion, share that they must: a third, as queues hide the rest."""
KEEPS_UP = 0.97
"""Or share of the arrivals that they complete, where fewer were completed before."""
SLOWER = 2.0
"""Times the service time at the last order: more is not believed to be load before the order has proven itself."""
BARRED_SECONDS = 60.0
BARRED_SECONDS_MAX = 3600.0
"""How long no more pods are ordered after an order that did not help: a minute, doubled up to an hour."""
FIRST_SECONDS = 3.0
YOUNG_SECONDS = 12.0
"""Seconds of load behind a capacity before any pod may follow from it, and before more than twice the ready ones: the
first calls are the slowest, and callers who all arrive in one second are no rate."""
BEST_KEEP_SECONDS = 300.0
"""Time constant with which the best that pods completed fades. Trials must beat that best, and not only the seconds
before: a neighbour who comes and goes makes completions fall and rise whatever is ordered."""
LITTLE_SHARE = 0.1
"""Of the load, or of a pod: work that waits in any pod that merges what comes while it computes."""
DRAIN_SECONDS = 30.0
"""How long what waits may take to be drained once the pods ordered for it serve."""
SEEN_KEEP_SECONDS = 1800.0
"""Time constant with which a capacity that was seen recovers: what slowed pods down may have gone."""


def recent(memory: Memory, least_seconds: float = SEEN_SECONDS) -> Bucket | None:
    """The newest seconds of load in one bucket; None while there are fewer."""
    seconds = 0.0
    for count, bucket in enumerate(reversed(memory.buckets), start=1):
        seconds += bucket.seconds
        if seconds >= least_seconds - 1e-6:
            return windows.total(memory.buckets[-count:])
    return None


def begun(memory: Memory, observation: Observation, now: float) -> Trial | None:
    """How things stand now, for an order of pods that is made now; None while too little was seen."""
    seen = recent(memory)
    if seen is None or seen.completed <= 0 or observation.pods.ready == 0:
        return None
    return Trial(
        at=now,
        pods=observation.pods.ready,
        completed=seen.completed / seen.seconds,
        behind=seen.completed < KEEPS_UP * seen.arrived,
        service_seconds=seen.executing_seconds / seen.completed,
        full=_crowded(memory, seen),
    )


def judged(
    memory: Memory, observation: Observation, capacity: Capacity, now: float, *, start_seconds: float
) -> tuple[Memory, Reason | None]:
    """The memory after the order that is on trial was judged: for it as soon as its pods show that they help, against
    it when they have served long enough."""
    trial, seen, pods = memory.trial, recent(memory), observation.pods
    if trial is None or seen is None:
        return memory, None
    added = pods.ready / trial.pods - 1.0
    rate = seen.completed / seen.seconds
    before = max(trial.completed, memory.profile.best_rate * trial.pods)
    rose = rate >= before * (1.0 + GAIN * max(0.0, added))
    if capacity.measured and added > 0 and now - trial.at >= SEEN_SECONDS:
        crowded = _crowded(memory, seen)
        caught_up = trial.behind and seen.completed >= KEEPS_UP * seen.arrived and rate > before
        eased = not crowded and rate < trial.completed * (1.0 + GAIN)  # the same load spends less time in pods
        if rose or caught_up or (eased and trial.full):
            seen_rate = before / trial.pods if trial.full else memory.profile.seen_rate
            profile = replace(memory.profile, seen_rate=seen_rate)
            return replace(memory, trial=None, failures=0, profile=profile), None
        if not crowded:
            return replace(memory, trial=None), None  # so few pods did as much before: something else was in the way
    if now - trial.at < start_seconds + SETTLED_SECONDS:
        return memory, None
    if pods.ready < pods.desired and now - trial.at < 2.0 * (start_seconds + SETTLED_SECONDS):
        return memory, None  # late, or there is no room for them
    memory = replace(memory, trial=None)
    if capacity.measured:
        return _barred(memory, trial, now, f"completions stay at {rate:.1f} a second")
    slower = seen.executing_seconds / max(seen.completed, 1.0) > trial.service_seconds * (1.0 + GAIN)
    if added > 0 and slower and not rose:
        return _barred(memory, trial, now, "requests take longer and completions do not rise")
    return replace(memory, failures=0), None


def _barred(memory: Memory, trial: Trial, now: float, cause: str) -> tuple[Memory, Reason]:
    seconds = min(BARRED_SECONDS_MAX, BARRED_SECONDS * 2.0**memory.failures)
    barred = replace(memory, failures=min(memory.failures + 1, 10), barred_until=now + seconds)
    message = f"more than {trial.pods} pods do not help, {cause}: none is added for {seconds:.0f} s"
    return barred, Reason(code=model.CROWDED, message=message)


def full(memory: Memory, observation: Observation, now: float) -> bool:
    """Whether the pods that were ordered all serve, have settled, and are crowded."""
    pods, seen = observation.pods, recent(memory)
    if seen is None or seen.arrived < SEEN_SECONDS:
        return False
    if pods.ready == 0 or pods.ready < pods.desired or now - memory.scaled_at < SETTLED_SECONDS:
        return False
    newest = recent(memory, SEEN_SECONDS / 2.0)
    if newest is None or newest.completed <= 0:
        return False
    if seen.arrived - newest.arrived < LASTING_SHARE * newest.arrived:
        return False  # it has just come: what it will take is not seen yet
    return _crowded(memory, newest) and _crowded(memory, seen) and not _emptying(memory)


def _emptying(memory: Memory) -> bool:
    """Whether pods hold fewer requests than some seconds before: what is being drained needs no more pods."""
    held = [bucket.queued_seconds + bucket.executing_seconds for bucket in memory.buckets[-EMPTYING_BUCKETS:]]
    half = len(held) // 2
    return sum(held[half:]) < EMPTYING_SHARE * sum(held[:half])


def _crowded(memory: Memory, seen: Bucket) -> bool:
    """Whether requests spend far longer in pods than calls take at their best."""
    calls, rate = memory.profile.calls, memory.profile.call_rate
    if calls is None or rate <= 0:
        return False
    call = calls.at_once / rate
    if calls.requests_max > 1:
        call = calls.fixed_seconds + calls.requests_max * calls.request_seconds
    return _spent(seen) > FULL_SECONDS + FULL_CALLS * call


def tried(memory: Memory, observation: Observation, current: int, now: float) -> tuple[int, Memory, Reason | None]:
    """(pods, memory, reason) where full pods are tried with some more; the present count and no reason otherwise."""
    if memory.trial is not None or now < memory.barred_until or not full(memory, observation, now):
        return current, memory, None
    trial = begun(memory, observation, now)
    if trial is None:
        return current, memory, None
    wanted = current + max(1, math.ceil(STEP_SHARE * current))
    reason = Reason(
        code=model.TRYING,
        message=(
            f"{current} pods that should have room complete {trial.completed:.1f} requests a second, which wait:"
            f" {wanted} are tried, and kept if completions rise"
        ),
    )
    return wanted, replace(memory, trial=trial), reason


def bounded(
    memory: Memory, observation: Observation, capacity: Capacity, *, wanted: int, current: int, now: float
) -> tuple[int, Memory, Reason | None]:
    """(pods, memory, reason) of an order as far as more pods are believed in; as wanted and no reason otherwise."""
    doubled = max(current, 2 * max(1, observation.pods.ready))
    if capacity.source == SEEN:
        return _proven_first(memory, observation, wanted=wanted, doubled=doubled, current=current, now=now)
    known = memory.profile.load_seconds
    most = doubled if known >= FIRST_SECONDS or observation.pods.ready == 0 else current
    if known >= YOUNG_SECONDS or wanted <= most:
        return wanted, memory, None
    message = f"{wanted} wanted by {known:.0f} s of load, at most {most} before {YOUNG_SECONDS:.0f} s"
    return most, memory, Reason(code=model.GUESSED, message=message)


def _proven_first(
    memory: Memory, observation: Observation, *, wanted: int, doubled: int, current: int, now: float
) -> tuple[int, Memory, Reason]:
    """An order by what full pods completed: a trial, unless another one is judged or has just failed."""
    if now < memory.barred_until:
        message = f"{wanted} would be ordered, but more pods did not help"
        return current, memory, Reason(code=model.CROWDED, message=message)
    if memory.trial is not None:
        return current, memory, Reason(code=model.HOLDING, message="it is seen whether more pods help")
    tried = min(wanted, doubled)
    message = f"{wanted} wanted by what full pods completed, {tried} are tried first"
    memory = replace(memory, trial=begun(memory, observation, now))
    return tried, memory, Reason(code=model.TRYING, message=message)


def _spent(seen: Bucket) -> float:
    """Mean seconds that a request spends in a pod, waiting and executing."""
    return (seen.queued_seconds + seen.executing_seconds) / max(seen.completed, 1.0)


def service_seconds(memory: Memory, seconds: float | None) -> float | None:
    """The service time that counts where the capacity of a pod is guessed."""
    if seconds is None or memory.trial is None:
        return seconds
    return min(seconds, SLOWER * memory.trial.service_seconds) if memory.trial.service_seconds > 0 else seconds


def remembered(memory: Memory, observation: Observation, seconds: float) -> Memory:
    """The memory after so many seconds, with the most that a pod completed; a capacity that was seen is raised by what
    pods complete, and recovers."""
    profile, ready, seen = memory.profile, observation.pods.ready, recent(memory)
    best, rate = profile.best_rate * math.exp(-seconds / BEST_KEEP_SECONDS), profile.seen_rate
    rate *= math.exp(seconds / SEEN_KEEP_SECONDS)
    if ready > 0 and seen is not None and memory.buckets[-1].end - memory.scaled_at >= SETTLED_SECONDS:
        each = seen.completed / seen.seconds / ready
        best = max(best, each)
        rate = max(rate, each) if rate > 0 else 0.0
    return replace(memory, profile=replace(profile, best_rate=best, seen_rate=rate))


def waiting(memory: Memory, waits: bool, now: float) -> Memory:
    """The memory of since when more than a little waits."""
    if not waits:
        return replace(memory, backlog_since=None) if memory.backlog_since is not None else memory
    return replace(memory, backlog_since=now) if memory.backlog_since is None else memory


def drains(memory: Memory, now: float, start_seconds: float) -> bool:
    """Whether what waits may be a backlog: one that outlasts the pods ordered for it is none that pods drain."""
    if now < memory.barred_until:
        return False
    return memory.backlog_since is None or now - memory.backlog_since < start_seconds + DRAIN_SECONDS
