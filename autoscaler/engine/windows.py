"""Rates, bursts and trends of the last minute, and the maximum of the last minutes. Pure mathematics on buckets.

Sources: scan statistic for a change of a Poisson rate (Kulldorff 1997), median absolute difference as a robust
spread (Rousseeuw and Croux 1993), median slope (Theil 1950, Sen 1968), descending maxima for a sliding maximum.
"""

import itertools
import math
import statistics
from collections.abc import Sequence

from headrace.autoscaler.engine.model import Bucket, Peak

PERIOD_SECONDS = 5.0
"""The published decision period of the horizontal axis."""
KEPT_SECONDS = 60.0
"""Buckets kept: three times the look-back for scaling up."""
LOOK_BACK_SECONDS = 20.0
"""The published look-back for scaling up."""
ENOUGH_ARRIVALS = 100.0
"""A Poisson count of 100 is known to a tenth."""
SIGMAS = 3.0
"""Evidence asked of a burst before it counts: one false alarm in 741 independent looks of a normal variable."""
SURGE_STRAIGHT = 0.75
"""Least share of the mean slope of a surge by which each second must rise: steps and bursts do not rise evenly."""
SURGE_POINTS = 4
"""Seconds behind a surge: one more than the differences in which a step between two scrapes shows, and the first."""
FAST_POINTS = 8
"""Seconds behind a steep trend: the fewest of which a step must fill three before the median slope sees it."""
SLOW_GROUP = 5
"""Seconds to a point of the slow trend: a decision period."""
SLOW_POINTS = 12
"""Points of the slow trend: the whole minute kept."""


def push(buckets: tuple[Bucket, ...], bucket: Bucket) -> tuple[Bucket, ...]:
    """The buckets with a new one, those older than a minute dropped."""
    horizon = bucket.end - KEPT_SECONDS
    first = 0
    while first < len(buckets) and buckets[first].end <= horizon:
        first += 1
    return (*buckets[first:], bucket)


def dispersion(buckets: Sequence[Bucket]) -> float:
    """Variance of arrivals over their mean, at least 1 (Poisson), robust against a step and a trend.

    Differences of neighbours cancel a trend; their median ignores the few that a step makes large.
    """
    if len(buckets) < 8:
        return 1.0
    mean = sum(bucket.arrived for bucket in buckets) / len(buckets)
    differences = [
        abs(later.arrived - earlier.arrived)
        for earlier, later in itertools.pairwise(buckets)
        if abs(later.seconds - earlier.seconds) < 0.2 * later.seconds  # a lost scrape makes neighbours unlike
    ]
    if mean <= 0 or len(differences) < 6:
        return 1.0
    spread = statistics.median(differences) / 0.6745  # median of |normal| is 0.6745 sigma
    return max(1.0, spread * spread / 2.0 / mean)


def proven_rate(buckets: Sequence[Bucket], spread: float) -> tuple[float, float, float]:
    """(highest arrival rate that some newest stretch of the look-back proves at SIGMAS, its mean rate, its seconds).

    A step shows in the first second, noise does not: `count - SIGMAS * sqrt(variance)` over each stretch.
    """
    best = mean = stretch = arrived = seconds = 0.0
    for bucket in reversed(buckets):
        arrived += bucket.arrived
        seconds += bucket.seconds
        if seconds > LOOK_BACK_SECONDS + 1e-6:
            break
        least = (arrived - SIGMAS * math.sqrt(spread * arrived)) / seconds
        if least > best:
            best, mean, stretch = least, arrived / seconds, seconds
    return best, mean, stretch


def mean_rate(buckets: Sequence[Bucket]) -> tuple[float, float, float]:
    """Arrivals per second, the number of arrivals behind it and the seconds they took.

    Over the look-back, or longer, up to the minute kept, until there are enough arrivals to know the rate to a tenth.
    """
    arrived = seconds = 0.0
    for bucket in reversed(buckets):
        if seconds + bucket.seconds > LOOK_BACK_SECONDS + 1e-6 and arrived >= ENOUGH_ARRIVALS:
            break
        arrived += bucket.arrived
        seconds += bucket.seconds
    return (arrived / seconds if seconds > 0 else 0.0), arrived, seconds


def trend(buckets: Sequence[Bucket], spread: float) -> float:
    """Growth of the arrival rate, per second per second; 0 unless it is proven and still going on.

    Looked for three times: in four seconds that all rise, in eight, and in the whole minute, for growth that seconds
    cannot tell from noise. SIGMAS errors prove it; one is taken off it.
    """
    fast = [(bucket.end - bucket.seconds / 2, bucket.arrived, bucket.seconds) for bucket in buckets[-FAST_POINTS:]]
    slow = []
    for index in range(len(buckets) % SLOW_GROUP, len(buckets), SLOW_GROUP):
        group = buckets[index : index + SLOW_GROUP]
        seconds = sum(bucket.seconds for bucket in group)
        slow.append((group[-1].end - seconds / 2, sum(bucket.arrived for bucket in group), seconds))
    return max(
        _surge(fast[-SURGE_POINTS:], spread),
        _slope(fast, spread, wanted=FAST_POINTS, newest=3, doubt=1.0),
        _slope(slow[-SLOW_POINTS:], spread, wanted=SLOW_POINTS - 1, newest=3),
    )


def _surge(points: Sequence[tuple[float, float, float]], spread: float) -> float:
    """Mean slope of the newest points less its error, if they rise evenly: a step, even one that falls between two
    scrapes, shows in two differences at most."""
    if len(points) < SURGE_POINTS or sum(point[1] for point in points) < ENOUGH_ARRIVALS:
        return 0.0
    rates = [(time, arrived / seconds) for time, arrived, seconds in points]
    span = rates[-1][0] - rates[0][0]
    slope = (rates[-1][1] - rates[0][1]) / span
    error = math.sqrt(spread * (points[0][1] / points[0][2] ** 2 + points[-1][1] / points[-1][2] ** 2)) / span
    if slope <= SIGMAS * error:
        return 0.0
    steady = all(
        later[1] - earlier[1] >= SURGE_STRAIGHT * slope * (later[0] - earlier[0])
        for earlier, later in itertools.pairwise(rates)
    )
    return slope - error if steady else 0.0


def _slope(
    points: Sequence[tuple[float, float, float]], spread: float, *, wanted: int, newest: int, doubt: float = 0.0
) -> float:
    """Median slope of the (time, arrivals, seconds) less its standard error if it is proven, else 0.

    A step makes the median slope large once it fills three tenths of the points; by then the `newest` are all after it
    and flat. So these must rise at least half as
    steeply, `doubt` of their own errors taken off.
    """
    count = len(points)
    if count < wanted or sum(point[1] for point in points) < ENOUGH_ARRIVALS:
        return 0.0
    rates = [(time, arrived / seconds) for time, arrived, seconds in points]
    slope = statistics.median(
        (later[1] - earlier[1]) / (later[0] - earlier[0])
        for index, earlier in enumerate(rates)
        for later in rates[index + 1 :]
    )
    if slope <= 0:
        return 0.0
    width = points[-1][2]
    sigma = math.sqrt(spread * sum(point[1] for point in points) / count) / width
    # Standard error of a least-squares slope over n evenly spaced points is sigma / span * sqrt(12 / n) to first order.
    error = sigma / (rates[-1][0] - rates[0][0]) * math.sqrt(12.0 / count)
    if slope <= SIGMAS * error:
        return 0.0
    slope -= error
    span = rates[-1][0] - rates[-newest][0]
    last = (rates[-1][1] - rates[-newest][1] - doubt * math.sqrt(2.0) * sigma) / span
    newer, older = rates[-1], rates[-2]
    if doubt and newer[1] - older[1] < slope / 2.0 * (newer[0] - older[0]):
        return 0.0  # a step between two scrapes shows in two differences
    return slope if last >= slope / 2.0 else 0.0


def push_peak(peaks: tuple[Peak, ...], peak: Peak, *, keep_seconds: float) -> tuple[Peak, ...]:
    """Descending maxima: what a sliding maximum needs and no more."""
    kept = [old for old in peaks if old.at > peak.at - keep_seconds and old.slots > peak.slots]
    return (*kept, peak)


def highest(peaks: Sequence[Peak], since: float) -> float:
    """Largest slots noted after `since`; 0 when none was."""
    for peak in peaks:
        if peak.at > since:
            return peak.slots
    return 0.0
