"""Rates, bursts and trends of the last minute, and the maximum of the last minutes. Pure mathematics on buckets.

Sources: scan statistic for a change of a Poisson rate (Kulldorff 1997), median absolute difference as a robust
spread (Rousseeuw and Croux 1993), likelihood ratio of a line over a step, descending maxima for a sliding maximum.
"""

import itertools
import math
import statistics
from collections.abc import Iterable, Sequence

from headrace.autoscaler.engine.model import Bucket, Memory, Peak

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
TREND_POINTS = (4, 6, 8, 12, 20, 30, 60)
"""Seconds in which growth is looked for: the fewest that tell a line from a step, to the whole minute kept."""
COARSE_SECONDS = 10.0
"""Stretches in which slow growth is looked for: half a look-back, so that they do not smear what the seconds show."""
COARSE_KEPT_SECONDS = 300.0
"""The longest window of a scale-down."""
COARSE_POINTS = (12, 18, 30)
"""Stretches in which it is looked for: two, three and five minutes. The error of a slope falls with the time to the
power of 3/2: a load that swings by a tenth each second and grows by a tenth a minute shows it in two, not in one."""
FALL_POINTS = COARSE_POINTS[1:]
"""Stretches in which a fall is: what falls for two minutes may be a wave that returns."""
LIKELIER = 2.0
"""Squared errors by which a line must explain the seconds better than a step does: it is then e times as likely."""
SWING_SECONDS = 150.0
"""Time constant with which a swing is remembered: as exact as a plain mean over twice that, the longest window of a
scale-down."""
LAG_SIGMAS = 1.0
"""Errors by which the newest of these seconds, a quarter of them and three at most, may stay below the line."""


def push(buckets: tuple[Bucket, ...], bucket: Bucket) -> tuple[Bucket, ...]:
    """The buckets with a new one, those older than a minute dropped."""
    horizon = bucket.end - KEPT_SECONDS
    first = 0
    while first < len(buckets) and buckets[first].end <= horizon:
        first += 1
    return (*buckets[first:], bucket)


def within(buckets: Iterable[Bucket], seconds: float) -> list[Bucket]:
    """The first of these buckets, as many as together are no longer than so many seconds."""
    found, left = [], seconds + 1e-6
    for bucket in buckets:
        left -= bucket.seconds
        if left < 0:
            break
        found.append(bucket)
    return found


def total(buckets: Sequence[Bucket]) -> Bucket:
    """These buckets, at least one, as a single one; whichever way they are ordered."""
    newest = max(buckets, key=lambda bucket: bucket.end)
    return Bucket(
        end=newest.end,
        seconds=sum(bucket.seconds for bucket in buckets),
        arrived=sum(bucket.arrived for bucket in buckets),
        completed=sum(bucket.completed for bucket in buckets),
        executing_seconds=sum(bucket.executing_seconds for bucket in buckets),
        queued_seconds=sum(bucket.queued_seconds for bucket in buckets),
        executing=newest.executing,
    )


def push_coarse(coarse: tuple[Bucket, ...], bucket: Bucket) -> tuple[Bucket, ...]:
    """The same in stretches of COARSE_SECONDS over COARSE_KEPT_SECONDS; the newest may be unfinished."""
    if coarse and not finished(coarse[-1]):
        return (*coarse[:-1], total((coarse[-1], bucket)))
    horizon = bucket.end - COARSE_KEPT_SECONDS
    return (*(old for old in coarse if old.end > horizon), bucket)


def finished(stretch: Bucket) -> bool:
    """Whether a stretch is whole."""
    return stretch.seconds >= COARSE_SECONDS - 1e-6


def dispersion(buckets: Sequence[Bucket]) -> float | None:
    """Variance of arrivals over their mean (1: Poisson), robust against a step and a trend; None where too little is
    known.

    Differences of neighbours cancel a trend; their median ignores the few that a step makes large.
    """
    if len(buckets) < 8:
        return None
    mean = sum(bucket.arrived for bucket in buckets) / len(buckets)
    differences = [
        abs(later.arrived - earlier.arrived)
        for earlier, later in itertools.pairwise(buckets)
        if abs(later.seconds - earlier.seconds) < 0.2 * later.seconds  # a lost scrape makes neighbours unlike
    ]
    if mean <= 0 or len(differences) < 6:
        return None
    spread = statistics.median(differences) / 0.6745  # median of |normal| is 0.6745 sigma
    return spread * spread / 2.0 / mean


def swing(memory: Memory, buckets: Sequence[Bucket]) -> tuple[float, float]:
    """(`swing`, `swing_arrived`) of the memory after the newest of these buckets.

    A rate that swings by r about its mean adds r^2 x arrivals to the dispersion. Each minute's estimate of r^2 weighs
    by the square of its arrivals, as its exactness does.
    """
    found = dispersion(buckets)
    if found is None:
        return memory.swing, memory.swing_arrived
    mean = sum(bucket.arrived for bucket in buckets) / len(buckets)
    keep = math.exp(-buckets[-1].seconds / SWING_SECONDS)
    return keep * memory.swing + (found - 1.0) * mean, keep * memory.swing_arrived + mean * mean


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


def ceiling_rate(buckets: Sequence[Bucket], spread: float) -> float:
    """Lowest arrival rate that some newest stretch of the look-back leaves possible: the score bound of a count (Wilson
    1927), the highest mean that the count is no more than SIGMAS deviations below."""
    square = SIGMAS * SIGMAS * spread
    best, arrived, seconds = math.inf, 0.0, 0.0
    for bucket in reversed(buckets):
        arrived += bucket.arrived
        seconds += bucket.seconds
        if seconds > LOOK_BACK_SECONDS + 1e-6:
            break
        best = min(best, (arrived + square / 2.0 + math.sqrt(square * (arrived + square / 4.0))) / seconds)
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


def mean_wait(buckets: Sequence[Bucket]) -> float:
    """Seconds that a request waited, over those that arrived in the newest PERIOD_SECONDS."""
    newest = within(reversed(buckets), PERIOD_SECONDS)
    arrived = sum(bucket.arrived for bucket in newest)
    return sum(bucket.queued_seconds for bucket in newest) / arrived if arrived > 0 else 0.0


def trend(buckets: Sequence[Bucket], spread: float, coarse: Sequence[Bucket] = ()) -> float:
    """Growth of the arrival rate, per second per second; 0 unless some newest stretch proves it: a line that rises by
    SIGMAS of its error, that explains the stretch better than any step does, and that the newest seconds have not left.
    """
    return max(_steepest(buckets, TREND_POINTS, spread, 1.0), slow_trend(coarse, spread))


def slow_trend(coarse: Sequence[Bucket], spread: float) -> float:
    """The same over two minutes and more alone."""
    return _steepest(coarse, COARSE_POINTS, spread, 1.0)


def fall(coarse: Sequence[Bucket], spread: float) -> float:
    """The same downwards, over three minutes and more: how fast the arrival rate falls; 0 unless proven.
    What fell for seconds may be a wave."""
    return _steepest(coarse, FALL_POINTS, spread, -1.0)


def _steepest(buckets: Sequence[Bucket], counts: Sequence[int], spread: float, sign: float) -> float:
    done = buckets if not buckets or counts is TREND_POINTS or finished(buckets[-1]) else buckets[:-1]
    points = [(bucket.end - bucket.seconds / 2, sign * bucket.arrived, bucket.seconds) for bucket in done]
    return max((_rise(points[-count:], spread) for count in counts if count <= len(points)), default=0.0)


def _rise(points: Sequence[tuple[float, float, float]], spread: float) -> float:
    """Slope of the least-squares line less its error if it is proven, else 0. Counts may be negative: a fall."""
    count, arrived = len(points), abs(sum(point[1] for point in points))
    if arrived < ENOUGH_ARRIVALS:
        return 0.0
    rates = [number / seconds for _, number, seconds in points]
    middle, mean = sum(point[0] for point in points) / count, sum(rates) / count
    away = [point[0] - middle for point in points]
    span = sum(x * x for x in away)
    slope = sum(x * rate for x, rate in zip(away, rates, strict=True)) / span
    variance = spread * sum(abs(number) / seconds**2 for _, number, seconds in points) / count
    error = math.sqrt(variance / span)
    if slope <= SIGMAS * error:
        return 0.0
    rest = [rate - mean - slope * x for x, rate in zip(away, rates, strict=True)]
    if _step_rest(rates) - sum(value * value for value in rest) <= LIKELIER * variance:
        return 0.0
    newest = rest[-min(3, max(1, count // 4)) :]
    if sum(newest) / len(newest) < -LAG_SIGMAS * math.sqrt(variance / len(newest)):
        return 0.0
    return slope - error


def unexplained(rates: Sequence[float]) -> float:
    """Squares left by the better of the best line and the best step."""
    middle, mean = (len(rates) - 1) / 2.0, sum(rates) / len(rates)
    away = [place - middle for place in range(len(rates))]
    slope = sum(x * rate for x, rate in zip(away, rates, strict=True)) / sum(x * x for x in away)
    line = sum((rate - mean - slope * x) ** 2 for x, rate in zip(away, rates, strict=True))
    return min(line, _step_rest(rates))


def _step_rest(rates: Sequence[float]) -> float:
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
