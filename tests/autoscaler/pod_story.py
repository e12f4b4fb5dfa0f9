"""A version of measured pods on one node, on a fake clock: what its front would report, second by second.

A fluid model: calls of n merged requests take `fixed + n each` seconds in a worker of which there is one a pod; front
and proxies take CPU a request; what pods, proxies and neighbours want beyond the cores that the node has slows all
of them. Callers are an open loop (`rate`) or a closed one (`callers`, who each wait for their answer).
"""

import math
from collections.abc import Callable
from dataclasses import dataclass, replace

from headrace.autoscaler.engine import (
    CallCurve,
    Decision,
    LoadCounters,
    Memory,
    Observation,
    PodCounts,
    Utilisation,
    decide,
)
from headrace.contract.apa import AutoscalerSpec


@dataclass(frozen=True, kw_only=True)
class Model:
    """What one request costs."""

    fixed: float = 0.000_25
    each: float = 0.000_02
    merged: float = 256.0
    """Most requests in a call."""
    busy: float = 1.0
    """Share of a call that is CPU."""
    front: float = 0.000_05
    """CPU-seconds of the front."""

    @property
    def best(self) -> float:
        """Seconds of a call for each of its requests, at its fullest."""
        return self.fixed / self.merged + self.each

    def per_request(self, rate: float) -> float:
        """The same in calls as full as a rate of one worker makes them."""
        if rate <= 1.0 / (self.fixed + self.each) or self.busy < 1.0:
            return self.fixed + self.each
        merged = min(self.merged, rate * self.fixed / max(1e-9, 1.0 - rate * self.each))
        return self.fixed / max(1.0, merged) + self.each


LOGISTIC = Model()
COMPUTES = Model(fixed=0.0, each=0.04, merged=1.0)
WAITS = Model(fixed=0.0, each=1.0, merged=1.0, busy=0.002)


class PodStory:
    """Seconds pass with `run`; `ordered` and `log` say what came of them."""

    def __init__(self, model: Model, *, cores: float = 2.0, proxies: float = 0.000_36, fits: int = 4) -> None:
        self.model, self.cores, self.proxies, self.fits = model, cores, proxies, fits
        self.neighbour = 0.0
        """Cores of the node that somebody else uses."""
        self.lock = math.inf
        """Requests a second that something shared by all pods allows."""
        self.pod_lock = math.inf
        """The same of something shared within a pod."""
        self.waits_inside = False
        """Whether what waits does so in calls, and not in the queue."""
        self.pod_cores = 1.0
        self.fill: Callable[[float], float] = lambda executing: 0.3
        """Memory share of a pod that executes so many requests."""
        self.spec = AutoscalerSpec(target="v1")
        self.told: Callable[[CallCurve], CallCurve | None] = lambda curve: curve
        self.default_limit: int | None = 256
        self.start_seconds = 3.0
        self.now = 1_700_000_000.0
        self.memory = Memory()
        self.log: list[Decision] = []
        self.queue = 0.0
        self.completed_rate = 0.0
        self._mean = model.fixed + model.each
        """Seconds of calls for each request, as they are merged now."""
        self._load = LoadCounters(arrived=0, completed=0, executing_seconds=0, queued_seconds=0)
        self._born = [0.0]

    @property
    def ordered(self) -> int:
        """Pods ordered now."""
        return len(self._born)

    @property
    def most_ordered(self) -> int:
        """Most pods ordered at any time."""
        return max(decision.replicas for decision in self.log)

    def codes(self) -> set[str]:
        """Codes of all reasons."""
        return {reason.code for decision in self.log for reason in decision.reasons}

    def run(self, seconds: int, *, rate: float | Callable[[int], float] = 0.0, callers: int = 0) -> "PodStory":
        """One observation and one decision a second."""
        for second in range(seconds):
            self.now += 1.0
            placed = self._born[: self.fits]
            ready = sum(self.now >= born + self.start_seconds for born in placed)
            share = self._serve(rate(second) if callable(rate) else rate, callers, ready)
            self._decide(ready, len(placed), share)
        return self

    def _serve(self, rate: float, callers: int, ready: int) -> float:
        """Serves a second; the share of its cores that a pod used."""
        model = self.model
        if ready == 0:
            self.queue = min(10_000.0, self.queue + rate) if not callers else float(callers)
            self._count(rate, 0.0, 0.0, self.queue)
            self.completed_rate = 0.0
            return 0.0
        wanted = callers / (model.fixed + model.each + 0.002) if callers else rate + self.queue
        pod = min(1.0 / model.best if model.busy >= 1.0 else 256.0 / model.best, self._pod_rate(model.best))
        node = max(0.01, self.cores - self.neighbour) / (self.proxies + model.front + model.best * model.busy)
        done = min(wanted, ready * min(pod, self.pod_lock), node, self.lock)
        self._mean = model.best if done >= 0.999 * ready * pod else model.per_request(done / ready)
        cost = model.front + self._mean * model.busy
        call = model.fixed + model.each
        if callers:
            # Whoever is not in a call waits: in a pod, or half of them in the proxies where the node is what is short.
            inside = callers if done < node else callers / 2.0
            self.queue = max(0.0, inside - done * call)
            arrived = done
        else:
            arrived = rate
            self.queue = min(10_000.0, max(0.0, self.queue + rate - done))
        held = min(self.queue, ready * 256.0)  # waits inside of calls: they take longer for want of a core
        slowed = held if done >= node * 0.999 or self.waits_inside else 0.0
        self._count(arrived, done, done * call + slowed, self.queue - slowed)
        self.completed_rate = done
        return min(1.0, done * cost / ready / self.pod_cores)

    def _pod_rate(self, call: float) -> float:
        return self.pod_cores / (self.model.front + call * self.model.busy)

    def _count(self, arrived: float, done: float, executing: float, queued: float) -> None:
        load = self._load
        self._load = LoadCounters(
            arrived=load.arrived + arrived,
            completed=load.completed + done,
            executing_seconds=load.executing_seconds + executing,
            queued_seconds=load.queued_seconds + queued,
            queued=queued if not self.waits_inside else 0.0,
            executing=executing,
        )

    def _decide(self, ready: int, placed: int, share: float) -> None:
        model = self.model
        merges = model.merged > 1
        curve = CallCurve(
            fixed_seconds=model.fixed,
            request_seconds=model.each,
            requests_max=model.merged,
            at_once=1.0 if merges else min(512.0, max(1.0, 0.85 / model.busy)),
            mean_seconds=self._mean,
        )
        served = self._load.completed > 0
        executing = self._load.executing / max(1, ready)
        decision, self.memory = decide(
            self.spec,
            Observation(
                taken_at=self.now,
                load=self._load,
                pods=PodCounts(
                    desired=self.ordered,
                    ready=ready,
                    starting=placed - ready,
                    unschedulable=self.ordered - placed,
                ),
                utilisation=Utilisation(cpu=share if ready else None, memory=self.fill(executing)),
                cold_start_seconds=self.start_seconds,
                pod_cores=self.pod_cores,
                calls=self.told(curve) if served else None,
                default_limit=self.default_limit if ready else None,
            ),
            self.memory,
            self.now,
        )
        self.log.append(decision)
        del self._born[decision.replicas :]
        self._born.extend([self.now] * (decision.replicas - len(self._born)))

    def becomes(self, **changes: float) -> None:
        """The model costs something else from now on."""
        self.model = replace(self.model, **changes)
