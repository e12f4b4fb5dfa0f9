"""One run on the plane with pods as they are: a load, a service and a place under one policy, and what came of it."""

import math
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from bench.autoscaler import loads, podplane
from bench.autoscaler.dataplane import Floats
from bench.autoscaler.podfleet import PodFleet
from bench.autoscaler.podplane import PodPlane
from bench.autoscaler.podservices import PodService
from bench.autoscaler.podstate import (
    ARRIVED,
    CALL_SECONDS,
    CALL_WORK,
    CALLED,
    CALLS,
    COMPLETED,
    CPU_SECONDS,
    EXECUTING,
    EXECUTING_SECONDS,
    FAILED,
    NEIGHBOUR,
    OTHERS,
    QUEUED_SECONDS,
    REJECTED,
    VIOLATED,
)  # fmt: skip
from bench.autoscaler.policies import Policy, Setting, Stats
from headrace.autoscaler.engine import CallCurve

IDLE_SECONDS = 30
"""That the policy looks at an idle version before its load begins."""
STEPS = 4
"""Of a second, at which pods start and go."""
FIRST_CALLS = 8
KEEP = 0.98
"""Weight of what was seen before each call (runtimes/queue/batching.py)."""
STARVED_MOST = 20.0
"""Times that a call may be slowed down until the front disbelieves it (runtimes/workers/worker_concurrency.py)."""


@dataclass(frozen=True, kw_only=True)
class Place:
    """Where pods run."""

    nodes: int = 1
    cores: float = 2.0
    """Of each node; infinite: pods slow nobody down."""
    room: int = 4
    """Pods that fit on each node."""
    others: float = 0.5
    """Cores that everything else on a node uses, whatever the load."""
    path_seconds: float = 430e-6
    """CPU of a request in the proxies and the client, on the first node."""
    path_wait: float = 1.1e-3
    """Seconds of a request in the proxies besides."""


@dataclass(frozen=True, kw_only=True)
class PodCase:
    """One load on one service in one place."""

    name: str
    service: PodService
    seconds: int
    rates: Floats | None = None
    """Requests a second of an open loop, one a second."""
    connections: int = 0
    """Of a closed loop."""
    place: Place = Place()
    neighbour: tuple[int, int, float] | None = None
    """(from second, to second, cores): another pod of the node that wants so many."""
    slower: tuple[int, float] | None = None
    """(second, factor): from when on calls take so many times as long."""
    tells: Callable[[CallCurve | None], CallCurve | None] = lambda told: told
    """What becomes of the fronts' curve on its way to the policy."""
    initial: int = 1
    min_replicas: int = 1
    max_replicas: int = 100
    slo_seconds: float = math.inf
    needed: float = 0.0
    """Pods that carry the load; from `capacity_from` on it is timed until they are ready."""
    capacity_from: int | None = None
    seed: int = 0

    @property
    def setting(self) -> Setting:
        """What policies are given: the defaults of an endpoint."""
        limit = self.service.default_limit
        return Setting(
            concurrency=limit,
            target=0.7 * limit,
            initial=self.initial,
            min_replicas=self.min_replicas,
            max_replicas=self.max_replicas,
            cores=self.service.cores,
        )


@dataclass(kw_only=True)
class PodOutcome:
    """Measures of one run, over the load's seconds."""

    arrived: int = 0
    answers: float = 0.0
    """A second."""
    refused: int = 0
    violations: float = 0.0
    p50: float = 0.0
    p99: float = 0.0
    ordered_max: int = 0
    alive_max: int = 0
    pod_seconds: float = 0.0
    actions: int = 0
    cut: int = 0
    capacity_seconds: float = math.nan
    waited_for_start: float = 0.0
    """Share of requests that came while no pod was ready."""
    cpu_seconds: float = 0.0
    """Of pods that serve."""
    changes: tuple[int, ...] = ()
    """Pods ordered, at each change."""
    trace: dict[str, list[float]] = field(default_factory=dict)
    """Per second of the load: arrived, answers, ordered, placed, ready, alive, queued, concurrency."""


class _Curve:
    """What the fronts would tell of their calls."""

    def __init__(self, service: PodService) -> None:
        self.service = service
        self.sums = np.zeros(4)  # seconds, work, calls, requests
        self.last = np.zeros(4)
        self.known = False

    def told(self, plane: PodPlane, slow: float) -> CallCurve | None:
        """After another second."""
        service, arrays = self.service, plane.arrays
        seen = np.array(
            [arrays.total[CALL_SECONDS], arrays.total[CALL_WORK], arrays.count[CALLS], arrays.count[CALLED]], np.float64
        )
        step, self.last = seen - self.last, seen
        self.sums = self.sums * KEEP ** step[2] + step
        seconds, work, calls, requests = self.sums
        if seen[2] == 0 or work <= 0 or requests <= 0:
            return None
        inflated = seconds / work
        mean = seconds / requests
        self.known |= bool(service.merges and seen[2] >= FIRST_CALLS and requests > 1.05 * calls)
        if service.merges:
            at_once = service.workers * min(STARVED_MOST, max(1.0, inflated))
        else:
            at_once = service.workers * min(512.0, max(1.0, 0.85 * inflated / service.computes))
        if not self.known:
            return CallCurve(
                fixed_seconds=0.0, request_seconds=mean, requests_max=1.0, at_once=at_once, mean_seconds=mean
            )
        each = service.each_seconds * slow * inflated
        return CallCurve(
            fixed_seconds=service.fixed_seconds * slow * inflated,
            request_seconds=each * service.mean_cost,
            requests_max=float(service.most),
            at_once=at_once,
            mean_seconds=mean,
        )


def run(case: PodCase, policy: Policy, *, keep_trace: bool = False) -> PodOutcome:
    """The outcome of the case under the policy."""
    service, place = case.service, case.place
    random = np.random.default_rng(1000 + case.seed)
    arrivals = loads.poisson(case.rates, random) + IDLE_SECONDS if case.rates is not None else np.zeros(0)
    costs = service.draw(random, max(1, arrivals.size) if case.rates is not None else 1 << 16)
    plane = PodPlane(arrivals=arrivals, costs=costs, nodes=place.nodes, cores=place.cores, seed=case.seed + 1)
    plane.arrays.node[:, OTHERS] = place.others
    fleet = PodFleet(plane, service, nodes=place.nodes, room=place.room)
    fleet.begin(case.initial)
    curve, limit = _Curve(service), service.default_limit
    outcome = PodOutcome()
    names = ("arrived", "answers", "ordered", "placed", "ready", "alive", "queued", "concurrency")
    track: dict[str, list[float]] = {name: [] for name in names}
    base = np.zeros(plane.arrays.count.size, np.int64)
    last, counted = np.zeros(plane.arrays.total.size), base.copy()
    unserved, capacity_at = 0, math.inf
    for second in range(-IDLE_SECONDS, case.seconds):
        if second == 0 and case.connections:
            plane.connect(range(case.connections), float(IDLE_SECONDS))
        slow = case.slower[1] if case.slower is not None and second >= case.slower[0] else 1.0
        loud = case.neighbour is not None and case.neighbour[0] <= second < case.neighbour[1]
        plane.arrays.node[0, NEIGHBOUR] = case.neighbour[2] if loud and case.neighbour is not None else 0.0
        plane.arrays.law[:] = service.law(
            limit, slow=slow, path_seconds=place.path_seconds, path_wait=place.path_wait, slo=case.slo_seconds
        )
        asleep = fleet.ready == 0
        for step in range(STEPS):
            now = second + IDLE_SECONDS + (step + 1) / STEPS
            plane.advance(now)
            fleet.tick(now, 1.0 / STEPS)
        count, total = plane.arrays.count, plane.arrays.total
        calls = case.tells(curve.told(plane, slow))
        wanted = policy.observe(_stats(service, plane, fleet, calls, step=total - last, now=now))
        arrived, answers = (int(count[column] - counted[column]) for column in (ARRIVED, COMPLETED))
        last, counted = total.copy(), count.copy()
        if second >= 0:
            unserved += arrived if asleep else 0
            outcome.pod_seconds += fleet.alive
            outcome.ordered_max = max(outcome.ordered_max, fleet.desired)
            outcome.alive_max = max(outcome.alive_max, fleet.alive)
            if case.capacity_from is not None and second >= case.capacity_from and fleet.ready >= case.needed:
                capacity_at = min(capacity_at, float(second - case.capacity_from))
            if keep_trace:
                values = (
                    arrived, answers, fleet.desired, fleet.placed, fleet.ready, fleet.alive, plane.queued, limit,
                )  # fmt: skip
                for name, value in zip(names, values, strict=True):
                    track[name].append(float(value))
        if wanted.concurrency is not None:
            limit = wanted.concurrency
        if wanted.replicas is not None:
            replicas = min(max(wanted.replicas, case.min_replicas), case.max_replicas)
            if replicas != fleet.desired:
                outcome.actions += second >= 0
                outcome.changes += (replicas,)
                fleet.scale(replicas, now)
    policy.close()
    return _measured(outcome, case, plane, fleet, unserved=unserved, capacity_at=capacity_at, track=track)


def _measured(
    outcome: PodOutcome,
    case: PodCase,
    plane: PodPlane,
    fleet: PodFleet,
    *,
    unserved: int,
    capacity_at: float,
    track: dict[str, list[float]],
) -> PodOutcome:
    count, latencies = plane.arrays.count, plane.arrays.latencies
    outcome.arrived = int(count[ARRIVED])
    outcome.answers = int(count[COMPLETED]) / case.seconds
    outcome.refused = int(count[REJECTED] + count[FAILED])
    outcome.violations = (int(count[VIOLATED]) + outcome.refused) / max(1, outcome.arrived)
    outcome.p50, outcome.p99 = (podplane.latency_quantile(latencies, share) for share in (0.5, 0.99))
    outcome.cut = fleet.cut
    outcome.waited_for_start = unserved / max(1, outcome.arrived)
    outcome.cpu_seconds = float(plane.arrays.total[CPU_SECONDS])
    if case.capacity_from is not None:
        outcome.capacity_seconds = capacity_at
    outcome.trace = track
    return outcome


def _stats(
    service: PodService,
    plane: PodPlane,
    fleet: PodFleet,
    calls: CallCurve | None,
    *,
    step: Floats,
    now: float,
) -> Stats:
    pods = max(fleet.ready, 1)
    executing = float(step[EXECUTING_SECONDS])
    return Stats(
        now=now,
        desired=fleet.desired,
        ready=fleet.ready,
        starting=len(fleet.starting),
        unschedulable=len(fleet.pending),
        arrived=plane.scalar(ARRIVED),
        completed=plane.scalar(COMPLETED),
        executing_seconds=float(plane.arrays.total[EXECUTING_SECONDS]),
        queued_seconds=float(plane.arrays.total[QUEUED_SECONDS]),
        queued=plane.queued,
        executing=plane.scalar(EXECUTING),
        current_requests=executing + float(step[QUEUED_SECONDS]),
        cpu=min(1.0, float(step[CPU_SECONDS]) / pods / service.cores),
        memory=min(1.0, service.memory_base + service.memory_slope * executing / pods),
        gpu_memory=None,
        tensor=0.0,
        cold_start_seconds=fleet.cold_start_seconds,
        calls=calls,
        default_limit=service.default_limit,
    )
