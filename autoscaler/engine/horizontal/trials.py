"""Trials: more pods are believed in only while completions rise.

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

from headrace.autoscaler.engine.horizontal.capacity import SEEN, Capacity
from headrace.autoscaler.engine.memory.memory import Memory, Trial
from headrace.autoscaler.engine.memory.profile import Profile
from headrace.autoscaler.engine.observation import Observation
from headrace.autoscaler.engine.reasons import CROWDED, GUESSED, HOLDING, TRYING, Reason
from headrace.autoscaler.engine.statistics.buckets import Bucket, Buckets, newest

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
SEEN_KEEP_SECONDS = 1800.0
"""Time constant with which a capacity that was seen recovers: what slowed pods down may have gone."""
BACKLOG_SHARE = 0.1
"""Of the load, or of a pod: less work than this waits in any pod that merges what comes while it computes."""
DRAIN_SECONDS = 30.0
"""How long a backlog may take to be drained once the pods ordered for it serve."""


# --- An order and its verdict --------------------------------------------------------------------------------------
def begun(memory: Memory, observation: Observation, now: float) -> Trial | None:
    """The trial of an order of pods that is made now; None while too little was seen."""
    seen = newest(memory.history.buckets, SEEN_SECONDS)
    if seen is None or seen.completed <= 0 or observation.pods.ready == 0:
        return None
    return Trial(
        at=now,
        pods=observation.pods.ready,
        completed=seen.completed / seen.seconds,
        behind=seen.completed < KEEPS_UP * seen.arrived,
        service_seconds=seen.executing_seconds / seen.completed,
        full=_crowded(memory.learned.profile, seen),
    )


def judged(
    memory: Memory, observation: Observation, capacity: Capacity, now: float, *, start_seconds: float
) -> tuple[Memory, Reason | None]:
    """The memory after the order on trial was judged: for it as soon as its pods show that they help, against it when
    they have served long enough."""
    trial, seen, pods = memory.history.trial, newest(memory.history.buckets, SEEN_SECONDS), observation.pods
    if trial is None or seen is None:
        return memory, None
    profile, added = memory.learned.profile, pods.ready / trial.pods - 1.0
    rate = seen.completed / seen.seconds
    before = max(trial.completed, profile.best_rate * trial.pods)
    rose = rate >= before * (1.0 + GAIN * max(0.0, added))
    if capacity.measured and added > 0 and now - trial.at >= SEEN_SECONDS:
        crowded = _crowded(profile, seen)
        caught_up = trial.behind and seen.completed >= KEEPS_UP * seen.arrived and rate > before
        eased = not crowded and rate < trial.completed * (1.0 + GAIN)  # the same load spends less time in pods
        if rose or caught_up or (eased and trial.full):
            if trial.full:
                profile = replace(profile, seen_rate=before / trial.pods)
            return memory.with_history(trial=None).with_learned(failed_trials=0, profile=profile), None
        if not crowded:
            return memory.with_history(trial=None), None  # so few pods did as much before: something else was slow
    patience = 2.0 if pods.ready < pods.desired else 1.0  # they are late, or there is no room for them
    if now - trial.at < patience * (start_seconds + SETTLED_SECONDS):
        return memory, None
    memory = memory.with_history(trial=None)
    if capacity.measured:
        return _barred(memory, trial, now, f"completions stay at {rate:.1f} a second")
    slower = seen.executing_seconds / max(seen.completed, 1.0) > trial.service_seconds * (1.0 + GAIN)
    if added > 0 and slower and not rose:
        return _barred(memory, trial, now, "requests take longer and completions do not rise")
    return memory.with_learned(failed_trials=0), None


def _barred(memory: Memory, trial: Trial, now: float, cause: str) -> tuple[Memory, Reason]:
    failures = memory.learned.failed_trials
    seconds = min(BARRED_SECONDS_MAX, BARRED_SECONDS * 2.0**failures)
    memory = memory.with_learned(failed_trials=min(failures + 1, 10), barred_until=now + seconds)
    message = f"more than {trial.pods} pods do not help, {cause}: none is added for {seconds:.0f} s"
    return memory, Reason(CROWDED, message)


# --- Which orders are made -----------------------------------------------------------------------------------------
def with_more(memory: Memory, observation: Observation, current: int, now: float) -> tuple[int, Memory, Reason | None]:
    """(pods, memory, reason) where full pods are tried with some more; the present count and no reason otherwise."""
    is_free = memory.history.trial is None and now >= memory.learned.barred_until
    trial = begun(memory, observation, now) if is_free and _full(memory, observation, now) else None
    if trial is None:
        return current, memory, None
    wanted = current + max(1, math.ceil(STEP_SHARE * current))
    message = (
        f"{current} pods that should have room complete {trial.completed:.1f} requests a second, which wait:"
        f" {wanted} are tried, and kept if completions rise"
    )
    return wanted, memory.with_history(trial=trial), Reason(TRYING, message)


def bounded(
    memory: Memory, observation: Observation, capacity: Capacity, *, wanted: int, current: int, now: float
) -> tuple[int, Memory, Reason | None]:
    """(pods, memory, reason) of an order as far as more pods are believed in; as wanted and no reason otherwise."""
    doubled = max(current, 2 * max(1, observation.pods.ready))
    if capacity.source == SEEN:
        return _proven_first(memory, observation, wanted=wanted, doubled=doubled, current=current, now=now)
    known = memory.learned.profile.load_seconds
    most = doubled if known >= FIRST_SECONDS or observation.pods.ready == 0 else current
    if known >= YOUNG_SECONDS or wanted <= most:
        return wanted, memory, None
    message = f"{wanted} wanted by {known:.0f} s of load, at most {most} before {YOUNG_SECONDS:.0f} s"
    return most, memory, Reason(GUESSED, message)


def _proven_first(
    memory: Memory, observation: Observation, *, wanted: int, doubled: int, current: int, now: float
) -> tuple[int, Memory, Reason]:
    """An order by what full pods completed: a trial, unless another one is judged or has just failed."""
    if now < memory.learned.barred_until:
        return current, memory, barred_reason(wanted)
    if memory.history.trial is not None:
        return current, memory, WAITING
    tried = min(wanted, doubled)
    message = f"{wanted} wanted by what full pods completed, {tried} are tried first"
    memory = memory.with_history(trial=begun(memory, observation, now))
    return tried, memory, Reason(TRYING, message)


WAITING = Reason(HOLDING, "it is seen whether more pods help")


def barred_reason(wanted: int) -> Reason:
    """Why an order is not made while none is believed in."""
    return Reason(CROWDED, f"{wanted} would be ordered, but more pods did not help")


# --- What pods show ------------------------------------------------------------------------------------------------
def _full(memory: Memory, observation: Observation, now: float) -> bool:
    """Whether the pods that were ordered all serve, have settled, and are crowded."""
    pods, buckets, profile = observation.pods, memory.history.buckets, memory.learned.profile
    seen, half = newest(buckets, SEEN_SECONDS), newest(buckets, SEEN_SECONDS / 2.0)
    if seen is None or half is None or seen.arrived < SEEN_SECONDS or half.completed <= 0:
        return False
    if pods.ready == 0 or pods.ready < pods.desired or now - memory.last.scaled_at < SETTLED_SECONDS:
        return False
    if seen.arrived - half.arrived < LASTING_SHARE * half.arrived:
        return False  # it has just come: what it will take is not seen yet
    return _crowded(profile, half) and _crowded(profile, seen) and not _emptying(buckets)


def _emptying(buckets: Buckets) -> bool:
    """Whether pods hold fewer requests than some seconds before: what is being drained needs no more pods."""
    held = [bucket.queued_seconds + bucket.executing_seconds for bucket in buckets[-EMPTYING_BUCKETS:]]
    half = len(held) // 2
    return sum(held[half:]) < EMPTYING_SHARE * sum(held[:half])


def _crowded(profile: Profile, seen: Bucket) -> bool:
    """Whether requests spend far longer in pods, waiting and executing, than calls take at their best."""
    calls, rate = profile.calls, profile.call_rate
    if calls is None or rate <= 0:
        return False
    call = calls.at_once / rate
    if calls.requests_max > 1:
        call = calls.fixed_seconds + calls.requests_max * calls.request_seconds
    spent = (seen.queued_seconds + seen.executing_seconds) / max(seen.completed, 1.0)
    return spent > FULL_SECONDS + FULL_CALLS * call


def believed_seconds(seconds: float | None, trial: Trial | None) -> float | None:
    """The service time that counts where the capacity of a pod is guessed."""
    if seconds is None or trial is None or trial.service_seconds <= 0:
        return seconds
    return min(seconds, SLOWER * trial.service_seconds)


def with_best_rates(profile: Profile, buckets: Buckets, *, ready: int, seconds: float, settled: bool) -> Profile:
    """The profile after so many seconds, with the most that a pod completed; a capacity that was seen is raised by what
    pods complete, and recovers. `settled`: pods have served for a while as many as they are."""
    best, rate = profile.best_rate * math.exp(-seconds / BEST_KEEP_SECONDS), profile.seen_rate
    rate *= math.exp(seconds / SEEN_KEEP_SECONDS)
    seen = newest(buckets, SEEN_SECONDS)
    if ready > 0 and seen is not None and settled:
        each = seen.completed / seen.seconds / ready
        best = max(best, each)
        rate = max(rate, each) if rate > 0 else 0.0
    return replace(profile, best_rate=best, seen_rate=rate)


def drains(memory: Memory, now: float, start_seconds: float) -> bool:
    """Whether what waits may be a backlog: one that outlasts the pods ordered for it is none that pods drain."""
    since = memory.history.backlog_since
    lasts = since is not None and now - since >= start_seconds + DRAIN_SECONDS
    return now >= memory.learned.barred_until and not lasts
