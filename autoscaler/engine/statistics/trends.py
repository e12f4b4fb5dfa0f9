"""Trends of the arrival rate: lines that are proven, and likelier than a step (likelihood ratio)."""

import math
from collections.abc import Sequence

from headrace.autoscaler.engine.statistics import least_squares
from headrace.autoscaler.engine.statistics.buckets import Bucket, Buckets, finished
from headrace.autoscaler.engine.statistics.rates import ENOUGH_ARRIVALS, SIGMAS

SECONDS = (4, 6, 8, 12, 20, 30, 60)
"""Buckets in which growth is looked for: the fewest that tell a line from a step, to the whole minute kept."""
STRETCHES = (12, 18, 30)
"""Stretches of ten seconds in which it is looked for: two, three and five minutes. The error of a slope falls with the
time to the power of 3/2: a load that varies by a tenth each second and grows by a tenth a minute shows it in two."""
STRETCHES_OF_A_FALL = STRETCHES[1:]
"""Stretches in which a fall is looked for: what falls for two minutes may be a wave that returns."""
LIKELIER = 2.0
"""Squared errors by which a line must explain the seconds better than a step does: it is then e times as likely."""
LAG_SIGMAS = 1.0
"""Standard errors by which the mean of the newest points, a quarter of them and at most three, may lie below it."""


def growth(buckets: Sequence[Bucket], dispersion: float, stretches: Buckets = ()) -> float:
    """Growth of the arrival rate, per second per second; 0 unless some newest stretch proves it: a line that rises by
    SIGMAS of its error, that explains the stretch better than any step does, and that the newest seconds have not left.
    """
    return max(_steepest(buckets, SECONDS, dispersion, 1.0), slow_growth(stretches, dispersion))


def slow_growth(stretches: Buckets, dispersion: float) -> float:
    """The same over two minutes and more alone."""
    return _steepest(finished(stretches), STRETCHES, dispersion, 1.0)


def fall(stretches: Buckets, dispersion: float) -> float:
    """By how much the arrival rate falls over three minutes or more, per second per second; 0 unless proven likewise.
    What fell for seconds may be a wave."""
    return _steepest(finished(stretches), STRETCHES_OF_A_FALL, dispersion, -1.0)


def _steepest(buckets: Sequence[Bucket], counts: Sequence[int], dispersion: float, sign: float) -> float:
    points = [(bucket.end - bucket.seconds / 2, sign * bucket.arrived, bucket.seconds) for bucket in buckets]
    return max((_rise(points[-count:], dispersion) for count in counts if count <= len(points)), default=0.0)


def _rise(points: Sequence[tuple[float, float, float]], dispersion: float) -> float:
    """Slope of the line through (middle, arrivals, seconds) less its error if it is proven, else 0. Arrivals below 0
    stand for a fall."""
    count, arrived = len(points), abs(sum(number for _, number, _ in points))
    if arrived < ENOUGH_ARRIVALS:
        return 0.0
    rates = [number / seconds for _, number, seconds in points]
    line = least_squares.fit([(point[0], rate, 1.0) for point, rate in zip(points, rates, strict=True)])
    variance = dispersion * sum(abs(number) / seconds**2 for _, number, seconds in points) / count
    error = math.sqrt(variance / line.spread)
    if line.slope <= SIGMAS * error:
        return 0.0
    rest = [rate - line.at(point[0]) for point, rate in zip(points, rates, strict=True)]
    if _left_by_step(rates) - sum(value * value for value in rest) <= LIKELIER * variance:
        return 0.0
    newest = rest[-min(3, max(1, count // 4)) :]
    if sum(newest) / len(newest) < -LAG_SIGMAS * math.sqrt(variance / len(newest)):
        return 0.0
    return line.slope - error


def unexplained(rates: Sequence[float]) -> float:
    """Squares of the rates, at equal distances, that the better of the best line and the best step leaves."""
    points = [(float(place), rate, 1.0) for place, rate in enumerate(rates)]
    line = least_squares.fit(points)
    return min(sum((rate - line.at(place)) ** 2 for place, rate, _ in points), _left_by_step(rates))


def _left_by_step(rates: Sequence[float]) -> float:
    """Squares left by the best step: one rate before, another after, and one second between in which it fell."""
    total, squares = sum(rates), sum(rate * rate for rate in rates)
    best, before, before_squares = math.inf, 0.0, 0.0
    for index, rate in enumerate(rates):
        after, after_squares = total - before - rate, squares - before_squares - rate * rate
        left, right = index, len(rates) - index - 1
        rest = before_squares - (before * before / left if left else 0.0)
        rest += after_squares - (after * after / right if right else 0.0)
        best = min(best, rest)
        before += rate
        before_squares += rate * rate
    return best
