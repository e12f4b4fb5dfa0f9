"""A version on a fake clock: its load is served ideally, its pods follow the decisions after a cold start."""

import itertools
from collections.abc import Callable
from dataclasses import replace

from headrace.autoscaler.engine import Decision, LoadCounters, Memory, Observation, PodCounts, Utilisation, decide
from headrace.contract.apa import AutoscalerSpec


class Story:
    """Seconds pass with `run`; `decision` and `replicas` say what came of them."""

    def __init__(self) -> None:
        self.spec = AutoscalerSpec(target="v1", max_replicas=1000, min_concurrency=4, max_concurrency=4)
        self.service: Callable[[float], float] = lambda executing_per_pod: 0.05
        self.use: Callable[[float], Utilisation] = lambda executing_per_pod: Utilisation()
        self.now = 1_700_000_000.0
        self.memory = Memory()
        self.decision: Decision | None = None
        self.log: list[Decision] = []
        self.replicas = 1
        self.cold_start = 10.0
        self.cores: float | None = None
        self.queue = 0.0
        self.pods: PodCounts | None = None
        self.seen: Observation | None = None
        """What the last decision was made from."""
        self._born: list[float] = [0.0]
        self._load = LoadCounters(arrived=0, completed=0, executing_seconds=0, queued_seconds=0)

    @property
    def ready(self) -> int:
        """Pods that have started."""
        return sum(self.now >= born + self.cold_start for born in self._born)

    def begin(self, replicas: int) -> None:
        """That many pods, all ready."""
        self.replicas, self._born = replicas, [0.0] * replicas

    def run(self, seconds: int, rate: float | Callable[[int], float]) -> "Story":
        """One observation and one decision a second."""
        for second in range(seconds):
            self.now += 1.0
            self._serve(rate(second) if callable(rate) else rate)
            self.decide(self.observation())
        return self

    def _serve(self, arrived: float) -> None:
        ready, limit = self.ready, self._limit()
        offered = arrived * self.service(0.0)
        executing = min(float(ready * limit), offered)
        for _ in range(20):  # service time and concurrency settle on each other
            per_pod = executing / ready if ready else 0.0
            executing = min(float(ready * limit), (arrived + self.queue) * self.service(per_pod))
        per_pod = executing / ready if ready else 0.0
        done = executing / self.service(per_pod)
        self.queue = max(0.0, min(10_000.0, self.queue + arrived - done))
        load = self._load
        self._load = LoadCounters(
            arrived=load.arrived + arrived,
            completed=load.completed + done,
            executing_seconds=load.executing_seconds + executing,
            queued_seconds=load.queued_seconds + self.queue,
            queued=self.queue,
            executing=executing,
        )
        self._per_pod = per_pod

    def _limit(self) -> int:
        return self.decision.concurrency if self.decision is not None else 4

    def observation(self) -> Observation:
        """What is seen now."""
        counts = PodCounts(desired=self.replicas, ready=self.ready, starting=self.replicas - self.ready)
        return Observation(
            taken_at=self.now,
            load=self._load,
            pods=self.pods if self.pods is not None else counts,
            utilisation=self.use(getattr(self, "_per_pod", 0.0)),
            cold_start_seconds=self.cold_start,
            pod_cores=self.cores,
        )

    def decide(self, observation: Observation, *, now: float | None = None) -> Decision:
        """One decision, carried out."""
        at = self.now if now is None else now
        self.seen = observation
        decision, self.memory = decide(self.spec, observation, self.memory, at)
        self.decision = decision
        self.log.append(decision)
        del self._born[decision.replicas :]
        self._born.extend([self.now] * (decision.replicas - len(self._born)))
        self.replicas = decision.replicas
        return decision

    def restart(self) -> None:
        """The controller forgets; the world stays."""
        self.memory = Memory()
        self.log.clear()

    def limits(self, **changes: object) -> None:
        """Another spec from now on."""
        self.spec = replace(self.spec, **changes)  # type: ignore[arg-type]

    @property
    def actions(self) -> int:
        """Changes of the number of pods."""
        counts = [decision.replicas for decision in self.log]
        return sum(a != b for a, b in itertools.pairwise(counts))

    def learns(self, *, first: int | None = None) -> "Story":
        """The concurrency limit is not given but learned, from `first` on."""
        self.limits(min_concurrency=1, max_concurrency=1024, initial_concurrency=first, max_replicas=200)
        return self

    @property
    def limits_set(self) -> list[int]:
        """Concurrency limits after each change."""
        limits = [decision.concurrency for decision in self.log]
        return [later for earlier, later in itertools.pairwise(limits) if earlier != later]

    def with_reason(self, code: str) -> list[bool]:
        """Of each decision, whether a reason has this code."""
        return [decision.has(code) for decision in self.log]
