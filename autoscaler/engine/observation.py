"""What is seen of one version at one time. All times are Unix seconds, all durations seconds."""

from dataclasses import dataclass


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


def usable_share(value: float | None) -> float | None:
    """A utilisation that may be used: finite, not negative, at most 2 (a burstable pod may exceed its share)."""
    return value if value is not None and 0 <= value <= 2 else None


@dataclass(frozen=True, kw_only=True, slots=True)
class Observation:
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
    held: float = 0.0
    """Requests that wait outside the pods because none was ready. Known at once, and whatever becomes of `load`, in
    whose `queued` they are too."""

    @property
    def queued(self) -> float:
        """Requests waiting; 0 without data."""
        return self.load.queued if self.load is not None else 0.0

    @property
    def executing(self) -> float:
        """Requests executing; 0 without data."""
        return self.load.executing if self.load is not None else 0.0
