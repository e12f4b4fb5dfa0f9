"""Room: pods that no node has room for are ordered once, not again at each look.

As many as fit are ordered, and one more, which says that room is wanted (a cluster's own autoscaler makes a node for
it). When it is placed there may be more: the next order is twice as large (slow start, Jacobson 1988).
"""

from dataclasses import replace

from headrace.autoscaler.engine import model
from headrace.autoscaler.engine.model import Memory, PodCounts, Reason

FORGOTTEN_SECONDS = 300.0
"""How long a full cluster is remembered after the last pod that found no room: the longest window of a scale-down."""


def limited(memory: Memory, pods: PodCounts, wanted: int, now: float) -> tuple[int, Memory, Reason | None]:
    """(pods to order of those wanted, the memory, the reason where that is fewer)."""
    placed = pods.ready + pods.starting + pods.failing
    if pods.unschedulable > 0:
        grown = memory.fits is not None and placed > memory.fits
        spare = max(1, memory.spare) if grown else 1
        memory = replace(memory, fits=placed, fits_at=now, spare=spare)
    elif memory.fits is not None and now - memory.fits_at >= FORGOTTEN_SECONDS:
        memory = replace(memory, fits=None, spare=1)
    elif memory.fits is not None and placed >= memory.fits + memory.spare:
        memory = replace(memory, fits=placed, spare=2 * memory.spare)
    if memory.fits is None or wanted <= memory.fits + memory.spare:
        return wanted, memory, None
    allowed = memory.fits + memory.spare
    reason = Reason(
        code=model.CAPACITY_SHORT,
        message=f"{wanted} wanted, nodes have room for {memory.fits}: {memory.spare} more ordered until it is placed",
    )
    return allowed, memory, reason
