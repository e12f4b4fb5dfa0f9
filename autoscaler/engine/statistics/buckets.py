"""Buckets: the load between two readings of the counters, kept second by second and in stretches of ten seconds."""

import itertools
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from headrace.autoscaler.engine.windows import KEPT_SECONDS, STRETCH_SECONDS, STRETCHES_KEPT_SECONDS


@dataclass(frozen=True, kw_only=True, slots=True)
class Bucket:
    end: float
    seconds: float
    arrived: float
    completed: float
    executing_seconds: float
    queued_seconds: float
    executing: float
    """Requests executing at `end`."""

    @property
    def rate(self) -> float:
        """Arrivals a second."""
        return self.arrived / self.seconds


Buckets = tuple[Bucket, ...]
"""Oldest first."""


def push(buckets: Buckets, bucket: Bucket) -> Buckets:
    """The buckets with a new one, without those older than KEPT_SECONDS."""
    horizon = bucket.end - KEPT_SECONDS
    return (*itertools.dropwhile(lambda old: old.end <= horizon, buckets), bucket)


def push_stretch(stretches: Buckets, bucket: Bucket) -> Buckets:
    """The stretches of STRETCH_SECONDS with a new bucket in the newest, which may be unfinished; without those older
    than STRETCHES_KEPT_SECONDS."""
    if stretches and not _finished(stretches[-1]):
        return (*stretches[:-1], total((stretches[-1], bucket)))
    horizon = bucket.end - STRETCHES_KEPT_SECONDS
    return (*(old for old in stretches if old.end > horizon), bucket)


def finished(stretches: Buckets) -> Buckets:
    """The stretches without an unfinished newest one."""
    return stretches if not stretches or _finished(stretches[-1]) else stretches[:-1]


def _finished(stretch: Bucket) -> bool:
    return stretch.seconds >= STRETCH_SECONDS - 1e-6


def within(buckets: Iterable[Bucket], seconds: float) -> list[Bucket]:
    """The first of these buckets that together are no longer than so many seconds."""
    found, left = [], seconds + 1e-6
    for bucket in buckets:
        left -= bucket.seconds
        if left < 0:
            break
        found.append(bucket)
    return found


def newest(buckets: Buckets, seconds: float) -> Bucket | None:
    """The newest so many seconds, or little more, as one bucket; None while fewer are known."""
    known = 0.0
    for count, bucket in enumerate(reversed(buckets), start=1):
        known += bucket.seconds
        if known >= seconds - 1e-6:
            return total(buckets[-count:])
    return None


def total(buckets: Sequence[Bucket]) -> Bucket:
    """These buckets, one or more in any order, as one."""
    last = max(buckets, key=lambda bucket: bucket.end)
    return Bucket(
        end=last.end,
        seconds=sum(bucket.seconds for bucket in buckets),
        arrived=sum(bucket.arrived for bucket in buckets),
        completed=sum(bucket.completed for bucket in buckets),
        executing_seconds=sum(bucket.executing_seconds for bucket in buckets),
        queued_seconds=sum(bucket.queued_seconds for bucket in buckets),
        executing=last.executing,
    )
