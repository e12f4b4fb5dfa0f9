"""Stabilization window: how long a need is remembered before its pods go, and what pods that were missed teach."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from headrace.autoscaler.engine import windows
from headrace.autoscaler.engine.statistics import staffing
from headrace.autoscaler.engine.statistics.buckets import Bucket
from headrace.autoscaler.engine.statistics.rates import mean_wait

MISSES = 2
"""Misses within LEARNED_SECONDS after which the published rule bounds the fleet from below: a step is one, and teaches
nothing of the next; who jumps twice may jump again."""
JUMP = 1.5
"""Times the mean of its last minute that a load has jumped to: less is growth, or a model that became slower."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Release:
    at: float
    pods: int
    """How many there were before."""


@dataclass(frozen=True, kw_only=True, slots=True)
class StabilizationWindow:
    """What was learned from pods that went, or were too few."""

    releases: tuple[Release, ...] = ()
    """Of the last SCALE_DOWN_SECONDS_MAX, oldest first."""
    learned_seconds: float = 0.0
    """Window that would have kept pods which went too soon; 0: nothing learned."""
    learned_at: float = 0.0
    misses: int = 0
    """Times of late that a jump of the load found too few pods."""
    missed_at: float = 0.0
    """When it last did."""

    def seconds(self, start_seconds: float, now: float) -> float:
        """For how long a need is remembered now, where a pod takes `start_seconds` to start."""
        unlearned = unlearned_seconds(start_seconds)
        return max(unlearned, self.learned_seconds) if now - self.learned_at < windows.LEARNED_SECONDS else unlearned

    def after_decision(
        self, now: float, *, current: int, wanted: int, short: bool, start_seconds: float, seconds: float
    ) -> "StabilizationWindow":
        """The window after a decision with a window of so many seconds.

        Pods that were taken away and are wanted back teach a window that would have kept them, if their absence leaves
        the load more than every slot (`short`), or if keeping them would have cost less than the STARTS_REMEMBERED cold
        starts for which a need is remembered. A load that returns after more than SCALE_DOWN_SECONDS_MAX teaches
        nothing: no pod waits for it.
        """
        releases = tuple(past for past in self.releases if past.at > now - windows.SCALE_DOWN_SECONDS_MAX)
        if wanted < current:
            return replace(self, releases=(*releases, Release(at=now, pods=current)))
        if wanted == current or not releases:
            return self
        missed = next((past for past in reversed(releases) if past.pods >= wanted), releases[0])
        after = replace(self, releases=tuple(past for past in releases if past.pods > wanted))
        gone = now - missed.at
        if not short and gone >= windows.STARTS_REMEMBERED * start_seconds:
            return after
        longer = min(windows.SCALE_DOWN_SECONDS_MAX, windows.RETURN_TOLERANCE * (seconds + gone))
        return replace(after, learned_seconds=longer, learned_at=now)

    def after_miss(self, now: float) -> "StabilizationWindow":
        """The window after a look at which the load had jumped past the ready pods. What follows within
        SCALE_DOWN_SECONDS_MAX is the same miss: `after_decision` learns from that."""
        apart = now - self.missed_at
        before = self.misses if apart < windows.LEARNED_SECONDS else 0
        another = before == 0 or apart > windows.SCALE_DOWN_SECONDS_MAX
        return replace(self, misses=before + another, missed_at=now)

    def regrets(self, now: float) -> bool:
        """Whether pods were missed so often of late that the published rule bounds how few there are."""
        return self.misses >= MISSES and now - self.missed_at < windows.LEARNED_SECONDS


def unlearned_seconds(start_seconds: float) -> float:
    """For how long a need is remembered while nothing else was learned."""
    seconds = max(windows.LOOK_BACK_SECONDS, windows.STARTS_REMEMBERED * start_seconds)
    return min(windows.SCALE_DOWN_SECONDS_MAX, seconds)


def has_jumped(buckets: Sequence[Bucket], proven: float, service_seconds: float) -> bool:
    """Whether so many proven slots are a jump of the load over its last minute, and requests wait longer than they
    may."""
    arrived, seconds = sum(bucket.arrived for bucket in buckets), sum(bucket.seconds for bucket in buckets)
    jumped = proven * seconds > JUMP * arrived * service_seconds
    return jumped and mean_wait(buckets) > staffing.slack_seconds(service_seconds)
