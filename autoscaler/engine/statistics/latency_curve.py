"""Service time against the requests executing in a pod: what was seen of it, level by level, and the law through it.

The law is the roofline (Williams 2009): s(n) = max(a + b n, n / X). Up to its bend a request takes a little longer for
each that shares its batch; beyond it some resource is full, the pod completes X a second and no more. Throughput over
latency, n / s(n)^2, is highest at a / b (Kleinrock 1979) or at the bend, whichever is lower.
Nothing is throttled to learn: the levels are whatever concurrency the traffic makes.
"""

import bisect
import math
from collections.abc import Sequence
from dataclasses import dataclass

from headrace.autoscaler.engine.statistics import least_squares
from headrace.autoscaler.engine.statistics.least_squares import Point

STEP = 1.1
"""Levels are a tenth apart, nearer than a limit is ever moved."""
KEEP = 0.95
"""Weight an older point keeps at each new one of its level: a level is the mean of its last twenty or so. What was seen
at other levels stays as it is: only a surprise tells that the model changed."""
SIGMAS = 3.0
"""Standard errors by which a law must explain what was seen worse than the best does, to be out of the question."""
LEAST = 0.2
"""Requests executing below which all points are of one level: such a pod serves one at a time."""
PRIOR_POINTS = 5.0
"""Points that a guess of the noise counts for, until the noise was seen."""
NEAR = 0.25
"""Levels from this share of the limit on count: a curve may bend elsewhere too."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Level:
    """Decayed sums of the service times seen at nearly the same concurrency of a pod."""

    index: int
    points: float = 0.0
    served: float = 0.0
    """Requests behind the points: their weight in the other sums."""
    executing: float = 0.0
    seconds: float = 0.0
    squares: float = 0.0
    """Of seconds."""

    @property
    def concurrency(self) -> float:
        """Mean requests executing in a pod."""
        return self.executing / self.served

    @property
    def service_seconds(self) -> float:
        return self.seconds / self.served


def add(curve: Sequence[Level], executing: float, seconds: float, *, served: float) -> tuple[Level, ...]:
    """The curve with one more point: `seconds` of service at a mean of `executing` requests in a pod (over 0), by that
    many requests."""
    index = round(math.log(max(executing, LEAST)) / math.log(STEP))
    old = next((level for level in curve if level.index == index), Level(index=index))
    new = Level(
        index=index,
        points=KEEP * old.points + 1.0,
        served=KEEP * old.served + served,
        executing=KEEP * old.executing + served * executing,
        seconds=KEEP * old.seconds + served * seconds,
        squares=KEEP * old.squares + served * seconds * seconds,
    )
    return tuple(sorted((*(level for level in curve if level.index != index), new), key=lambda level: level.index))


def expected(curve: Sequence[Level], executing: float) -> tuple[float, float] | None:
    """(least, most) seconds of service at that concurrency, by what was seen; None while nothing was.

    Between two levels it is on their line. Beyond the last, time may stay as it is or rise in proportion, and below
    the first it may fall so.
    """
    if not curve:
        return None
    known = [(level.concurrency, level.service_seconds) for level in curve]
    place = bisect.bisect_left(known, (executing, 0.0))
    if 0 < place < len(known):
        (x, y), (later_x, later_y) = known[place - 1], known[place]
        there = y + (later_y - y) * (executing - x) / (later_x - x)
        return there, there
    x, y = known[0] if place == 0 else known[-1]
    return min(y, y * executing / x), max(y, y * executing / x)


def optimum(curve: Sequence[Level], limit: float) -> float | None:
    """Concurrency with the most throughput per latency, not below the lowest level that was seen near the limit, since
    the law is known no further; infinite where no rise of the service time is proven, None where none could be.

    Of the laws that explain what was seen nearly as well as the best does it is the highest: the next points are then
    made where they tell which is true.
    """
    near = [level for level in curve if level.concurrency >= NEAR * limit]
    if len(near) < 2:
        return None
    noise = _noise(near)
    means = [(level.concurrency, level.service_seconds, level.served) for level in near]
    points = [(x, mean, served / (noise * mean * mean)) for x, mean, served in means]
    laws = [_law(points, count, flat=flat) for count in range(1, len(points) + 1) for flat in (True, False)]
    tolerated = min(rest for rest, _ in laws) + SIGMAS**2
    return max(points[0][0], *(best for rest, best in laws if rest <= tolerated))


def _law(points: Sequence[Point], count: int, *, flat: bool) -> tuple[float, float]:
    """(squared errors, best concurrency) of the law by which the first `count` points are not saturated; `flat`: there
    the service time does not rise."""
    line, beyond = least_squares.fit(points[:count]), points[count:]
    start, slope = (line.mean_y, 0.0) if flat or line.slope <= 0 else (line.intercept, line.slope)
    # Seconds per request executing once saturated, by least squares of y = x / most.
    each = sum(w * x * y for x, y, w in beyond) / sum(w * x * x for x, _, w in beyond) if beyond else 0.0
    rest = sum(w * (y - max(start + slope * x, each * x)) ** 2 for x, y, w in points)
    best = start / slope if slope > 0 else math.inf
    full = start / (each - slope) if each > slope else math.inf
    return rest, max(0.0, min(best, full))


def _noise(levels: Sequence[Level]) -> float:
    """Relative variance of the service time of one request, from points of the same level, and as if PRIOR_POINTS of
    their size had been known to a tenth."""
    squares = 0.01 * PRIOR_POINTS * sum(level.served for level in levels) / sum(level.points for level in levels)
    freedom = PRIOR_POINTS
    for level in levels:
        mean = level.service_seconds
        squares += max(0.0, level.squares - level.served * mean * mean) / (mean * mean)
        freedom += level.points - 1.0
    return squares / freedom
