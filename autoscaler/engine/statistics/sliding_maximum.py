"""Sliding maximum over time, kept as descending maxima: all that it needs and no more."""

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True, slots=True)
class Peak:
    at: float
    slots: float


Peaks = tuple[Peak, ...]
"""Oldest and highest first."""


def push(peaks: Peaks, peak: Peak, *, keep_seconds: float) -> Peaks:
    """The peaks with a new one, without those that are as old as `keep_seconds` or no higher."""
    kept = [old for old in peaks if old.at > peak.at - keep_seconds and old.slots > peak.slots]
    return (*kept, peak)


def highest(peaks: Sequence[Peak], since: float) -> float:
    """Most slots needed after `since`; 0 when nothing was noted."""
    return next((peak.slots for peak in peaks if peak.at > since), 0.0)


def scaled(peaks: Peaks, factor: float) -> Peaks:
    """The same needs in slots of another size."""
    return tuple(Peak(at=peak.at, slots=peak.slots * factor) for peak in peaks)
