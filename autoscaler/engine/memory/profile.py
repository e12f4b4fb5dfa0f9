"""Profile: what was learned of the pods of a version, which a new release starts from."""

from dataclasses import dataclass, field

from headrace.autoscaler.engine.observation import CallCurve
from headrace.autoscaler.engine.statistics.latency_curve import Level
from headrace.autoscaler.engine.statistics.least_squares import Sums


@dataclass(frozen=True, kw_only=True, slots=True)
class Profile:
    """What was learned of a version's pods. It is stored in the object's status, and the successor starts from it."""

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
    memory: Sums = field(default_factory=Sums)
    """Memory share against requests executing per pod."""
    gpu_memory: Sums = field(default_factory=Sums)
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
