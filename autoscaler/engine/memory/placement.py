"""Placement: pods that no node has room for are ordered once, not again at each look.

As many as fit are ordered, and one more, which says that room is wanted (a cluster's own autoscaler makes a node for
it). When it is placed there may be more: the next order is twice as large (slow start, Jacobson 1988).
"""

from dataclasses import dataclass, replace

from headrace.autoscaler.engine.observation import PodCounts
from headrace.autoscaler.engine.reasons import CAPACITY_SHORT, Reason

FORGOTTEN_SECONDS = 300.0
"""How long a full cluster is remembered after the last pod that found no room: the longest window of a scale-down."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Placement:
    fits: int | None = None
    """Pods for which nodes had room when some found none; None: no pod lacked room for a while."""
    seen_at: float = 0.0
    """When that was last seen."""
    spare: int = 1
    """Pods ordered beyond those: doubled each time that all were placed."""

    def after(self, pods: PodCounts, now: float) -> "Placement":
        """The same with what the pods show now."""
        placed = pods.ready + pods.starting + pods.failing
        if pods.unschedulable > 0:
            grown = self.fits is not None and placed > self.fits
            return Placement(fits=placed, seen_at=now, spare=max(1, self.spare) if grown else 1)
        if self.fits is not None and now - self.seen_at >= FORGOTTEN_SECONDS:
            return replace(self, fits=None, spare=1)
        if self.fits is not None and placed >= self.fits + self.spare:
            return replace(self, fits=placed, spare=2 * self.spare)
        return self

    def limited(self, wanted: int) -> tuple[int, Reason | None]:
        """(pods to order of those wanted, the reason where that is fewer)."""
        if self.fits is None or wanted <= self.fits + self.spare:
            return wanted, None
        message = f"{wanted} wanted, nodes have room for {self.fits}: {self.spare} more ordered until it is placed"
        return self.fits + self.spare, Reason(CAPACITY_SHORT, message)
