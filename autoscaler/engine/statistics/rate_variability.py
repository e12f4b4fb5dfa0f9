"""Variability of the arrival rate: how far counts of a second differ beyond a Poisson stream, and what that asks for.

Source: median absolute difference as a robust spread (Rousseeuw and Croux 1993).
"""

import itertools
import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass

from headrace.autoscaler.engine.statistics.buckets import Bucket
from headrace.autoscaler.engine.windows import VARIABILITY_SECONDS

DOUBT = 0.23
"""Relative error of the dispersion of five minutes, two standard errors of the median of 300 differences (0.26 over the
root of five for that of a minute): taken off, since a Poisson stream shall not seem to vary."""
ENOUGH_BUCKETS = 8
ENOUGH_DIFFERENCES = 6


@dataclass(frozen=True, kw_only=True, slots=True)
class RateVariability:
    """Relative variance of the rate itself, as a mean of minutes that fades.

    A rate that varies by r about its mean adds r^2 x arrivals to the dispersion. Each minute's estimate of r^2 weighs
    by the square of its arrivals, as its exactness does.
    """

    excess: float = 0.0
    """Faded sum of the dispersion beyond 1, times the arrivals of a bucket."""
    weight: float = 0.0
    """Faded sum of the squares of these arrivals."""

    @property
    def relative_variance(self) -> float:
        """Of the rate; 0 while none is known."""
        return max(0.0, self.excess / self.weight) if self.weight > 0 else 0.0

    def after(self, buckets: Sequence[Bucket]) -> "RateVariability":
        """The same with the minute that ends with the newest of these buckets."""
        found = dispersion(buckets)
        if found is None:
            return self
        mean = _mean(buckets)
        keep = math.exp(-buckets[-1].seconds / VARIABILITY_SECONDS)
        return RateVariability(
            excess=keep * self.excess + (found - 1.0) * mean, weight=keep * self.weight + mean * mean
        )

    def dispersion(self, buckets: Sequence[Bucket]) -> float:
        """Variance of arrivals over their mean, at least 1: of these buckets, or as the last minutes had it if that is
        more, since what a minute of noise seems to prove is often noise."""
        minute = dispersion(buckets)
        return max(1.0, 1.0 if minute is None else minute, 1.0 + self.relative_variance * _mean(buckets))

    def load_deviation(self, rate: float, service_seconds: float) -> float:
        """Standard deviation, in requests at once, of a load of that rate beyond a Poisson stream's. Short requests
        see each second's rate, long ones the mean of their own time."""
        beyond = max(0.0, (1.0 - DOUBT) * (1.0 + self.relative_variance * rate) - 1.0)
        return service_seconds * math.sqrt(rate * beyond / max(1.0, service_seconds))


def dispersion(buckets: Sequence[Bucket]) -> float | None:
    """Variance of arrivals over their mean (1: Poisson), robust against a step and a trend; None where too little is
    known.

    Differences of neighbours cancel a trend; their median ignores the few that a step makes large.
    """
    if len(buckets) < ENOUGH_BUCKETS:
        return None
    mean = _mean(buckets)
    differences = [
        abs(later.arrived - earlier.arrived)
        for earlier, later in itertools.pairwise(buckets)
        if abs(later.seconds - earlier.seconds) < 0.2 * later.seconds  # a lost scrape makes neighbours unlike
    ]
    if mean <= 0 or len(differences) < ENOUGH_DIFFERENCES:
        return None
    deviation = statistics.median(differences) / 0.6745  # median of |normal| is 0.6745 sigma
    return deviation * deviation / 2.0 / mean


def _mean(buckets: Sequence[Bucket]) -> float:
    return sum(bucket.arrived for bucket in buckets) / len(buckets)
