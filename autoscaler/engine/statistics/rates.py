"""Arrival rates of the last minute: their mean, and what the newest seconds prove or leave possible.

Sources: scan statistic for a change of a Poisson rate (Kulldorff 1997), score bound of a count (Wilson 1927).
"""

import math
from collections.abc import Iterator, Sequence

from headrace.autoscaler.engine.statistics.buckets import Bucket, within
from headrace.autoscaler.engine.windows import HORIZONTAL_PERIOD_SECONDS, LOOK_BACK_SECONDS

ENOUGH_ARRIVALS = 100.0
"""A Poisson count of 100 is known to a tenth."""
SIGMAS = 3.0
"""Evidence asked of a burst before it counts: one false alarm in 741 independent looks of a normal variable."""


def mean_rate(buckets: Sequence[Bucket]) -> tuple[float, float, float]:
    """Arrivals a second, the number of arrivals behind it and the seconds they took.

    Over the look-back, or longer, up to the minute kept, until there are enough arrivals to know the rate to a tenth.
    """
    arrived = seconds = 0.0
    for bucket in reversed(buckets):
        if seconds + bucket.seconds > LOOK_BACK_SECONDS + 1e-6 and arrived >= ENOUGH_ARRIVALS:
            break
        arrived += bucket.arrived
        seconds += bucket.seconds
    return (arrived / seconds if seconds > 0 else 0.0), arrived, seconds


def mean_wait(buckets: Sequence[Bucket]) -> float:
    """Seconds that a request waited, over those that arrived in the newest horizontal period."""
    recent = within(reversed(buckets), HORIZONTAL_PERIOD_SECONDS)
    arrived = sum(bucket.arrived for bucket in recent)
    return sum(bucket.queued_seconds for bucket in recent) / arrived if arrived > 0 else 0.0


def proven_rate(buckets: Sequence[Bucket], dispersion: float) -> tuple[float, float, float]:
    """(highest arrival rate that some newest stretch of the look-back proves at SIGMAS, its mean rate, its seconds).

    A step shows in the first second, noise does not: `count - SIGMAS * sqrt(variance)` over each stretch.
    """
    best = mean = stretch = 0.0
    for arrived, seconds in _newest_stretches(buckets):
        least = (arrived - SIGMAS * math.sqrt(dispersion * arrived)) / seconds
        if least > best:
            best, mean, stretch = least, arrived / seconds, seconds
    return best, mean, stretch


def possible_rate(buckets: Sequence[Bucket], dispersion: float) -> float:
    """Lowest arrival rate that some newest stretch of the look-back leaves possible: the highest mean than which the
    count is no more than SIGMAS deviations lower."""
    lowest, square = math.inf, SIGMAS * SIGMAS * dispersion
    for arrived, seconds in _newest_stretches(buckets):
        lowest = min(lowest, (arrived + square / 2.0 + math.sqrt(square * (arrived + square / 4.0))) / seconds)
    return lowest


def _newest_stretches(buckets: Sequence[Bucket]) -> Iterator[tuple[float, float]]:
    """Arrivals and seconds of the newest bucket, the newest two, and so on, up to the look-back."""
    arrived = seconds = 0.0
    for bucket in reversed(buckets):
        arrived += bucket.arrived
        seconds += bucket.seconds
        if seconds > LOOK_BACK_SECONDS + 1e-6:
            return
        yield arrived, seconds
