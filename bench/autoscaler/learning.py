"""The vertical axis alone: does it find what a model can bear, at what price, and is it quiet then?"""

import itertools
import math
from dataclasses import dataclass, replace

import numpy as np

from bench.autoscaler import loads, services
from bench.autoscaler.loads import Floats
from bench.autoscaler.policies import Apa, Policy, Setting, Stats, Wanted
from bench.autoscaler.run import Case, Outcome, run
from bench.autoscaler.services import Service

BUDGET_SECONDS = 600
"""The bar: learned within ten minutes."""


@dataclass(frozen=True, kw_only=True)
class Lesson:
    """One service met for the first time."""

    name: str
    service: Service
    rates: Floats
    first: int | None
    """Where the runtime starts: its workers, or its own batch default. None: the pod's cores."""
    cold_start_seconds: float = 10.0
    shifted: Service | None = None
    shift_at: float | None = None

    def case(self, seed: int) -> Case:
        """The lesson with one seed drawn."""
        random = np.random.default_rng(2000 + seed)
        arrivals = loads.poisson(self.rates, random)
        service = self.service
        first = self.first if self.first is not None else math.ceil(service.cores)
        peak = float(np.convolve(self.rates, np.ones(60) / 60, "valid").max())
        alone = first * float(service.speed[min(first, service.most)]) / service.mean_seconds
        return Case(
            name=self.name,
            service=service,
            arrivals=arrivals,
            work=service.draw(random, arrivals.size),
            seconds=self.rates.size,
            warm_seconds=0,
            setting=Setting(
                concurrency=first,
                target=0.7 * first,
                initial=max(1, math.ceil(float(self.rates[:60].mean()) / alone / 0.5)),
                min_replicas=1,
                max_replicas=math.ceil(4.0 * peak / service.pod_rate / 0.5) + 2,
                cores=service.cores,
            ),
            cold_start_seconds=self.cold_start_seconds,
            needed=peak / service.pod_rate,
            shifted=self.shifted,
            shift_at=self.shift_at,
            seed=seed,
        )


@dataclass(frozen=True, kw_only=True)
class Learned:
    """What came of a lesson."""

    best: int
    learned: int
    """After ten minutes."""
    changes_after: int
    """Changes of the limit after those, up to a shift."""
    extra_violations: float
    """Over a run that knows the best from the start."""
    best_after_shift: int | None
    learned_after_shift: int | None
    """Ten minutes after the shift."""
    violations: float
    pod_seconds: float
    outcome: Outcome

    @property
    def error(self) -> float:
        """Relative distance from the best."""
        return abs(self.learned - self.best) / self.best

    @property
    def error_after_shift(self) -> float | None:
        """The same after the shift."""
        if self.best_after_shift is None or self.learned_after_shift is None:
            return None
        return abs(self.learned_after_shift - self.best_after_shift) / self.best_after_shift


class _Watched:
    """A policy whose concurrency is noted each second."""

    def __init__(self, inner: Policy) -> None:
        self.inner = inner
        self.limits: list[int] = []

    def observe(self, stats: Stats) -> Wanted:
        wanted = self.inner.observe(stats)
        self.limits.append(wanted.concurrency if wanted.concurrency is not None else 0)
        return wanted

    def close(self) -> None:
        """Nothing was started."""


def study(lesson: Lesson, seed: int) -> Learned:
    """One run that learns against one that knows."""
    case = lesson.case(seed)
    watched = _Watched(Apa(case.setting, vertical=True, first=lesson.first))
    outcome = run(case, watched, keep_trace=True)
    best = lesson.service.best
    knowing = replace(case, setting=replace(case.setting, concurrency=best, target=0.7 * best))
    known = run(knowing, Apa(knowing.setting))
    end = int(lesson.shift_at) if lesson.shift_at is not None else len(watched.limits)
    settled = watched.limits[BUDGET_SECONDS:end]
    return Learned(
        best=best,
        learned=watched.limits[BUDGET_SECONDS - 1],
        changes_after=sum(a != b for a, b in itertools.pairwise(settled)),
        extra_violations=outcome.violations - known.violations,
        best_after_shift=lesson.shifted.best if lesson.shifted is not None else None,
        learned_after_shift=watched.limits[end + BUDGET_SECONDS - 1] if lesson.shifted is not None else None,
        violations=outcome.violations,
        pod_seconds=outcome.pod_seconds,
        outcome=outcome,
    )


def _growing(low: float, high: float, *, rising: int, during: int) -> Floats:
    """A new endpoint's load: it grows over the first minutes, with the slow swing that real loads have."""
    base = loads.ramp(low, high, before=0, rising=rising, during=during)
    return base * (1.0 + 0.15 * np.sin(2 * np.pi * np.arange(base.size) / 300.0))


def lessons() -> list[Lesson]:
    """Every service model, met for the first time under a growing load."""
    return [
        Lesson(
            name="sklearn",
            service=services.SKLEARN,
            rates=_growing(50, 500, rising=300, during=900),
            first=None,
            cold_start_seconds=2.0,
        ),
        Lesson(name="xgboost", service=services.XGBOOST, rates=_growing(50, 500, rising=300, during=900), first=None),
        Lesson(name="agent", service=services.AGENT, rates=_growing(1, 60, rising=600, during=900), first=16),
        Lesson(
            name="llm",
            service=services.LLM,
            rates=_growing(20, 250, rising=300, during=1200),
            first=4,
            cold_start_seconds=24.0,
        ),
        Lesson(
            name="image",
            service=services.IMAGE,
            rates=_growing(0.3, 0.8, rising=300, during=1500),
            first=1,
            cold_start_seconds=24.0,
        ),
        Lesson(
            name="llm, then longer contexts",
            service=services.LLM,
            rates=_growing(20, 150, rising=300, during=1500),
            first=4,
            cold_start_seconds=24.0,
            shifted=services.LLM_LONG,
            shift_at=900.0,
        ),
    ]
