"""What is learned from live traffic: service time, its growth with concurrency, and each resource's use per request.

Nothing is throttled to learn: the points come from whatever concurrency the traffic makes.
"""

import math
from dataclasses import replace

from headrace.autoscaler.engine import curve
from headrace.autoscaler.engine.model import Bucket, Cycle, Line, Observation, Profile, Utilisation
from headrace.autoscaler.engine.signals import share

HALF_LIFE_COMPLETIONS_SECONDS = 60.0
"""Half-life of the service time: three look-backs."""
BALANCE_SHARE = 0.2
"""A filling or draining system completes fewer or more than it starts, which bends executing seconds over
completions; beyond a fifth the interval teaches nothing about service time."""
POINT_COMPLETIONS = 20.0
"""Completions behind one point of a line."""
LINE_KEEP = 0.99
"""Weight an older point keeps at each new one: half is gone after 69 points, six minutes at the least."""
SURPRISE = 0.25
"""A service time a quarter off what was seen there before is a surprise (the tolerance of Envoy's gradient)."""
SURPRISES_TO_FORGET = 3
SLOPE_SIGMAS = 3.0
USABLE_CONCURRENCY = 0.2
"""Below this mean concurrency a utilisation is mostly the idle process."""


def service_time(profile: Profile, buckets: tuple[Bucket, ...]) -> Profile:
    """The profile with the newest bucket in its service time, if the system was in balance over the look-back."""
    newest = buckets[-1]
    known = profile.service_seconds
    span = 20.0 if known is None else min(60.0, max(20.0, 2.0 * known))
    started = completed = 0.0
    earliest = newest.executing
    for bucket in reversed(buckets):
        if newest.end - (bucket.end - bucket.seconds) > span + 1e-6:
            earliest = bucket.executing
            break
        completed += bucket.completed
        started += bucket.seconds
    else:
        earliest = 0.0 if known is None else buckets[0].executing
    if completed <= 0:
        return profile
    balanced = abs(newest.executing - earliest) <= BALANCE_SHARE * completed
    if not balanced and known is not None:
        return profile
    keep = 0.5 ** (newest.seconds / HALF_LIFE_COMPLETIONS_SECONDS)
    return replace(
        profile,
        busy=keep * profile.busy + newest.executing_seconds,
        done=keep * profile.done + newest.completed,
    )


def add(cycle: Cycle, bucket: Bucket, observation: Observation) -> Cycle:
    """The cycle with one more bucket and the utilisation seen at its end."""
    seen = observation.utilisation
    known = _known(seen)
    readings = 1 if known is not None else 0
    cpu, memory, gpu_memory, tensor, io_wait, bandwidth = known if known is not None else (0.0,) * 6
    fresh = cycle.seconds == 0
    return Cycle(
        started=bucket.end - bucket.seconds if fresh else cycle.started,
        seconds=cycle.seconds + bucket.seconds,
        arrived=cycle.arrived + bucket.arrived,
        completed=cycle.completed + bucket.completed,
        executing_seconds=cycle.executing_seconds + bucket.executing_seconds,
        queued_seconds=cycle.queued_seconds + bucket.queued_seconds,
        pod_seconds=cycle.pod_seconds + bucket.seconds * observation.pods.ready,
        executing=bucket.executing if fresh else cycle.executing,
        readings=cycle.readings + readings,
        cpu=cycle.cpu + cpu,
        memory=cycle.memory + memory,
        gpu_memory=cycle.gpu_memory + gpu_memory,
        tensor=cycle.tensor + tensor,
        waiting=cycle.waiting + max(io_wait, bandwidth),
    )


def _known(seen: Utilisation) -> tuple[float, ...] | None:
    read = (seen.cpu, seen.memory, seen.gpu_memory, seen.tensor, seen.io_wait, seen.memory_bandwidth)
    values = [share(value) for value in read]
    if all(value is None for value in values):
        return None
    return tuple(0.0 if value is None else value for value in values)


def ready_for_point(point: Cycle, *, period: float) -> bool:
    """Whether enough was seen for a point of the lines."""
    return point.seconds >= period and point.completed >= POINT_COMPLETIONS and point.pod_seconds > 0


def learn(profile: Profile, point: Cycle, executing: float) -> tuple[Profile, bool]:
    """The profile with one more point, and whether another service time was expected there."""
    concurrency = point.executing_seconds / point.pod_seconds
    learned = profile
    if point.readings > 0 and concurrency > 0:
        learned = _resources(profile, point, concurrency)
    if concurrency <= 0 or abs(executing - point.executing) > BALANCE_SHARE * point.completed:
        return learned, False
    # While pods fill or empty, the mean concurrency is none that they had: no more than noise may lie between.
    busy = point.executing_seconds / point.seconds
    if abs(executing - point.executing) > BALANCE_SHARE * busy + 2.0 * math.sqrt(busy):
        return learned, False
    # What was begun and what was ended differ while the load changes; their mean is what the seconds were spent on.
    served = point.completed + (executing - point.executing) / 2.0
    seconds = point.executing_seconds / served
    expected = curve.expected(profile.latency, concurrency)
    surprised = expected is not None and not (
        (1.0 - SURPRISE) * expected[0] <= seconds <= (1.0 + SURPRISE) * expected[1]
    )
    return replace(learned, latency=curve.add(profile.latency, concurrency, seconds, served=served)), surprised


def _resources(profile: Profile, point: Cycle, concurrency: float) -> Profile:
    count = point.readings
    weight = min(point.completed, 1000.0)
    memory = _point(profile.memory, concurrency, point.memory / count, weight=weight)
    gpu_memory = _point(profile.gpu_memory, concurrency, point.gpu_memory / count, weight=weight)
    if concurrency < USABLE_CONCURRENCY:
        return replace(profile, memory=memory, gpu_memory=gpu_memory)
    fade = LINE_KEEP
    return replace(
        profile,
        memory=memory,
        gpu_memory=gpu_memory,
        cpu_per_request=max(point.cpu / count / concurrency, fade * profile.cpu_per_request),
        tensor_per_request=max(point.tensor / count / concurrency, fade * profile.tensor_per_request),
    )


def forget(profile: Profile) -> Profile:
    """The profile without what a changed model has made false. The limit itself stays until better is known."""
    return replace(
        profile,
        latency=(),
        memory=Line(),
        gpu_memory=Line(),
        cpu_per_request=0.0,
        tensor_per_request=0.0,
    )


def _point(line: Line, x: float, y: float, *, weight: float) -> Line:
    keep = LINE_KEEP
    return Line(
        weight=keep * line.weight + weight,
        points=keep * line.points + 1.0,
        x=keep * line.x + weight * x,
        y=keep * line.y + weight * y,
        xx=keep * line.xx + weight * x * x,
        xy=keep * line.xy + weight * x * y,
        yy=keep * line.yy + weight * y * y,
    )


def fit(line: Line) -> tuple[float, float, float] | None:
    """(intercept, slope, standard error of the slope); None while the points do not spread enough to tell."""
    if line.points < 3 or line.weight <= 0:
        return None
    mean_x, mean_y = line.x / line.weight, line.y / line.weight
    spread_x = line.xx / line.weight - mean_x * mean_x
    if spread_x <= (0.05 * mean_x) ** 2:
        return None
    slope = (line.xy / line.weight - mean_x * mean_y) / spread_x
    rest = max(0.0, line.yy / line.weight - mean_y * mean_y - slope * slope * spread_x)
    error = math.sqrt(rest / spread_x / max(line.points - 2.0, 1.0))
    return mean_y - slope * mean_x, slope, error


def ceiling(line: Line, mark: float) -> float:
    """The x at which a rising line reaches the mark; infinite where no rise is proven."""
    known = fit(line)
    if known is None or known[1] <= SLOPE_SIGMAS * known[2] or known[1] <= 0:
        return math.inf
    return max(0.0, (mark - known[0]) / known[1])
