"""Noise: a load whose minutes are alike and whose seconds are not. There is nothing in it to follow.

Each peak of noise looks like a step to whoever asks the newest seconds, and each lull like a fall; pods ordered for the
one come when it is over, and are missed after the other. Such a load is served by the published rule as it stands: the
mean of 20 s over seven tenths of a pod's slots, and the most of five minutes. Its long memory is what noise needs.
"""

import math
import statistics
from collections.abc import Sequence
from dataclasses import replace

from headrace.autoscaler.engine import windows
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
ENOUGH_SECONDS = 30
ENOUGH_BUCKETS = 8
ENOUGH_ARRIVALS = 20.0
"""Of a load, and in each of its buckets, before its height means anything: small counts have coarse medians."""
LEAST_HEIGHT = 0.1
"""The same once a load counts as noise."""
ALIKE = 0.1
"""Minutes differ by no more than this share of their mean, or"""
ALIKE_HEIGHTS = 1.5
"""by so many times the noise's height. A line of any slope differs by twice what it deviates, a step by more; minutes
of white noise by a third, of noise that lasts a quarter of a minute by one and a half."""
STILL_ALIKE_HEIGHTS = 1.9
"""The same once a load counts as noise: still less than a step."""
STRETCHES = 15
"""Stretches of ten seconds before minutes can be compared: in less than two and a half minutes, minutes of a line
differ by less than noise may make them."""
MINUTE_STRETCHES = 6


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
        return None
    spread = statistics.median(abs(rate - middle) for rate in rates) / 0.6745
    return math.sqrt(max(0.0, (spread / middle) ** 2 - POISSON_DOUBT * len(buckets) / arrived))


def learned(memory: Memory) -> Memory:
    """The memory after one more look: how high the noise is, in the seconds of minutes or in stretches of ten of them,
    and whether it rules."""
    found, slow = height(memory.buckets), height(memory.coarse)
    if found is None:
        return memory
    keep = math.exp(-windows.PERIOD_SECONDS / KEEP_SECONDS)
    mean = found if memory.noise is None else keep * memory.noise + (1.0 - keep) * found
    highest = max(mean, 0.0 if slow is None else slow)
    least, heights = (LEAST_HEIGHT, STILL_ALIKE_HEIGHTS) if memory.noisy > 0 else (HEIGHT, ALIKE_HEIGHTS)
    rules = highest >= least and _alike(memory.coarse, max(ALIKE, heights * highest))
    return replace(memory, noise=mean, noisy=highest if rules else 0.0)


def _alike(coarse: Sequence[Bucket], tolerance: float) -> bool:
    """Whether the means of all minutes that are kept differ by no more than the tolerance."""
    done = coarse if not coarse or windows.finished(coarse[-1]) else coarse[:-1]
    if len(done) < STRETCHES:
        return False
    minutes = [done[start : start + MINUTE_STRETCHES] for start in range(len(done) - MINUTE_STRETCHES + 1)]
    rates = [sum(part.arrived for part in minute) / sum(part.seconds for part in minute) for minute in minutes]
    return max(rates) - min(rates) <= tolerance * sum(rates) / len(rates)


def published(memory: Memory, service_seconds: float, *, queued: bool) -> Peak:
    """Mean of the requests at once over the look-back: what the load fills, and where `queued`
    what waits, up to as much again: the rule as it stands buys 20 to 800 times the pods of a step for its queue."""
    seconds = arrived = waited = executing = 0.0
    for bucket in reversed(memory.buckets):
        if seconds + bucket.seconds > windows.LOOK_BACK_SECONDS + 1e-6:
            break
        seconds += bucket.seconds
        arrived += bucket.arrived
        waited += bucket.queued_seconds
        executing += bucket.executing_seconds
    slots = executing + min(waited, executing) if queued else arrived * service_seconds
    return Peak(at=memory.buckets[-1].end, slots=slots / seconds if seconds > 0 else 0.0)
