"""Load pattern: whether a load is noise about a steady mean, or steady to its seconds, with nothing to follow.

Each peak of noise looks like a step to whoever asks the newest seconds, and each lull like a fall; pods ordered for the
one come when it is over, and are missed after the other. Such a load is served by the published rule as it stands: the
mean of 20 s over seven tenths of a pod's slots, and the most of five minutes. Its long memory is what noise needs.
"""

import math
from dataclasses import dataclass, replace

from headrace.autoscaler.engine.statistics import noise as noise_of
from headrace.autoscaler.engine.statistics.buckets import Buckets, finished
from headrace.autoscaler.engine.windows import HORIZONTAL_PERIOD_SECONDS, VARIABILITY_SECONDS

HEIGHT = 0.15
"""Least deviation of the seconds from their minute, over its mean, that counts as noise: the engine's own headroom for
large fleets is that much (staffing.COARSEST)."""
LEAST_HEIGHT = 0.1
"""The same once a load counts as noise."""
ALIKE = 0.02
"""Minutes differ by no more than this share of their mean, or"""
ALIKE_DEVIATIONS = 3.0
"""by so many deviations of their stretches, as neighbours show them (von Neumann's ratio, in minutes). Noise that lasts
a quarter of a minute reached 2.8; a step in the middle of two minutes has 4.7, a line 8."""
STRETCHES = 12
"""Stretches of ten seconds before minutes can be compared: two minutes."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Noise:
    """How a load differs from second to second and from minute to minute."""

    mean_height: float | None = None
    """Relative deviation of the rate within a minute, beyond a Poisson stream's: a mean of minutes; None: unknown."""
    height: float = 0.0
    """Relative deviation of a load that is noise about a steady mean; 0: the load is not."""
    moves: bool = False
    """Whether minutes were seen not to be alike."""


@dataclass(frozen=True, kw_only=True, slots=True)
class SteadyLoad:
    """A load whose minutes are alike. It counts after a gap too, until minutes are known again."""

    rate: float = 0.0
    """Arrivals a second; 0: minutes are not alike, or too few are known."""
    crest: float = 0.0
    """Arrivals a second in the highest of its stretches."""
    deviation: float = 0.0
    """Relative deviation of seconds or of stretches, the larger."""


def classified(noise: Noise, steady: SteadyLoad, buckets: Buckets, stretches: Buckets) -> tuple[Noise, SteadyLoad]:
    """Both after one more look: whether minutes are alike, how high the noise is in the seconds of minutes or in
    stretches of ten of them, and whether the load is noise, steady, or neither."""
    done = finished(stretches)
    known = len(done) >= STRETCHES
    restless = noise_of.neighbour_deviation(done) if known else 0.0
    alike = known and noise_of.difference_of_minutes(done) <= max(ALIKE, ALIKE_DEVIATIONS * restless)
    noise = replace(noise, moves=known and not alike)
    found, slow = noise_of.height(buckets), noise_of.height(stretches)
    if found is None:
        return (replace(noise, height=0.0), replace(steady, rate=0.0)) if noise.moves else (noise, steady)
    shapeless, mean = noise_of.is_shapeless(buckets), noise.mean_height
    if mean is None:
        mean = found if shapeless else 0.0
    elif shapeless:
        keep = math.exp(-HORIZONTAL_PERIOD_SECONDS / VARIABILITY_SECONDS)
        mean = keep * mean + (1.0 - keep) * found
    highest = max(mean, 0.0 if slow is None else slow)
    high = highest >= (LEAST_HEIGHT if noise.height > 0 else HEIGHT)
    is_noise = high and (alike if known else shapeless)
    noise = replace(noise, mean_height=mean, height=highest if is_noise else 0.0)
    if not known and not is_noise:
        return noise, replace(steady, deviation=highest)
    is_steady = alike and not is_noise and restless < HEIGHT
    rates = [stretch.rate for stretch in done] if is_steady else [0.0]
    return noise, SteadyLoad(rate=sum(rates) / len(rates), crest=max(rates), deviation=highest)
