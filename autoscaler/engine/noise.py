"""Noise: a load whose minutes are alike, whatever its seconds do. There is nothing in it to follow.

Each peak of noise looks like a step to whoever asks the newest seconds, and each lull like a fall; pods ordered for the
one come when it is over, and are missed after the other. Such a load is served by the published rule as it stands: the
mean of 20 s over seven tenths of a pod's slots, and the most of five minutes. Its long memory is what noise needs. The
rule runs beside the engine from the first second, so that its count is at hand when it is to decide.
"""

import itertools
import math
import statistics
from collections.abc import Sequence
from dataclasses import replace

from headrace.autoscaler.engine import windows
from headrace.autoscaler.engine.holding import SECONDS_MAX
from headrace.autoscaler.engine.model import Bucket, Memory, Peak

SHARE = 0.7
"""Soft target over the slots of a pod, in the published rule."""
POISSON_DOUBT = 2.0
"""Times a Poisson stream's variance that is taken off: of thirty stretches it is known to that, at two sigmas."""
HEIGHT = 0.15
"""Least deviation of the seconds from their minute, over its mean, that counts as noise: the engine's own headroom for
large fleets is that much (staffing.COARSEST)."""
KEEP_SECONDS = 150.0
"""Time constant with which a height is remembered, as a swing is."""
ENOUGH_SECONDS = 15
ENOUGH_BUCKETS = 8
ENOUGH_ARRIVALS = 20.0
"""Of a load, and in each of its buckets, before its height means anything: small counts have coarse medians."""
LEAST_HEIGHT = 0.1
"""The same once a load counts as noise."""
ALIKE = 0.02
"""Minutes differ by no more than this share of their mean, or"""
ALIKE_DEVIATIONS = 3.0
"""by so many deviations of their stretches, as neighbours show them (von Neumann's ratio, in minutes). Noise that lasts
a quarter of a minute reached 2.8; a step in the middle of two minutes has 4.7, a line 8."""
STRETCHES = 12
"""Stretches of ten seconds before minutes can be compared: two minutes."""
MINUTE_STRETCHES = 6
QUEUED_MOST = 5.0
"""Times the load of a minute that may wait besides: more is no noise, and bought 20 to 800 times the pods of a step."""
SHAPELESS = 0.5
"""Share of the squares of the seconds about their mean that a line or a step must leave, for them to be noise."""


def height(buckets: Sequence[Bucket]) -> float | None:
    """Relative deviation of the rate about its middle, less a Poisson stream's noise; None where too little is known.

    From the median distance to the median (0.6745 deviations of a normal law): a step, or a peak of a few seconds, is
    no noise and does not move it before it has lasted for half of the time.
    """
    seconds, arrived = sum(bucket.seconds for bucket in buckets), sum(bucket.arrived for bucket in buckets)
    if seconds < ENOUGH_SECONDS or len(buckets) < ENOUGH_BUCKETS or arrived < ENOUGH_ARRIVALS * len(buckets):
        return None
    rates = [bucket.arrived / bucket.seconds for bucket in buckets]
    middle = statistics.median(rates)
    if middle <= 0:
        return _deviation(buckets)
    count = statistics.median(bucket.arrived for bucket in buckets)
    if count < ENOUGH_ARRIVALS:
        return None
    spread = statistics.median(abs(rate - middle) for rate in rates) / 0.6745
    return math.sqrt(max(0.0, (spread / middle) ** 2 - POISSON_DOUBT / count))


def _deviation(buckets: Sequence[Bucket]) -> float:
    """Standard deviation of the rates over their mean, peaks and steps included."""
    rates = [bucket.arrived / bucket.seconds for bucket in buckets]
    mean = sum(rates) / len(rates)
    return math.sqrt(sum((rate - mean) ** 2 for rate in rates) / len(rates)) / mean if mean > 0 else 0.0


def learned(memory: Memory) -> Memory:
    """The memory after one more look: whether minutes are alike, how high the noise is, in the seconds of minutes or in
    stretches of ten of them, and whether it rules."""
    done = memory.coarse if not memory.coarse or windows.finished(memory.coarse[-1]) else memory.coarse[:-1]
    known = len(done) >= STRETCHES
    restless = _restless(done) if known else 0.0
    alike = known and _differ(done) <= max(ALIKE, ALIKE_DEVIATIONS * restless)
    memory = replace(memory, moves=known and not alike)
    found, slow = height(memory.buckets), height(memory.coarse)
    if found is None:
        return replace(memory, noisy=0.0, steady=0.0) if memory.moves else memory
    shapeless, mean = _shapeless(memory.buckets), memory.noise
    if mean is None:
        mean = found if shapeless else 0.0
    elif shapeless:
        keep = math.exp(-windows.PERIOD_SECONDS / KEEP_SECONDS)
        mean = keep * mean + (1.0 - keep) * found
    highest = max(mean, 0.0 if slow is None else slow)
    high = highest >= (LEAST_HEIGHT if memory.noisy > 0 else HEIGHT)
    noisy = high and (alike if known else shapeless)
    memory = replace(memory, noise=mean, height=highest, noisy=highest if noisy else 0.0)
    if not known and not noisy:
        return memory  # what was steady before a gap counts until minutes are known again
    steady = alike and not noisy and restless < HEIGHT
    rates = [part.arrived / part.seconds for part in done] if steady else [0.0]
    return replace(
        memory,
        steady=sum(rates) / len(rates),
        crest=max(rates),
    )


def _restless(done: Sequence[Bucket]) -> float:
    """Relative deviation of the stretches by how neighbours differ (von Neumann 1941): a line adds next to nothing."""
    rates = [part.arrived / part.seconds for part in done]
    squares = sum((later - earlier) ** 2 for earlier, later in itertools.pairwise(rates))
    mean = sum(rates) / len(rates)
    return math.sqrt(squares / (2.0 * (len(rates) - 1))) / mean if mean > 0 else 0.0


def _differ(done: Sequence[Bucket]) -> float:
    """By how much the means of all minutes that are kept differ at most, over their mean."""
    minutes = [done[start : start + MINUTE_STRETCHES] for start in range(len(done) - MINUTE_STRETCHES + 1)]
    rates = [sum(part.arrived for part in minute) / sum(part.seconds for part in minute) for minute in minutes]
    mean = sum(rates) / len(rates)
    return (max(rates) - min(rates)) / mean if mean > 0 else 0.0


def _shapeless(buckets: Sequence[Bucket]) -> bool:
    """Whether neither a line nor a step explains how the seconds differ, while there are no minutes to compare."""
    rates = [bucket.arrived / bucket.seconds for bucket in buckets]
    mean = sum(rates) / len(rates)
    return windows.unexplained(rates) > SHAPELESS * sum((rate - mean) ** 2 for rate in rates)


def published(buckets: Sequence[Bucket], service_seconds: float, *, queued: bool) -> float:
    """Mean of the requests at once over the look-back, by the published rule: those that execute and, where `queued`,
    those that wait, up to QUEUED_MOST times the load of the minute kept."""
    newest = windows.within(reversed(buckets), windows.LOOK_BACK_SECONDS)
    if not newest:
        return 0.0
    if not queued:
        together = windows.total(newest)
        return together.arrived * service_seconds / together.seconds
    kept = windows.total(buckets)
    return _at_once(newest, kept.arrived / kept.seconds * service_seconds)


def crowd(buckets: Sequence[Bucket], service_seconds: float) -> float:
    """Most requests at once in a look-back of the minute kept, those that wait included: at most QUEUED_MOST times the
    load of these seconds."""
    most = 0.0
    for first in range(len(buckets)):
        part = windows.within(buckets[first:], windows.LOOK_BACK_SECONDS)
        seconds = sum(bucket.seconds for bucket in part)
        if seconds > windows.LOOK_BACK_SECONDS - windows.PERIOD_SECONDS:
            load = sum(bucket.arrived for bucket in part) / seconds * service_seconds
            most = max(most, _at_once(part, load))
    return most


def _at_once(buckets: Sequence[Bucket], load: float) -> float:
    """Mean of the requests that execute in these seconds and of those that wait, up to QUEUED_MOST times the load."""
    together = windows.total(buckets)
    waiting = min(together.queued_seconds / together.seconds, QUEUED_MOST * load)
    return together.executing_seconds / together.seconds + waiting


def rule_looks(memory: Memory, now: float) -> bool:
    """Whether a whole multiple of its period has passed since the published rule looked."""
    before = memory.ruled_at if memory.ruled_at is not None else memory.history_start
    return before is None or now // windows.PERIOD_SECONDS > before // windows.PERIOD_SECONDS


def ruled(memory: Memory, service_seconds: float, now: float, *, queued: bool, current: int, slots: float) -> Memory:
    """The memory with the pods that the published rule would have by now: it looks at whole multiples of its period,
    begins with the pods it finds, and takes none away before its window is full. `queued`: whether who waits counts."""
    if memory.ruled is None:
        memory = replace(memory, ruled=current)
    if not rule_looks(memory, now):
        return memory
    asked = published(memory.buckets, service_seconds, queued=queued)
    peak = Peak(at=memory.buckets[-1].end, slots=asked)
    peaks = windows.push_peak(memory.published, peak, keep_seconds=SECONDS_MAX)
    most = windows.highest(peaks, now - SECONDS_MAX)
    pods = max(1, math.ceil(min(most / (SHARE * slots), 1e9) - 1e-9))
    before = memory.ruled or 0
    begun = max(memory.history_start if memory.history_start is not None else now, memory.changed_at)
    if now - begun < SECONDS_MAX - windows.PERIOD_SECONDS:
        pods = max(pods, before)
    return replace(memory, published=peaks, ruled=pods, ruled_at=now)
