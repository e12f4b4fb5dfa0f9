"""Noise: a load whose minutes are alike and whose seconds are not. There is nothing in it to follow.

Each peak of noise looks like a step to whoever asks the newest seconds, and each lull like a fall; pods ordered for the
one come when it is over, and are missed after the other. Such a load is served by the published rule as it stands: the
mean of 20 s over seven tenths of a pod's slots, and the most of five minutes. Its long memory is what noise needs.
"""

import math
from collections.abc import Sequence

from headrace.autoscaler.engine import windows
from headrace.autoscaler.engine.model import Bucket, Memory, Peak

SHARE = 0.7
"""Soft target over the slots of a pod, in the published rule."""
HEIGHT = 0.15
"""Least deviation of the seconds from their minute, over its mean, that counts as noise: the engine's own headroom for
large fleets is that much (staffing.COARSEST)."""
KEEP_SECONDS = 150.0
"""Time constant with which a height is remembered, as a swing is."""
ENOUGH_SECONDS = 30
"""Of a minute, before its height means anything."""
ALIKE = 0.1
"""Minutes differ by no more than this share of their mean, or"""
ALIKE_HEIGHTS = 0.5
"""by this share of the noise's height: minutes of white noise differ by a third of it."""
STRETCHES = 12
"""Stretches of ten seconds before minutes can be compared: two minutes."""
MINUTE_STRETCHES = 6


def height_square(buckets: Sequence[Bucket]) -> float | None:
    """Relative variance of the rate about its mean in the last minute, a Poisson stream's noise taken off; None where
    too little is known."""
    if len(buckets) < ENOUGH_SECONDS:
        return None
    seconds = sum(bucket.seconds for bucket in buckets)
    mean = sum(bucket.arrived for bucket in buckets) / seconds
    if mean <= 0:
        return None
    squares = sum((bucket.arrived / bucket.seconds - mean) ** 2 * bucket.seconds for bucket in buckets) / seconds
    return max(0.0, squares / mean**2 - 1.0 / mean)


def learned(memory: Memory) -> float:
    """`noise` of the memory after one more look."""
    found = height_square(memory.buckets)
    if found is None:
        return memory.noise
    keep = math.exp(-windows.PERIOD_SECONDS / KEEP_SECONDS)
    return found if memory.noise == 0 else keep * memory.noise + (1.0 - keep) * found


def rules(memory: Memory) -> bool:
    """Whether the load is noise about a steady mean."""
    height = math.sqrt(memory.noise)
    return height >= HEIGHT and _alike(memory.coarse, max(ALIKE, ALIKE_HEIGHTS * height))


def _alike(coarse: Sequence[Bucket], tolerance: float) -> bool:
    """Whether the means of all minutes that are kept differ by no more than the tolerance."""
    done = coarse if not coarse or windows.finished(coarse[-1]) else coarse[:-1]
    if len(done) < STRETCHES:
        return False
    minutes = [done[start : start + MINUTE_STRETCHES] for start in range(len(done) - MINUTE_STRETCHES + 1)]
    rates = [sum(part.arrived for part in minute) / sum(part.seconds for part in minute) for minute in minutes]
    return max(rates) - min(rates) <= tolerance * sum(rates) / len(rates)


def published(memory: Memory, service_seconds: float, *, queued: bool) -> Peak:
    """Mean of the requests at once over the look-back: what the load fills, and what waits where that is `queued`."""
    seconds = arrived = waited = executing = 0.0
    for bucket in reversed(memory.buckets):
        if seconds + bucket.seconds > windows.LOOK_BACK_SECONDS + 1e-6:
            break
        seconds += bucket.seconds
        arrived += bucket.arrived
        waited += bucket.queued_seconds
        executing += bucket.executing_seconds
    slots = executing + waited if queued else arrived * service_seconds
    return Peak(at=memory.buckets[-1].end, slots=slots / seconds if seconds > 0 else 0.0)
