"""What is learned from live traffic: service time, its growth with concurrency, and each resource's use per request.

Nothing is throttled to learn: the points come from whatever concurrency the traffic makes.
"""

import math
from dataclasses import replace

from headrace.autoscaler.engine.memory.cycle import Cycle
from headrace.autoscaler.engine.memory.profile import Profile
from headrace.autoscaler.engine.statistics import latency_curve
from headrace.autoscaler.engine.statistics.buckets import Buckets
from headrace.autoscaler.engine.statistics.least_squares import Sums
from headrace.autoscaler.engine.windows import HORIZONTAL_PERIOD_SECONDS, KEPT_SECONDS, LOOK_BACK_SECONDS

HALF_LIFE_COMPLETIONS_SECONDS = 60.0
"""Half-life of the service time: three look-backs."""
BALANCE_SHARE = 0.2
"""A filling or draining system completes fewer or more than it starts, which bends executing seconds over
completions; beyond a fifth the interval teaches nothing about service time."""
POINT_COMPLETIONS = 20.0
"""Completions behind one point of a line."""
SUMS_KEEP = 0.99
"""Weight an older point keeps at each new one: half is gone after 69 points, six minutes at the least."""
SURPRISE = 0.25
"""A service time a quarter off what was seen there before is a surprise (the tolerance of Envoy's gradient)."""
SURPRISES_TO_FORGET = 3
SLOPE_SIGMAS = 3.0
POINTS = 3
LEAST_SPREAD = 0.05
"""Fewest points, and their least deviation over their mean concurrency, that tell a slope."""
USABLE_CONCURRENCY = 0.2
"""Below this mean concurrency a utilisation is mostly the idle process."""


def service_time(profile: Profile, buckets: Buckets) -> Profile:
    """The profile with the newest bucket in its service time, if the system was in balance over the look-back."""
    newest, known = buckets[-1], profile.service_seconds
    span = LOOK_BACK_SECONDS if known is None else min(KEPT_SECONDS, max(LOOK_BACK_SECONDS, 2.0 * known))
    completed = 0.0
    for bucket in reversed(buckets):
        if newest.end - (bucket.end - bucket.seconds) > span + 1e-6:
            earliest = bucket.executing
            break
        completed += bucket.completed
    else:
        earliest = 0.0 if known is None else buckets[0].executing
    balanced = abs(newest.executing - earliest) <= BALANCE_SHARE * completed
    if completed <= 0 or (not balanced and known is not None):
        return profile
    keep = 0.5 ** (newest.seconds / HALF_LIFE_COMPLETIONS_SECONDS)
    return replace(
        profile, busy=keep * profile.busy + newest.executing_seconds, done=keep * profile.done + newest.completed
    )


def is_enough(point: Cycle) -> bool:
    """Whether enough was seen for a point of the latency curve."""
    return point.seconds >= HORIZONTAL_PERIOD_SECONDS and point.completed >= POINT_COMPLETIONS and point.pod_seconds > 0


def learn(profile: Profile, point: Cycle, executing: float) -> tuple[Profile, bool]:
    """The profile with one more point, and whether another service time was expected there."""
    concurrency = point.executing_seconds / point.pod_seconds
    learned = _resources(profile, point, concurrency) if point.readings > 0 and concurrency > 0 else profile
    if concurrency <= 0 or abs(executing - point.executing) > BALANCE_SHARE * point.completed:
        return learned, False
    # While pods fill or empty, the mean concurrency is none that they had: no more than noise may lie between.
    busy = point.executing_seconds / point.seconds
    if abs(executing - point.executing) > BALANCE_SHARE * busy + 2.0 * math.sqrt(busy):
        return learned, False
    # What was begun and what was ended differ while the load changes; their mean is what the seconds were spent on.
    served = point.completed + (executing - point.executing) / 2.0
    seconds = point.executing_seconds / served
    expected = latency_curve.expected(profile.latency, concurrency)
    surprised = expected is not None and not (
        (1.0 - SURPRISE) * expected[0] <= seconds <= (1.0 + SURPRISE) * expected[1]
    )
    return replace(learned, latency=latency_curve.add(profile.latency, concurrency, seconds, served=served)), surprised


def _resources(profile: Profile, point: Cycle, concurrency: float) -> Profile:
    count, weight = point.readings, min(point.completed, 1000.0)
    profile = replace(
        profile,
        memory=profile.memory.with_point(concurrency, point.memory / count, weight=weight, keep=SUMS_KEEP),
        gpu_memory=profile.gpu_memory.with_point(concurrency, point.gpu_memory / count, weight=weight, keep=SUMS_KEEP),
    )
    if concurrency < USABLE_CONCURRENCY:
        return profile
    return replace(
        profile,
        cpu_per_request=max(point.cpu / count / concurrency, SUMS_KEEP * profile.cpu_per_request),
        tensor_per_request=max(point.tensor / count / concurrency, SUMS_KEEP * profile.tensor_per_request),
    )


def forget(profile: Profile) -> Profile:
    """The profile without what a changed model has made false. The limit itself stays until better is known."""
    return replace(profile, latency=(), memory=Sums(), gpu_memory=Sums(), cpu_per_request=0.0, tensor_per_request=0.0)


def ceiling(use: Sums, mark: float) -> float:
    """Concurrency at which the use of a resource reaches the mark; infinite while no rise with it is proven."""
    if use.points < POINTS or use.weight <= 0:
        return math.inf
    line = use.fit()
    if line.spread / use.weight <= (LEAST_SPREAD * line.mean_x) ** 2:
        return math.inf
    error = math.sqrt(use.rest(line) / line.spread / max(use.points - 2.0, 1.0))
    if line.slope <= 0 or line.slope <= SLOPE_SIGMAS * error:
        return math.inf
    return max(0.0, (mark - line.intercept) / line.slope)
