"""Rates, bursts and trends of the last minute, and the maximum of the last minutes. Pure mathematics on buckets.

Sources: scan statistic for a change of a Poisson rate (Kulldorff 1997), median absolute difference as a robust
spread (Rousseeuw and Croux 1993), median slope (Theil 1950, Sen 1968), descending maxima for a sliding maximum.
"""

import itertools
import math
import statistics
from collections.abc import Sequence

from headrace.autoscaler.engine.model import Bucket, Peak

KEPT_SECONDS = 60.0
"""Buckets kept: three times the look-back for scaling up."""
LOOK_BACK_SECONDS = 20.0
"""The published look-back for scaling up."""
ENOUGH_ARRIVALS = 100.0
"""A Poisson count of 100 is known to a tenth."""
SIGMAS = 3.0
"""Evidence asked of a burst before it counts: one false alarm in 741 independent looks of a normal variable."""
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


def proven_rate(buckets: Sequence[Bucket], spread: float) -> float:
    """Highest arrival rate, per second, that some newest stretch of the look-back proves at SIGMAS.

    A step shows in the first second, noise does not: `count - SIGMAS * sqrt(variance)` over each stretch.
    """
    best = arrived = seconds = 0.0
    for bucket in reversed(buckets):
        arrived += bucket.arrived
        seconds += bucket.seconds
        if seconds > LOOK_BACK_SECONDS + 1e-6:
            break
        best = max(best, (arrived - SIGMAS * math.sqrt(spread * arrived)) / seconds)
    return best


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

    Looked for twice: in eight seconds, for a ramp, and in the whole minute, for growth that seconds cannot tell
    from noise.
    """
    fast = [(bucket.end - bucket.seconds / 2, bucket.arrived, bucket.seconds) for bucket in buckets[-FAST_POINTS:]]
    slow = []
    for index in range(len(buckets) % SLOW_GROUP, len(buckets), SLOW_GROUP):
        group = buckets[index : index + SLOW_GROUP]
        seconds = sum(bucket.seconds for bucket in group)
        slow.append((group[-1].end - seconds / 2, sum(bucket.arrived for bucket in group), seconds))
    return max(
        _slope(fast, spread, wanted=FAST_POINTS, newest=3),
        _slope(slow[-SLOW_POINTS:], spread, wanted=SLOW_POINTS - 1, newest=3),
    )


def _slope(points: Sequence[tuple[float, float, float]], spread: float, *, wanted: int, newest: int) -> float:
    """Median slope of the (time, arrivals, seconds) less three standard errors, at least 0.

    A step makes the median slope large once it fills three tenths of the points; by then the `newest` are all after it
    and flat. So these must rise at least half as steeply.
    """
    count = len(points)
    if count < wanted:
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
    slope -= SIGMAS * sigma / (rates[-1][0] - rates[0][0]) * math.sqrt(12.0 / count)
    if slope <= 0:
        return 0.0
    last = (rates[-1][1] - rates[-newest][1]) / (rates[-1][0] - rates[-newest][0])
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
