"""Memory: what one decision leaves to the next, in three parts that end at different times.

    History  ends with a gap in the counters or a clock that jumps: buckets, needs, the order on trial
    Learned  ends with the controller, its profile with the endpoint: what pods can do, what kind of load it is
    Last     ends with the next decision: what was decided

`Memory()` is a controller that has just started.
"""

from dataclasses import dataclass, field, replace
from typing import Any

from headrace.autoscaler.engine.memory.cycle import Cycle
from headrace.autoscaler.engine.memory.load_pattern import Noise, SteadyLoad
from headrace.autoscaler.engine.memory.placement import Placement
from headrace.autoscaler.engine.memory.profile import Profile
from headrace.autoscaler.engine.memory.published_rule import PublishedRule
from headrace.autoscaler.engine.memory.stabilization_window import StabilizationWindow
from headrace.autoscaler.engine.observation import LoadCounters
from headrace.autoscaler.engine.statistics.buckets import Buckets
from headrace.autoscaler.engine.statistics.rate_variability import RateVariability
from headrace.autoscaler.engine.statistics.sliding_maximum import Peaks


@dataclass(frozen=True, kw_only=True, slots=True)
class Trial:
    """An order of pods of which it is not seen yet whether it helps: how things stood before."""

    at: float
    pods: int
    """Ready."""
    completed: float
    """Requests completed a second."""
    behind: bool
    """Whether fewer requests were completed than arrived."""
    service_seconds: float
    """Mean seconds that a request executed."""
    full: bool = True
    """Whether they were crowded."""


@dataclass(frozen=True, kw_only=True, slots=True)
class History:
    """The load since counters can be compared, and what only holds together with it."""

    begun_at: float | None = None
    """Since when it has no hole; nothing is scaled down before a window of it is full."""
    taken_at: float | None = None
    """When the last trusted counters were taken."""
    counters: LoadCounters | None = None
    buckets: Buckets = ()
    """The last minute."""
    stretches: Buckets = ()
    """The last five minutes in stretches of ten seconds."""
    last_arrival: float | None = None
    horizontal_at: float | None = None
    """When the number of pods was last looked at."""
    vertical_at: float | None = None
    """When the concurrency limit was."""
    point: Cycle = field(default_factory=Cycle)
    """Since the last point of the latency curve."""
    cycle: Cycle = field(default_factory=Cycle)
    """Since the vertical axis last looked."""
    limit_raised_at: float = 0.0
    needs: Peaks = ()
    """Slots of the load alone that were proven: how far it has risen, for as long as a need may be remembered."""
    desired_peaks: Peaks = ()
    """The same with growth and backlog: what pods were ordered for. They are kept as long as any."""
    published: PublishedRule = field(default_factory=PublishedRule)
    noise: Noise = field(default_factory=Noise)
    window: StabilizationWindow = field(default_factory=StabilizationWindow)
    backlog_since: float | None = None
    """Since when more than a little waits; None: nothing does."""
    trial: Trial | None = None
    """The order of pods that has not proven itself yet."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Learned:
    """What outlives a gap in the signals. Of it, the profile outlives the release."""

    profile: Profile = field(default_factory=Profile)
    variability: RateVariability = field(default_factory=RateVariability)
    steady: SteadyLoad = field(default_factory=SteadyLoad)
    burst: float = 1.0
    """Factor on the variance of arrivals, learned from queueing that a Poisson stream would not show."""
    streak: int = 0
    """Vertical cycles in a row that wanted more concurrency (positive) or less (negative)."""
    surprises: int = 0
    """Points in a row that the latency curve failed to predict."""
    failed_trials: int = 0
    """Orders of pods in a row that did not help."""
    barred_until: float = 0.0
    """Until when no more pods are ordered for what pods do not help."""
    placement: Placement = field(default_factory=Placement)


@dataclass(frozen=True, kw_only=True, slots=True)
class Last:
    decided_at: float | None = None
    """Clock of the last call, to notice a clock that jumps."""
    scaled_at: float = 0.0
    """When the number of pods last changed."""
    replicas: int | None = None
    wanted: int | None = None
    """Pods before bounds."""
    target_share: float = 0.7
    """Soft target over hard limit."""
    pod_slots: float = 0.0
    """Slots of a measured pod, in which needs are counted; 0: the concurrency limit."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Memory:
    history: History = field(default_factory=History)
    learned: Learned = field(default_factory=Learned)
    last: Last = field(default_factory=Last)

    def with_history(self, **changes: Any) -> "Memory":
        return replace(self, history=replace(self.history, **changes))

    def with_learned(self, **changes: Any) -> "Memory":
        return replace(self, learned=replace(self.learned, **changes))
