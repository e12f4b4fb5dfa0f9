"""Services as pods serve them: what a call costs, calibrated from measurements on two quiet cores.

Calls: `bench.autoscaler.calibration.SIZED_BY`, by the requests a second of one connection and the CPU of a request at
64. Front and proxies: CPU-seconds a request of `make bench-product`'s first runs (the pod alone answers 10,479 requests
a second, PoP 212 and LoadBalancer 145 microseconds of CPU a request, 2,730 a second through both). Pods have the
platform's defaults: one core, one worker, a limit of 256.
"""

import functools
import math
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from bench.autoscaler import services
from bench.autoscaler.dataplane import Floats
from bench.autoscaler.podstate import (
    ADMIT,
    COMPUTES,
    CORES,
    EACH,
    FIXED,
    FRONT,
    LANES,
    LANES_MAX,
    LIMIT,
    MOST,
    MOST_COST,
    PATH,
    PATH_THREADS,
    PATH_WAIT,
    SLO,
    SLOW,
)  # fmt: skip

MOST_REQUESTS = 256
"""That one call answers, and that a front admits for each core at first."""
OVERHEAD_SHARE = 0.1
"""Of the time of a full call that is not its requests' (runtimes/queue/batching.py)."""
LANES_OF_A_WORKER = 512
LONGEST_WAIT_SECONDS = 10.0
"""That a front lets requests wait (runtimes/queue/admission.py)."""
FILL = 0.85
"""Of a core that calls which wait fill together (runtimes/workers/worker_concurrency.py)."""


def one(random: np.random.Generator, count: int) -> Floats:
    """Requests that cost a row, within a tenth."""
    return services.lognormal(1.0, 0.1)(random, count)


def mixed(random: np.random.Generator, count: int) -> Floats:
    """One row nine times in ten, fifty rows else."""
    return np.where(random.random(count) < 0.9, 1.0, 50.0)


@dataclass(frozen=True, kw_only=True)
class PodService:
    """One model in one kind of pod."""

    name: str
    fixed_seconds: float
    """Of a call, alone on its core."""
    each_seconds: float
    """Of a call for each row."""
    merges: bool = True
    computes: float = 1.0
    """CPU of a call over its time."""
    draw: Callable[[np.random.Generator, int], Floats] = one
    """Rows of that many requests."""
    front_seconds: float = 46e-6
    """CPU of a request in the front."""
    cores: float = 1.0
    """CPU limit of a pod."""
    workers: int = 1
    start_seconds: float = 3.0
    """Of a start that are not CPU: schedule, probes."""
    start_cpu_seconds: float = 4.0
    memory_base: float = 0.5
    memory_slope: float = 0.0002

    @property
    def lanes(self) -> int:
        """Calls at once: one a worker, or as many as wait side by side."""
        if self.merges:
            return self.workers
        return self.workers * max(1, min(LANES_OF_A_WORKER, int(FILL / self.computes)))

    @property
    def most_cost(self) -> float:
        """Rows of a call of whose time a tenth is overhead."""
        if self.each_seconds == 0.0:
            return math.inf
        return max(1.0, self.fixed_seconds / self.each_seconds * (1.0 - OVERHEAD_SHARE) / OVERHEAD_SHARE)

    @property
    def most(self) -> int:
        """Requests that one call answers at most."""
        return max(1, min(MOST_REQUESTS, int(self.most_cost / _mean(self.draw)))) if self.merges else 1

    @property
    def mean_cost(self) -> float:
        """Rows of a request."""
        return _mean(self.draw)

    @property
    def default_limit(self) -> int:
        """What a front admits at once by itself."""
        return max(1, round(MOST_REQUESTS * self.cores))

    @property
    def cpu_seconds(self) -> float:
        """CPU of a request, front and call, in calls as full as they get."""
        return self.front_seconds + self.computes * self._each

    @property
    def _each(self) -> float:
        return self.fixed_seconds / self.most + self.each_seconds * _mean(self.draw)

    def rate(self, limit: int | None = None) -> float:
        """Requests a second that a pod with its cores to itself answers at most."""
        calls = min(self.lanes, self.default_limit if limit is None else limit)
        return min(calls / self._each, self.cores / self.cpu_seconds, 1.0 / max(self.front_seconds, 1e-12))

    def alone_seconds(self) -> float:
        """A request alone in a pod."""
        return self.front_seconds + self.fixed_seconds + self.each_seconds

    def _waiting_room(self, limit: int, slow: float) -> int:
        """Requests that may wait in a front: no more than are served in LONGEST_WAIT_SECONDS."""
        most = max(64, min(1024, 4 * limit))
        place = self._each * slow / min(limit, self.lanes)
        return min(most, int(LONGEST_WAIT_SECONDS / place) + 1)

    def law(
        self, limit: int, *, slow: float = 1.0, path_seconds: float = 0.0, path_wait: float = 0.0, slo: float = math.inf
    ) -> Floats:
        """The plane's law at that limit, with calls `slow` times as long."""
        found = np.zeros(15)
        for column, value in {
            FIXED: self.fixed_seconds,
            EACH: self.each_seconds,
            COMPUTES: self.computes,
            FRONT: self.front_seconds,
            CORES: self.cores,
            LANES: self.lanes,
            MOST: self.most,
            MOST_COST: self.most_cost if self.merges else math.inf,
            LIMIT: min(limit, LANES_MAX),
            ADMIT: min(limit, self.lanes * self.most) + self._waiting_room(limit, slow),
            SLO: slo,
            PATH: path_seconds,
            PATH_THREADS: 2.0,
            PATH_WAIT: path_wait,
            SLOW: slow,
        }.items():
            found[column] = value
        return found


@functools.cache
def _mean(draw: Callable[[np.random.Generator, int], Floats]) -> float:
    return float(draw(np.random.default_rng(12345), 100_000).mean())


LOGISTIC = PodService(name="logistic", fixed_seconds=1.15e-3, each_seconds=12e-6, computes=0.9)
"""One connection has an answer in 1.1 ms, nearly all of it the call; at 64, calls of about thirty take a worker 48
microseconds of CPU a request."""
MIXED = replace(LOGISTIC, name="logistic, mixed", draw=mixed)
LABELLED = PodService(name="logistic, slow form", fixed_seconds=8e-3, each_seconds=0.0, merges=False)
"""A form of the request that the fast way does not know: a table is made of each."""
FOREST = PodService(name="forest", fixed_seconds=4.2e-3, each_seconds=10e-6)
XGBOOST = PodService(name="xgboost", fixed_seconds=1.6e-3, each_seconds=6e-6)
CNN = PodService(name="cnn", fixed_seconds=450e-6, each_seconds=70e-6)
AGENT = PodService(
    name="waits 200 ms", fixed_seconds=0.2, each_seconds=0.0, merges=False, computes=0.0025, memory_slope=0.0004
)
CALLERS = PodService(
    name="waits 1 s", fixed_seconds=1.0, each_seconds=0.0, merges=False, computes=0.0005, memory_slope=0.0004
)
COMPUTE = PodService(name="computes 40 ms", fixed_seconds=0.0, each_seconds=0.040, merges=False)
