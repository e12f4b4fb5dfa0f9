"""Noise: how far the seconds and stretches of a load are from its mean, and how alike its minutes are."""

import itertools
import math
import statistics
from collections.abc import Sequence

from headrace.autoscaler.engine.statistics.buckets import Bucket, Buckets, total
from headrace.autoscaler.engine.statistics.trends import unexplained

POISSON_DOUBT = 2.0
"""Times a Poisson stream's variance that is taken off: of thirty stretches it is known to that, at two sigmas."""
ENOUGH_SECONDS = 15
ENOUGH_BUCKETS = 8
ENOUGH_ARRIVALS = 20.0
"""Of a load, and in each of its buckets, before its height means anything: small counts have coarse medians."""
MINUTE_STRETCHES = 6
SHAPELESS = 0.5
"""Share of the squares of the seconds about their mean that a line or a step must leave, for them to be noise."""


def height(buckets: Sequence[Bucket]) -> float | None:
    """Relative deviation of the rate about its median, less a Poisson stream's noise; None where too little is known.

    From the median distance to the median (0.6745 deviations of a normal law): a step, or a peak of a few seconds, is
    no noise and does not move it before it has lasted for half of the time.
    """
    seconds, arrived = sum(bucket.seconds for bucket in buckets), sum(bucket.arrived for bucket in buckets)
    if seconds < ENOUGH_SECONDS or len(buckets) < ENOUGH_BUCKETS or arrived < ENOUGH_ARRIVALS * len(buckets):
        return None
    rates = [bucket.rate for bucket in buckets]
    median = statistics.median(rates)
    if median <= 0:
        mean, squares = _about_mean(rates)
        return math.sqrt(squares / len(rates)) / mean if mean > 0 else 0.0
    count = statistics.median(bucket.arrived for bucket in buckets)
    if count < ENOUGH_ARRIVALS:
        return None
    deviation = statistics.median(abs(rate - median) for rate in rates) / 0.6745
    return math.sqrt(max(0.0, (deviation / median) ** 2 - POISSON_DOUBT / count))


def is_shapeless(buckets: Sequence[Bucket]) -> bool:
    """Whether neither a line nor a step explains how the seconds differ."""
    rates = [bucket.rate for bucket in buckets]
    return unexplained(rates) > SHAPELESS * _about_mean(rates)[1]


def neighbour_deviation(stretches: Buckets) -> float:
    """Relative deviation of the stretches by how neighbours differ (von Neumann 1941): a line adds next to nothing."""
    rates = [stretch.rate for stretch in stretches]
    squares = sum((later - earlier) ** 2 for earlier, later in itertools.pairwise(rates))
    mean = sum(rates) / len(rates)
    return math.sqrt(squares / (2.0 * (len(rates) - 1))) / mean if mean > 0 else 0.0


def difference_of_minutes(stretches: Buckets) -> float:
    """By how much the means of all minutes in these stretches differ at most, over their mean."""
    minutes = [stretches[start : start + MINUTE_STRETCHES] for start in range(len(stretches) - MINUTE_STRETCHES + 1)]
    rates = [total(minute).rate for minute in minutes]
    mean = sum(rates) / len(rates)
    return (max(rates) - min(rates)) / mean if mean > 0 else 0.0


def _about_mean(rates: Sequence[float]) -> tuple[float, float]:
    """(mean, sum of squares about it)."""
    mean = sum(rates) / len(rates)
    return mean, sum((rate - mean) ** 2 for rate in rates)
