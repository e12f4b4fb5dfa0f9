"""One run: a cell's load through the data plane under one policy, and what came of it."""

import math
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from bench.autoscaler import dataplane
from bench.autoscaler.dataplane import Plane
from bench.autoscaler.policies import Policy, Setting, Stats
from bench.autoscaler.services import Service

Floats = NDArray[np.float64]
ACTUATION_SECONDS = 0.5
"""From a decision to the pod on its node: API server and scheduler."""
QUEUE_MAX = 10_000
"""The balancer's queue; Knative's breaker has the same depth. Beyond it requests are refused."""
DRAIN_SECONDS = 12.0
"""What a pod that leaves costs at least, as on a cluster: 5 s before SIGTERM (`PRE_STOP_SECONDS`), 5 s in which it
serves those who have not heard yet (`ROTATION_SECONDS`), 2 s for its processes to end. One that is not ready goes at
once."""
GRACE_SECONDS = 297.0
"""A draining pod is killed after the longest time a request may take."""


@dataclass(frozen=True, kw_only=True)
class Case:
    """One cell of the benchmark with one seed drawn."""

    name: str
    service: Service
    arrivals: Floats
    work: Floats
    seconds: int
    """Length of the run."""
    warm_seconds: int
    """Left out of every measure: policies settle from the initial fleet."""
    setting: Setting
    cold_start_seconds: float
    needed: float
    """Pods that serve the highest minute at the soft target: what overshoot and capacity are measured against."""
    capacity_from: float | None = None
    """When the load jumps or starts to rise; None: no time to capacity is measured."""
    shift_at: float | None = None
    """When the model changes into `shifted`."""
    shifted: Service | None = None
    starts: tuple[float, ...] = ()
    """Cold starts drawn per pod, used in turn; empty: the cold start within a tenth."""
    seed: int = 0


@dataclass(kw_only=True)
class Outcome:
    """Measures of one run, after the warm-up."""

    arrived: int = 0
    violations: float = 0.0
    """Share of arrivals that were late, refused or lost."""
    rejected: int = 0
    pod_seconds: float = 0.0
    actions: int = 0
    reversals: int = 0
    churn: int = 0
    """Pods created and removed."""
    cut: int = 0
    """Requests lost to scale-down."""
    peak_pods: int = 0
    capacity_seconds: float = math.nan
    """From `capacity_from` to enough ready pods; infinite: never."""
    waited_for_start: float = 0.0
    """Share of arrivals in seconds that began without a ready pod."""
    wait_p50: float = 0.0
    wait_p99: float = 0.0
    wait_p999: float = 0.0
    trace: dict[str, list[float]] = field(default_factory=dict)
    """Per second: load, ready, desired, alive, queued, concurrency."""

    @property
    def availability(self) -> float:
        """Answered over arrived."""
        return 1.0 - self.rejected / self.arrived if self.arrived else 1.0


class _Fleet:
    """Pods of a run: orders, starts, drains."""

    def __init__(self, case: Case, plane: Plane) -> None:
        self.case, self.plane = case, plane
        self.random = np.random.default_rng(case.seed + 7)
        self.free = list(range(plane.state.size - 1, -1, -1))
        self.starting: list[tuple[float, int]] = []  # (ready at, pod)
        self.draining: list[tuple[float, int]] = []  # (told to go at, pod)
        self.desired = 0
        self.created = self.removed = self.cut = 0
        self.started = 0

    def scale(self, wanted: int, now: float, *, warm: bool = False) -> None:
        """Orders or removes pods; the newest orders go first, then the least busy pods."""
        have = self.desired
        self.desired = wanted
        for _ in range(wanted - have):
            if not self.free:
                break
            pod = self.free.pop()
            self.created += 1
            if warm:
                self.plane.serve(pod)
                continue
            self.plane.state[pod] = dataplane.STARTING
            self.starting.append((now + ACTUATION_SECONDS + self._cold_start(), pod))
        excess = have - wanted
        while excess > 0 and self.starting:
            _, pod = self.starting.pop()
            self._gone(pod)
            excess -= 1
        for pod in self.plane.least_busy(max(0, excess)):
            self.plane.drain(pod)
            self.draining.append((now, pod))

    def _cold_start(self) -> float:
        case = self.case
        self.started += 1
        if case.starts:
            return case.starts[self.started % len(case.starts)]
        return case.cold_start_seconds * float(self.random.uniform(0.9, 1.1))

    def tick(self, now: float) -> None:
        """Ready pods serve, drained pods go."""
        due = [pod for at, pod in self.starting if at <= now]
        if due:
            self.starting = [(at, pod) for at, pod in self.starting if at > now]
            for pod in due:
                self.plane.serve(pod)
        still = []
        for told_at, pod in self.draining:
            if now >= told_at + GRACE_SECONDS:
                self.cut += self.plane.kill(pod)
                self._gone(pod)
            elif self.plane.busy[pod] == 0 and now >= told_at + DRAIN_SECONDS:
                self._gone(pod)
            else:
                still.append((told_at, pod))
        self.draining = still

    def _gone(self, pod: int) -> None:
        self.plane.state[pod] = dataplane.NONE
        self.removed += 1
        self.free.append(pod)

    @property
    def alive(self) -> int:
        """Pods that cost: starting, ready, draining."""
        return len(self.starting) + self.plane.scalar(dataplane.READY) + len(self.draining)


def run(case: Case, policy: Policy, *, keep_trace: bool = False) -> Outcome:
    """The outcome of the case under the policy."""
    service, setting = case.service, case.setting
    slots = min(service.most, 1024)
    pods_max = int(min(max(4 * setting.max_replicas, 64), 6000, 40_000_000 // (slots + 1)))
    plane = Plane(
        arrivals=case.arrivals,
        work=case.work,
        pods_max=pods_max,
        slots_max=slots + 1,
        queue_max=QUEUE_MAX,
        seed=case.seed + 1,
    )
    fleet = _Fleet(case, plane)
    fleet.scale(setting.initial, 0.0, warm=True)
    limit, slo = setting.concurrency, service.slo_seconds()
    outcome = Outcome()
    base = np.zeros(12, np.int64)
    base_waits = np.zeros(dataplane.WAIT_BINS, np.int64)
    last = np.zeros(6)
    direction = 0
    churn_base = 0
    capacity_at = math.inf
    unserved = 0
    kept = ("load", "ready", "desired", "alive", "queued", "concurrency") if keep_trace else ()
    track: dict[str, list[float]] = {name: [] for name in kept}
    for second in range(case.seconds):
        if second == case.warm_seconds:
            base, base_waits = plane.count.copy(), plane.waits.copy()
            churn_base = fleet.created + fleet.removed
        if case.shifted is not None and case.shift_at is not None and second >= case.shift_at:
            service = case.shifted
        now = second + 1.0
        arrived_before = plane.scalar(dataplane.ARRIVED)
        asleep = plane.scalar(dataplane.READY) == 0
        plane.advance(
            now, speed=service.speed, cpu=service.cpu, tensor=service.tensor, limit=min(limit, slots), slo=slo
        )
        fleet.tick(now)
        ready = plane.scalar(dataplane.READY)
        measured = second >= case.warm_seconds
        if measured:
            unserved += plane.scalar(dataplane.ARRIVED) - arrived_before if asleep else 0
            outcome.pod_seconds += fleet.alive
            outcome.peak_pods = max(outcome.peak_pods, fleet.alive)
        if case.capacity_from is not None and now > case.capacity_from and ready >= case.needed:
            capacity_at = min(capacity_at, now - case.capacity_from)
        step = plane.total - last
        last = plane.total.copy()
        wanted = policy.observe(_stats(case, service, plane, fleet, step=step, now=now))
        if keep_trace:
            for name, value in (
                ("load", plane.scalar(dataplane.ARRIVED) - arrived_before),
                ("ready", ready),
                ("desired", fleet.desired),
                ("alive", fleet.alive),
                ("queued", plane.scalar(dataplane.QUEUED)),
                ("concurrency", limit),
            ):
                track[name].append(float(value))
        if wanted.concurrency is not None:
            limit = wanted.concurrency
        if wanted.replicas is None:
            continue
        replicas = min(max(wanted.replicas, setting.min_replicas), setting.max_replicas)
        if replicas != fleet.desired:
            if measured:
                outcome.actions += 1
                way = 1 if replicas > fleet.desired else -1
                outcome.reversals += direction == -way
                direction = way
            fleet.scale(replicas, now)
    policy.close()
    count = plane.count - base
    waits = plane.waits - base_waits
    outcome.arrived = int(count[dataplane.ARRIVED])
    outcome.rejected = int(count[dataplane.REJECTED] + count[dataplane.FAILED])
    late = int(count[dataplane.VIOLATED]) + _overdue(plane, case, slo)
    outcome.violations = min(1.0, (late + outcome.rejected) / max(outcome.arrived, 1))
    outcome.waited_for_start = unserved / max(outcome.arrived, 1)
    outcome.churn = fleet.created + fleet.removed - churn_base
    outcome.cut = fleet.cut
    if case.capacity_from is not None:
        outcome.capacity_seconds = capacity_at
    outcome.wait_p50, outcome.wait_p99, outcome.wait_p999 = (
        dataplane.wait_quantile(waits, share) for share in (0.5, 0.99, 0.999)
    )
    outcome.trace = track
    return outcome


def _overdue(plane: Plane, case: Case, slo: float) -> int:
    """Requests still waiting at the end for longer than the objective."""
    waiting = plane.scalar(dataplane.QUEUED)
    head = plane.scalar(dataplane.HEAD)
    requests = plane.queue[(head + np.arange(waiting)) % plane.queue.size]
    return int((case.seconds - case.arrivals[requests] > slo).sum())


def _stats(case: Case, service: Service, plane: Plane, fleet: _Fleet, *, step: Floats, now: float) -> Stats:
    ready = plane.scalar(dataplane.READY)
    executing = float(step[dataplane.EXECUTING_SECONDS])
    pods = max(ready, 1)
    mean = executing / pods
    return Stats(
        now=now,
        desired=fleet.desired,
        ready=ready,
        starting=len(fleet.starting),
        arrived=plane.scalar(dataplane.ARRIVED),
        completed=plane.scalar(dataplane.COMPLETED),
        executing_seconds=float(plane.total[dataplane.EXECUTING_SECONDS]),
        queued_seconds=float(plane.total[dataplane.QUEUED_SECONDS]),
        queued=plane.scalar(dataplane.QUEUED),
        executing=plane.scalar(dataplane.EXECUTING),
        current_requests=executing + float(step[dataplane.QUEUED_SECONDS]),
        cpu=min(1.0, float(step[dataplane.CPU_SECONDS]) / pods),
        memory=min(1.0, service.memory_base + service.memory_slope * mean),
        gpu_memory=(
            None if service.gpu_memory_base is None else service.gpu_memory_base + service.gpu_memory_slope * mean
        ),
        tensor=min(1.0, float(step[dataplane.TENSOR_SECONDS]) / pods),
        cold_start_seconds=case.cold_start_seconds + ACTUATION_SECONDS,
    )
