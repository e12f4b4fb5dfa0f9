"""What goes into a decision and what comes out of it. All times are Unix seconds, all durations seconds.

Everything is frozen data that survives JSON (see codec), so that a log of decisions can be replayed.
"""

from dataclasses import dataclass, field
from typing import Final

# --- Reason codes: constant words, for logs, metrics and conditions ------------------------------------------------
NO_DATA: Final = "NoData"
STALE: Final = "Stale"
CLOCK_SKEW: Final = "ClockSkew"
NOT_FINITE: Final = "NotFinite"
NEGATIVE: Final = "Negative"
IMPLAUSIBLE: Final = "Implausible"
COUNTER_RESET: Final = "CounterReset"
GAP: Final = "Gap"
FAULT_CODES: Final = frozenset({NO_DATA, STALE, CLOCK_SKEW, NOT_FINITE, NEGATIVE, IMPLAUSIBLE, COUNTER_RESET, GAP})
"""Reasons that hold the last decision because the signals cannot be trusted."""

WARMING: Final = "Warming"
STEADY: Final = "Steady"
SCALE_UP: Final = "ScaleUp"
SCALE_DOWN: Final = "ScaleDown"
HOLDING: Final = "Holding"
WOKEN: Final = "Woken"
IDLE: Final = "Idle"
LIMIT_REACHED: Final = "LimitReached"
BUDGET_REACHED: Final = "BudgetReached"
BOUNDS: Final = "Bounds"
CAPACITY_SHORT: Final = "CapacityShort"
CROWDED: Final = "Crowded"
TRYING: Final = "Trying"
GUESSED: Final = "Guessed"
NOISY: Final = "Noisy"
PODS_FAILING: Final = "PodsFailing"
CONCURRENCY_UP: Final = "ConcurrencyUp"
CONCURRENCY_DOWN: Final = "ConcurrencyDown"
RELEARNING: Final = "Relearning"
BURSTY: Final = "Bursty"


@dataclass(frozen=True, kw_only=True, slots=True)
class LoadCounters:
    """Load of one version since its counters began, summed over balancers and pods. All but the last two only grow."""

    arrived: float
    """Requests that asked for service, refused ones included: a refusal is demand."""
    completed: float
    """Requests whose execution ended."""
    executing_seconds: float
    """Seconds spent executing, summed over requests; it grows while they run."""
    queued_seconds: float
    """Seconds spent waiting, summed over requests."""
    queued: float = 0.0
    """Requests waiting at `taken_at`. Used to drain a backlog and to act at once, never as a measure of load."""
    executing: float = 0.0
    """Requests executing at `taken_at`. Tells a filling system from a steady one."""


@dataclass(frozen=True, kw_only=True, slots=True)
class CallCurve:
    """What the model calls of one pod cost, as its front measures them: means over the ready pods that tell.

    A call that answers n requests takes `fixed_seconds + n * request_seconds` in a worker. Absent for engines that
    schedule requests by themselves, and until a call has ended.
    """

    fixed_seconds: float
    request_seconds: float
    requests_max: float
    """Most requests that one call answers."""
    at_once: float
    """Calls that a pod could run side by side if every core were free: one a worker where a call computes, hundreds
    where it waits."""
    mean_seconds: float | None = None
    """Seconds of calls over the requests they answered, as the last ones were merged; None: not told."""


@dataclass(frozen=True, kw_only=True, slots=True)
class PodCounts:
    """Pods of the version, each counted once except in `desired`."""

    desired: int
    """`spec.replicas` of the Deployment: the present decision, whoever wrote it."""
    ready: int
    starting: int = 0
    """Scheduled, not Ready yet."""
    unschedulable: int = 0
    """Pending because no node has room."""
    failing: int = 0
    """Crash-looping or unable to pull their image."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Utilisation:
    """Means over the ready pods, each 0 to 1; None: not measured."""

    cpu: float | None = None
    """CPU used over the pod's limit."""
    memory: float | None = None
    io_wait: float | None = None
    gpu: float | None = None
    """Share of time with a kernel running: 1 for a language model at one request, so never a cap."""
    gpu_memory: float | None = None
    memory_bandwidth: float | None = None
    tensor: float | None = None
    """Share of cycles with the FP16/BF16 pipe busy: the FLOPS utilisation."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Observation:
    """What was seen of one version at one time."""

    taken_at: float
    """When the counters were read at their source."""
    load: LoadCounters | None
    """None: no data, which is a value: the present count is held."""
    pods: PodCounts
    utilisation: Utilisation = Utilisation()
    cold_start_seconds: float | None = None
    """Measured time from a pod's creation to Ready; None: no start seen yet, the spec's expectation holds."""
    pod_cores: float | None = None
    """CPU limit of one pod; where learning of concurrency starts when nothing better is known."""
    calls: CallCurve | None = None
    """None: not known, and what a pod can do is guessed from the requests in it."""
    default_limit: int | None = None
    """Concurrency limit that the runtime chose by itself; None: not told."""
    wake: bool = False
    """A wake-up call arrived since the last observation."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Reason:
    """One cause of a decision."""

    code: str
    message: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Decision:
    """What should be, and why."""

    at: float
    replicas: int
    concurrency: int
    """Hard limit: requests admitted to one pod at once."""
    target: float
    """Soft target: requests per pod that the replicas are sized for; `replicas = ceil(demand / target)`."""
    held: bool
    """True when the signals could not be trusted and the last decision stands."""
    reasons: tuple[Reason, ...]
    inputs: dict[str, float]
    """The numbers behind it, by name."""

    def has(self, code: str) -> bool:
        """Whether a reason of this code is among the reasons."""
        return any(reason.code == code for reason in self.reasons)


@dataclass(frozen=True, kw_only=True, slots=True)
class Bucket:
    """Load between two scrapes."""

    end: float
    seconds: float
    arrived: float
    completed: float
    executing_seconds: float
    queued_seconds: float
    executing: float
    """Gauge at `end`."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Line:
    """Decayed sums of a weighted least-squares line y = intercept + slope x."""

    weight: float = 0.0
    points: float = 0.0
    x: float = 0.0
    y: float = 0.0
    xx: float = 0.0
    xy: float = 0.0
    yy: float = 0.0


@dataclass(frozen=True, kw_only=True, slots=True)
class Level:
    """Decayed sums of the service times seen at nearly the same concurrency of a pod."""

    index: int
    points: float = 0.0
    served: float = 0.0
    """Requests behind the points: their weight in the other sums."""
    executing: float = 0.0
    seconds: float = 0.0
    squares: float = 0.0
    """Of seconds."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Profile:
    """What was learned of a version; its successor starts from it."""

    concurrency: int | None = None
    """Hard limit per pod; None: nothing learned yet."""
    lowered: bool = False
    """Whether memory keeps the limit below the runtime's own."""
    exploring: bool = True
    """No ceiling met yet: the limit may double (slow start). False: it grows with care."""
    busy: float = 0.0
    """Decayed executing seconds behind the service time."""
    done: float = 0.0
    """Decayed completions behind the service time; service time = busy / done."""
    latency: tuple[Level, ...] = ()
    """Service seconds against requests executing per pod, by rising concurrency."""
    memory: Line = Line()
    """Memory share against requests executing per pod."""
    gpu_memory: Line = Line()
    cpu_per_request: float = 0.0
    """Largest share of a pod's CPU that one executing request was seen to use; 0: not known."""
    tensor_per_request: float = 0.0
    calls: CallCurve | None = None
    """What model calls were last told to cost: known of pods that have just started too."""
    call_rate: float = 0.0
    """Requests a second for which a pod's workers have time, at the best that the last minutes showed; 0: unknown."""
    cpu_busy: float = 0.0
    """Decayed CPU-seconds behind the cost of a request."""
    cpu_done: float = 0.0
    """Decayed completions behind it."""
    seen_rate: float = 0.0
    """Requests a second that a full pod was seen to complete, where that is less than anything else says; 0: never."""
    best_rate: float = 0.0
    """Requests a second that a pod completed at best, of late."""
    load_seconds: float = 0.0
    """Seconds in which requests completed, behind all of this."""

    @property
    def cpu_seconds(self) -> float | None:
        """CPU-seconds of a request; None until known."""
        return self.cpu_busy / self.cpu_done if self.cpu_done > 0 and self.cpu_busy > 0 else None

    @property
    def service_seconds(self) -> float | None:
        """Mean seconds a request executes; None until one completed."""
        return self.busy / self.done if self.done > 0 else None


@dataclass(frozen=True, kw_only=True, slots=True)
class Peak:
    """Slots needed at a time; the sequence in Memory is kept decreasing."""

    at: float
    slots: float


@dataclass(frozen=True, kw_only=True, slots=True)
class Cycle:
    """Sums since the vertical axis last looked."""

    started: float = 0.0
    seconds: float = 0.0
    arrived: float = 0.0
    completed: float = 0.0
    executing_seconds: float = 0.0
    queued_seconds: float = 0.0
    pod_seconds: float = 0.0
    executing: float = 0.0
    """Gauge at `started`."""
    readings: int = 0
    cpu: float = 0.0
    memory: float = 0.0
    gpu_memory: float = 0.0
    tensor: float = 0.0
    waiting: float = 0.0
    """The larger of I/O wait and memory bandwidth: what slows requests down without a core being busy."""


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
class Memory:
    """What one decision leaves to the next. `Memory()` is a controller that has just started."""

    taken_at: float | None = None
    """`taken_at` of the last load that was trusted."""
    load: LoadCounters | None = None
    buckets: tuple[Bucket, ...] = ()
    """The last minute, oldest first."""
    coarse: tuple[Bucket, ...] = ()
    """The last minutes in longer stretches."""
    history_start: float | None = None
    """Since when the history has no hole; nothing is scaled down before the window is full."""
    decided_at: float | None = None
    """Clock of the last call, to notice a clock that jumps."""
    horizontal_at: float | None = None
    vertical_at: float | None = None
    replicas: int | None = None
    wanted: int | None = None
    """Pods wanted at the last look of the horizontal axis, before bounds."""
    peaks: tuple[Peak, ...] = ()
    """Needs of the load alone that were proven: how far it has risen, as long as a need may be remembered."""
    wishes: tuple[Peak, ...] = ()
    """The same with growth and backlog: what pods were ordered for. They are kept as long as any."""
    last_arrival: float | None = None
    profile: Profile = Profile()
    point: Cycle = Cycle()
    """Sums since the last point of the latency curve."""
    cycle: Cycle = Cycle()
    streak: int = 0
    """Vertical cycles in a row that wanted more concurrency (positive) or less (negative)."""
    surprises: int = 0
    """Points in a row that the latency curve failed to predict."""
    swing: float = 0.0
    """Sum of the excess of the arrivals' variance over Poisson's, by the arrivals of a bucket: fading, over minutes."""
    swing_arrived: float = 0.0
    """Sum of the squares of these arrivals. swing / swing_arrived is the relative variance of the rate itself."""
    noise: float | None = None
    """Relative deviation of the rate within a minute, beyond a Poisson stream's: a mean of minutes; None: unknown."""
    noisy: float = 0.0
    """Relative deviation of a load that is noise about a steady mean; 0: the load is none."""
    published: tuple[Peak, ...] = ()
    """Requests at once by the published rule, the highest of its window and what came after each."""
    height: float = 0.0
    """Relative deviation of seconds or of stretches of ten, the larger."""
    steady: float = 0.0
    """Arrivals a second of a load whose minutes are alike; 0: they are not, or too few are known."""
    crest: float = 0.0
    """Arrivals a second in the highest of its stretches."""
    moves: bool = False
    """Whether minutes were seen not to be alike."""
    ruled: int | None = None
    """Pods that the published rule would have, whoever decides; None: it has not looked yet."""
    ruled_at: float | None = None
    """When it last looked."""
    burst: float = 1.0
    """Factor on the variance of arrivals, learned from queueing that a Poisson stream would not show."""
    changed_at: float = 0.0
    """When the concurrency limit was last raised."""
    released: tuple[Peak, ...] = ()
    """When pods were taken away, and how many there were before, for as long as a need may be remembered."""
    hold: float = 0.0
    """Seconds for which a need is remembered, learned from pods that were taken away too soon; 0: nothing learned."""
    hold_learned_at: float = 0.0
    """When it was learned; it is not believed for ever."""
    misses: int = 0
    """Times of late that a jump of the load found too few pods."""
    missed_at: float = 0.0
    """When it last was."""
    pod_slots: float = 0.0
    """Slots of a pod, at the last look, in which peaks and wishes are counted; 0: the concurrency limit."""
    backlog_since: float | None = None
    """Since when more than a little waits; None: nothing does."""
    trial: Trial | None = None
    """The order of pods that has not proven itself yet."""
    failures: int = 0
    """Orders in a row that did not help."""
    barred_until: float = 0.0
    """Until when no more pods are ordered for what pods do not help."""
    fits: int | None = None
    """Pods for which nodes had room when some found none; None: no pod lacked room for a while."""
    fits_at: float = 0.0
    """When that was last seen."""
    spare: int = 1
    """Pods ordered beyond those: doubled each time that all were placed."""
    scaled_at: float = 0.0
    """When the number of pods last changed."""
    target_share: float = field(default=0.7)
    """Soft target over hard limit at the last decision."""
