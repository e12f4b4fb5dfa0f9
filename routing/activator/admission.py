"""Admission: whether a request may wait for a pod, or is refused at once, and when it should come again. Pure."""

import math
from dataclasses import dataclass
from typing import Final

from headrace.routing.activator.version_queue import VersionQueue

MEBIBYTE: Final = 1024 * 1024


@dataclass(frozen=True, kw_only=True)
class Bounds:
    """The most that waits. It is what the proxies must keep, so it follows from their memory (768 MiB each)."""

    version_requests: int = 5_000
    """Of one version: half of all, so that a storm on one leaves room for the others."""
    version_bytes: int = 64 * MEBIBYTE
    requests: int = 10_000
    """Of all versions."""
    bytes: int = 128 * MEBIBYTE


@dataclass(frozen=True, kw_only=True)
class VersionView:
    """What is known of a version."""

    name: str
    """`<endpoint>/<version>`."""
    start_seconds: float
    """From its first request without a pod to its first ready pod: as measured, else as expected."""
    failure: str = ""
    """Why its pods cannot start; empty where nothing is known to keep them."""
    is_new: bool = False
    """Whether none of its pods has been ready yet: nobody knows that one ever will be."""


@dataclass(frozen=True, kw_only=True)
class Refusal:
    """Why a request does not wait, or waits no longer."""

    message: str
    retry_seconds: int
    """When to come again (Retry-After)."""
    reason: str
    """One word, for metrics."""


@dataclass(kw_only=True)
class Held:
    """All that waits, over all versions."""

    requests: int = 0
    bytes: int = 0


def refusal(
    view: VersionView, queue: VersionQueue, held: Held, bounds: Bounds, *, now: float, deadline: float, size: int
) -> Refusal | None:
    """Why a request of that deadline and size may not wait; None when it may."""
    seconds = remaining(view, queue, now)

    def refused(reason: str, why: str) -> Refusal:
        return Refusal(message=f"{why} Try again in {_counted(seconds)}.", retry_seconds=seconds, reason=reason)

    if view.is_new and not queue.has_pods:
        return refused("new", f"Version {view.name} has no ready pod, and none of its pods has been ready yet.")
    if view.failure and not queue.has_pods:
        return refused("failing", f"Version {view.name} has no ready pod, and its pods cannot start: {view.failure}.")
    for reason, waiting, most, whose in (
        ("full", len(queue) + 1, bounds.version_requests, f"version {view.name}"),
        ("full", held.requests + 1, bounds.requests, "all versions"),
    ):
        if waiting > most:
            return refused(reason, f"{most:,} requests of {whose} wait for a first pod already, which is the most.")
    for kept, most, whose in (
        (queue.size, bounds.version_bytes, f"version {view.name}"),
        (held.bytes, bounds.bytes, "all versions"),
    ):
        if kept + size > most:
            limit = f"{most // MEBIBYTE} MiB"
            return refused("bytes", f"Requests of {whose} that wait for a first pod hold {limit} already.")
    if not queue.has_pods and now + seconds > deadline:
        left = max(0.0, deadline - now)
        return refused(
            "deadline",
            f"Version {view.name} is asleep, and its first answer is expected in {_counted(seconds)}: later than the "
            f"{left:.1f} s that the caller waits.",
        )
    return None


def too_late(view: VersionView, queue: VersionQueue, *, now: float, waited: float) -> Refusal:
    """What is said to a request whose time is over before a pod had room for it."""
    seconds = remaining(view, queue, now)
    message = f"No pod of version {view.name} had room within {waited:.1f} s; no model has seen the request."
    return Refusal(message=f"{message} Try again in {_counted(seconds)}.", retry_seconds=seconds, reason="late")


def remaining(view: VersionView, queue: VersionQueue, now: float) -> int:
    """Whole seconds until a pod is expected to be ready, 1 or more: the measured start less what has passed of it."""
    if queue.has_pods:
        return 1
    passed = 0.0 if queue.first_at is None else now - queue.first_at
    return max(1, math.ceil(view.start_seconds - passed))


def _counted(seconds: int) -> str:
    return "1 second" if seconds == 1 else f"{seconds} seconds"
