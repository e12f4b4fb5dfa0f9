"""Service models: how long a request takes in a pod, and what it uses, by the number executing there.

A request carries `work`, seconds it would take alone. While n execute in its pod it progresses at `speed[n]` seconds of
work per second. The best concurrency of a model is the n with the most throughput per latency (Kleinrock's power,
X^2 / n with X = n speed[n]), subject to its memory mark; it is computed from the tables, never told to a policy.
"""

import functools
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class Service:
    """One model in one kind of pod."""

    name: str
    mean_seconds: float
    """Mean work."""
    draw: Callable[[np.random.Generator, int], Floats]
    """Work of that many requests, in seconds."""
    speed: Floats
    """Progress per executing request, by the number executing; index 0 unused."""
    cpu: Floats
    """Share of the pod's CPU used, by the number executing."""
    tensor: Floats
    memory_base: float = 0.2
    memory_slope: float = 0.0
    """Share of the pod's memory: base + slope x executing."""
    gpu_memory_base: float | None = None
    gpu_memory_slope: float = 0.0
    cores: float = 1.0
    """CPU limit of a pod: where learning starts."""
    most: int = 64
    """Most that may execute at once in a pod of this kind."""

    @property
    def best(self) -> int:
        """Concurrency with the most throughput per latency, within memory."""
        counts = np.arange(1, self.most + 1)
        power = counts * self.speed[1 : self.most + 1] ** 2
        fits = self.memory_base + self.memory_slope * counts <= 0.85
        return int(counts[np.argmax(np.where(fits, power * (1 + 1e-9 * counts), 0.0))])

    @property
    def pod_rate(self) -> float:
        """Requests per second that one pod completes at its best concurrency."""
        return self.best * float(self.speed[self.best]) / self.mean_seconds

    def slo_seconds(self) -> float:
        """Service objective: the 99th percentile without queueing, at the best concurrency, plus 10 ms."""
        return _percentile(self.draw) / float(self.speed[self.best]) + 0.010


@functools.cache
def _percentile(draw: Callable[[np.random.Generator, int], Floats]) -> float:
    """99th percentile of the work drawn."""
    return float(np.quantile(draw(np.random.default_rng(12345), 200_000), 0.99))


def lognormal(mean: float, variation: float) -> Callable[[np.random.Generator, int], Floats]:
    """Log-normal work with that mean and coefficient of variation."""
    sigma = float(np.sqrt(np.log1p(variation**2)))
    location = float(np.log(mean) - sigma**2 / 2)
    return lambda random, count: random.lognormal(location, sigma, count)


def gamma(mean: float, variation: float) -> Callable[[np.random.Generator, int], Floats]:
    """Gamma work with that mean and coefficient of variation."""
    shape = 1.0 / variation**2
    return lambda random, count: random.gamma(shape, mean / shape, count)


def _shared(cores: float, most: int, *, collapse: float = 0.0) -> Floats:
    """Processor sharing: full speed up to the cores, then in proportion, less `collapse` for each request beyond."""
    counts = np.arange(0, most + 1, dtype=np.float64)
    speed = np.minimum(1.0, cores / np.maximum(counts, 1.0))
    return np.maximum(speed * np.maximum(0.2, 1.0 - collapse * np.maximum(counts - cores, 0.0)), 1e-3)


def _use(per_request: float, most: int) -> Floats:
    return np.minimum(1.0, per_request * np.arange(0, most + 1, dtype=np.float64))


def _affine(points: tuple[tuple[float, float], ...], most: int) -> Floats:
    """Speed relative to one request alone, from (concurrency, tokens per second) points of a measured batch curve."""
    counts = np.arange(1, most + 1, dtype=np.float64)
    concurrency = np.array([point[0] for point in points])
    step = concurrency / np.array([point[1] for point in points])
    times = np.interp(counts, concurrency, step)
    last = (step[-1] - step[-2]) / (concurrency[-1] - concurrency[-2])
    times = np.where(counts > concurrency[-1], step[-1] + last * (counts - concurrency[-1]), times)
    return np.concatenate([[1.0], times[0] / times])


SKLEARN = Service(
    name="sklearn",
    mean_seconds=0.002,
    draw=lognormal(0.002, 0.5),
    speed=_shared(1, 64),
    cpu=_use(1.0, 64),
    tensor=np.zeros(65),
    cores=1.0,
)
XGBOOST = Service(
    name="xgboost",
    mean_seconds=0.015,
    draw=lognormal(0.015, 0.2),
    speed=_shared(4, 64, collapse=0.02),
    cpu=_use(0.25, 64),
    tensor=np.zeros(65),
    cores=4.0,
)
WORKERS = Service(
    name="workers",
    mean_seconds=0.050,
    draw=lognormal(0.050, 0.2),
    speed=_shared(4, 64, collapse=0.02),
    cpu=_use(0.25, 64),
    tensor=np.zeros(65),
    cores=4.0,
)
"""Four workers of 50 ms: 80 requests a second a pod, 125 pods at 10,000."""
AGENT = Service(
    name="agent",
    mean_seconds=20.0,
    draw=gamma(20.0, 1.0),
    speed=np.where(np.arange(0, 1025) <= 384, 1.0, 0.1),  # beyond 384 requests of 8 MiB the pod's 4 GiB are gone
    cpu=_use(0.0015, 1024),
    tensor=np.zeros(1025),
    memory_base=0.25,
    memory_slope=8 / 4096,
    cores=1.0,
    most=1024,
)
TOKENS_MEAN = 28.0
"""Mean generated tokens of the code trace."""
LLM = Service(
    name="llm",
    mean_seconds=TOKENS_MEAN / 122.0,
    draw=lognormal(TOKENS_MEAN / 122.0, 1.0),
    # Llama-3.1-8B, fp16, one H100: tokens per second at 1, 4, 16, 64 requests.
    speed=_affine(((1, 122), (4, 580), (16, 1384), (64, 1312)), 256),
    cpu=_use(0.002, 256),
    tensor=_use(0.02, 256),
    gpu_memory_base=0.9,
    cores=4.0,
    most=256,
)
LLM_LONG = Service(
    name="llm-long-context",
    mean_seconds=TOKENS_MEAN / 122.0,
    draw=lognormal(TOKENS_MEAN / 122.0, 1.0),
    # The same with twice the cost per concurrent request: what longer contexts do to the batch curve.
    speed=_affine(((1, 122), (4, 400), (8, 690), (32, 656)), 256),
    cpu=_use(0.002, 256),
    tensor=_use(0.02, 256),
    gpu_memory_base=0.9,
    cores=4.0,
    most=256,
)
IMAGE = Service(
    name="image",
    mean_seconds=26.0,
    draw=lognormal(26.0, 0.65),  # p50 22, p90 47, p99 83 s, near the published execution times
    speed=_shared(1, 16),
    cpu=_use(0.05, 16),
    tensor=_use(0.85, 16),
    gpu_memory_base=0.5,
    gpu_memory_slope=0.1,
    cores=4.0,
    most=16,
)
MICRO = Service(
    name="micro",
    mean_seconds=0.010,
    draw=lognormal(0.010, 0.05),
    speed=_shared(1, 64),
    cpu=_use(1.0, 64),
    tensor=np.zeros(65),
    cores=1.0,
)
"""One worker, 10 ms: the service of knative issue 15000."""
