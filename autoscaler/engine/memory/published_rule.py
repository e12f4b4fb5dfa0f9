"""The published rule as it reads: mean requests at once of 20 s over seven tenths of the slots, the most of 5 min.

It runs beside the engine from the first second, so that its count is at hand where it decides: under noise, under a
steady load, and as a lower bound where jumps found too few pods.
"""

import math
from dataclasses import dataclass

from headrace.autoscaler.engine.statistics import sliding_maximum
from headrace.autoscaler.engine.statistics.buckets import Bucket, Buckets, total, within
from headrace.autoscaler.engine.statistics.sliding_maximum import Peak, Peaks
from headrace.autoscaler.engine.windows import HORIZONTAL_PERIOD_SECONDS, LOOK_BACK_SECONDS, SCALE_DOWN_SECONDS_MAX

SHARE = 0.7
"""Soft target over the slots of a pod, in the published rule."""
QUEUED_MOST = 5.0
"""Times the load of a minute that may wait besides: more is no noise, and bought 20 to 800 times the pods of a step."""


@dataclass(frozen=True, kw_only=True, slots=True)
class PublishedRule:
    peaks: Peaks = ()
    """Requests at once, the highest of its window and what came after each."""
    pods: int | None = None
    """Pods that it would have, whoever decides; None: it has not looked yet."""
    looked_at: float | None = None

    def is_due(self, begun_at: float | None, now: float) -> bool:
        """Whether a whole multiple of its period has passed since it looked, or since the history began."""
        before = self.looked_at if self.looked_at is not None else begun_at
        return before is None or now // HORIZONTAL_PERIOD_SECONDS > before // HORIZONTAL_PERIOD_SECONDS

    def after(
        self,
        buckets: Buckets,
        service_seconds: float,
        now: float,
        *,
        begun_at: float | None,
        comparable_since: float,
        queued: bool,
        current: int,
        slots: float,
    ) -> "PublishedRule":
        """The rule after its look, if one is due: it begins with the `current` pods, and takes none away before its
        window is full. `queued`: whether requests that wait count."""
        before = self.pods if self.pods is not None else current
        if not self.is_due(begun_at, now):
            return PublishedRule(peaks=self.peaks, pods=before, looked_at=self.looked_at)
        peak = Peak(at=buckets[-1].end, slots=requests_at_once(buckets, service_seconds, queued=queued))
        peaks = sliding_maximum.push(self.peaks, peak, keep_seconds=SCALE_DOWN_SECONDS_MAX)
        most = sliding_maximum.highest(peaks, now - SCALE_DOWN_SECONDS_MAX)
        pods = max(1, math.ceil(min(most / (SHARE * slots), 1e9) - 1e-9))
        if now - comparable_since < SCALE_DOWN_SECONDS_MAX - HORIZONTAL_PERIOD_SECONDS:
            pods = max(pods, before)
        return PublishedRule(peaks=peaks, pods=pods, looked_at=now)


def requests_at_once(buckets: Buckets, service_seconds: float, *, queued: bool) -> float:
    """Mean of the requests at once over the look-back: those that execute and, where `queued`, those that wait, up to
    QUEUED_MOST times the load of the minute kept."""
    newest = within(reversed(buckets), LOOK_BACK_SECONDS)
    if not newest:
        return 0.0
    together = total(newest)
    if not queued:
        return together.arrived * service_seconds / together.seconds
    return _at_once(together, total(buckets).rate * service_seconds)


def crowd(buckets: Buckets, service_seconds: float) -> float:
    """Most requests at once in a look-back of the minute kept, those that wait included: at most QUEUED_MOST times the
    load of these seconds."""
    most = 0.0
    for first in range(len(buckets)):
        part = within(buckets[first:], LOOK_BACK_SECONDS)
        if part and (together := total(part)).seconds > LOOK_BACK_SECONDS - HORIZONTAL_PERIOD_SECONDS:
            most = max(most, _at_once(together, together.rate * service_seconds))
    return most


def _at_once(together: Bucket, load: float) -> float:
    """Mean of the requests that execute in these seconds and of those that wait, up to QUEUED_MOST times the load."""
    waiting = min(together.queued_seconds / together.seconds, QUEUED_MOST * load)
    return together.executing_seconds / together.seconds + waiting
