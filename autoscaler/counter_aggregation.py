"""Counter aggregation: the load of every version out of the counters of its pods and of the balancers.

Sums over pods are not monotone: a pod that goes takes its counters along. So increases are summed, series by series,
into totals that only grow; a series that restarts contributes what it has counted since.
"""

import functools
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from headrace.autoscaler.engine import CallCurve, LoadCounters, Utilisation
from headrace.autoscaler.exposition import Sample
from headrace.contract import metrics, names
from headrace.kube.api_server import Key

COUNT_MAX = 1e18
"""No counter of requests or seconds grows so far. One that says so is handed on for the engine to judge, and is kept
out of the totals, which it would spoil for good."""
MISSES_BEFORE_GONE = 3
"""Scrapes in a row that a balancer may miss before its share of the load is given up for lost."""
READS_REMEMBERED = 600
"""Reads, a second apart, for which a series that is silent is remembered: one that comes back has not grown by all that
it ever counted. After twice as many it is forgotten for certain; pods come and go, and the memory must not grow."""

FRONT_COUNTERS = {
    metrics.FRONT_ARRIVED: "front_arrived",
    metrics.FRONT_COMPLETED: "completed",
    metrics.FRONT_EXECUTING_SECONDS: "executing_seconds",
    metrics.FRONT_QUEUED_SECONDS: "queued_seconds",
}
SUMMED = (metrics.FRONT_EXECUTING, metrics.FRONT_QUEUED)
_CALLS = {
    "fixed_seconds": metrics.FRONT_CALL_FIXED_SECONDS,
    "request_seconds": metrics.FRONT_CALL_REQUEST_SECONDS,
    "requests_max": metrics.FRONT_CALL_REQUESTS_MAX,
    "at_once": metrics.FRONT_CALLS_AT_ONCE,
    "mean_seconds": metrics.FRONT_CALL_MEAN_SECONDS,
}
_RATIOS = {
    "cpu": metrics.FRONT_CPU_RATIO,
    "memory": metrics.FRONT_MEMORY_RATIO,
    "io_wait": metrics.FRONT_IO_WAIT_RATIO,
}
AVERAGED = (*_RATIOS.values(), metrics.FRONT_DEFAULT_LIMIT, *_CALLS.values())
_ENVOY_COUNTERS = {
    metrics.ENVOY_REQUESTS: "sent",
    metrics.ENVOY_RETRIES: "retried",
    metrics.ENVOY_UNHEALTHY: "unserved",
}
_GPU = {
    metrics.DCGM_GPU_UTILISATION: ("gpu", 0.01),
    metrics.DCGM_MEMORY_BANDWIDTH: ("memory_bandwidth", 1.0),
    metrics.DCGM_TENSOR_ACTIVE: ("tensor", 1.0),
}
_COUNTERS = {**FRONT_COUNTERS, **_ENVOY_COUNTERS}
_FAMILY = {**dict.fromkeys(FRONT_COUNTERS.values(), "front"), **dict.fromkeys(_ENVOY_COUNTERS.values(), "envoy")}
FRONT_NAMES = frozenset({*FRONT_COUNTERS, *SUMMED, *AVERAGED, metrics.FRONT_CONCURRENCY_LIMIT})
ENVOY_NAMES = frozenset(_ENVOY_COUNTERS)
GPU_NAMES = frozenset({*_GPU, metrics.DCGM_MEMORY_USED, metrics.DCGM_MEMORY_FREE})


@dataclass(frozen=True, kw_only=True)
class Targets:
    """What to read: ready pods of each version, and the balancers. Names to addresses."""

    pods: Mapping[Key, Mapping[str, str]]
    balancers: Mapping[str, str]


@dataclass(frozen=True, kw_only=True)
class Reading:
    taken_at: float
    load: LoadCounters | None
    utilisation: Utilisation = field(default_factory=Utilisation)
    limits: frozenset[int] = frozenset()
    """Admission limits in force: one, when all pods have the same."""
    calls: CallCurve | None = None
    """What model calls cost; None where no pod tells."""
    default_limit: int | None = None
    """Admission limit that the runtime chose by itself; None where no pod tells."""


class Totals:
    """Per-version totals out of per-series counters."""

    def __init__(self) -> None:
        self._versions: dict[Key, _Counted] = {}
        self._balancers: dict[str, int] = {}  # reads in a row that missed it
        self._reads = 0

    def read(self, samples: Iterable[Sample], targets: Targets, *, taken_at: Mapping[Key, float]) -> dict[Key, Reading]:
        """Takes one set of samples in and gives each version's reading. Versions that are no target are forgotten."""
        self._versions = {key: self._versions.get(key) or _Counted() for key in targets.pods}
        self._reads += 1
        if self._reads % READS_REMEMBERED == 0:
            for counted in self._versions.values():
                counted.age()
        found = {key: _Found(counted) for key, counted in self._versions.items()}
        by_pod = {(key[0], pod): key for key, pods in targets.pods.items() for pod in pods}
        heard: set[str] = set()
        key: Key | None
        for instance, name, labels, value in samples:
            if name in _ENVOY_COUNTERS:
                heard.add(instance)
                key = _key(*labels.get(metrics.ENVOY_CLUSTER_LABEL, "").rpartition("/")[::2])
            elif name in GPU_NAMES:
                namespace = labels.get("exported_namespace", labels.get("namespace", ""))
                key = by_pod.get((namespace, labels.get("exported_pod", labels.get("pod", ""))))
            else:
                key = version_of(labels)
            item = found.get(key) if key is not None else None
            if item is None:
                continue
            counter = _COUNTERS.get(name)
            if counter is None:
                item.gauge(name, value)
            elif 0 <= value <= COUNT_MAX:  # NaN is neither
                item.heard.add(name)
                item.counted.grow(counter, instance, value)
            else:
                item.heard.add(name)
                item.broken[counter] = value
        silent = self._silent(heard, set(targets.balancers.values()))
        return {
            key: item.reading(expected=bool(targets.pods[key]), silent=silent, taken_at=taken_at.get(key))
            for key, item in found.items()
        }

    def balanced(self, key: Key) -> bool:
        """Whether a balancer has told of the version: what its fronts saw arrive is not asked then."""
        counted = self._versions.get(key)
        return counted is not None and "envoy" in counted.begun

    def _silent(self, heard: set[str], expected: set[str]) -> bool:
        """Whether a balancer that was heard before is missing, for no longer than a hiccup."""
        missed = {instance: misses + 1 for instance, misses in self._balancers.items()} | dict.fromkeys(heard, 0)
        for instance in missed.keys() - heard:
            if missed[instance] > MISSES_BEFORE_GONE or (expected and instance not in expected):
                del missed[instance]
        self._balancers = missed
        return any(missed.values())


class _Counted:
    """What one version has counted so far."""

    __slots__ = ("begun", "last", "older", "sums")

    def __init__(self) -> None:
        self.sums = dict.fromkeys(_FAMILY, 0.0)
        """By counter: a total that only grows."""
        self.begun: set[str] = set()
        """Families of counters that were heard in an earlier read."""
        self.last: dict[str, dict[str, float]] = {counter: {} for counter in _FAMILY}
        """By counter, what each instance said last."""
        self.older: dict[str, dict[str, float]] = {counter: {} for counter in _FAMILY}
        """The same of instances that have been silent since memory last aged."""

    def grow(self, counter: str, instance: str, value: float) -> None:
        """Takes in what one instance says."""
        known = self.last[counter]
        last = known.get(instance)
        known[instance] = value
        if last is None:
            last = self.older[counter].pop(instance, None)
        if last is not None:
            self.sums[counter] += value - last if value >= last else value
        elif _FAMILY[counter] in self.begun:
            self.sums[counter] += value  # a series that appears later has counted from zero; the first have a past

    def age(self) -> None:
        """Forgets who has been silent since memory aged before."""
        self.older, self.last = self.last, {counter: {} for counter in _FAMILY}


class _Found:
    """Samples of one version in one read."""

    __slots__ = ("broken", "counted", "gauges", "heard", "limits")

    def __init__(self, counted: _Counted) -> None:
        self.counted = counted
        self.heard: set[str] = set()
        """Names of its counters."""
        self.broken: dict[str, float] = {}
        self.gauges: dict[str, list[float]] = {}
        self.limits: set[int] = set()

    def reading(self, *, expected: bool, silent: bool, taken_at: float | None) -> Reading:
        """All of it together. `expected`: there are pods, which should be heard; `silent`: a balancer is missing."""
        families = {_FAMILY[_COUNTERS[name]] for name in self.heard}
        self.counted.begun |= families
        load = None
        if taken_at is not None and not silent and ("front" in families or not expected):
            load = LoadCounters(
                arrived=self._arrived(),
                completed=self._total("completed"),
                executing_seconds=self._total("executing_seconds"),
                queued_seconds=self._total("queued_seconds"),
                queued=self.sum(metrics.FRONT_QUEUED),
                executing=self.sum(metrics.FRONT_EXECUTING),
            )
        return Reading(
            taken_at=taken_at if taken_at is not None else 0.0,
            load=load,
            utilisation=self.utilisation(),
            limits=frozenset(self.limits),
            calls=self.calls(),
            default_limit=self.default_limit(),
        )

    def _arrived(self) -> float:
        """What the balancers sent and could not send, less second attempts; without a balancer, what fronts saw."""
        if "envoy" not in self.counted.begun:
            return self._total("front_arrived")
        return self._total("sent") - self._total("retried") + self._total("unserved")

    def _total(self, counter: str) -> float:
        return self.broken.get(counter, self.counted.sums[counter])

    def gauge(self, name: str, value: float) -> None:
        if name != metrics.FRONT_CONCURRENCY_LIMIT:
            self.gauges.setdefault(name, []).append(value)
        elif math.isfinite(value) and value >= 0:
            self.limits.add(int(value))

    def sum(self, name: str) -> float:
        values = self.gauges.get(name, ())
        return math.fsum(values) if all(map(math.isfinite, values)) else math.nan

    def mean(self, name: str) -> float | None:
        """Mean of a gauge over the pods that gave a usable value; None when none did."""
        values = [value for value in self.gauges.get(name, ()) if math.isfinite(value) and value >= 0]
        return math.fsum(values) / len(values) if values else None

    def calls(self) -> CallCurve | None:
        """Means over the pods that tell; None where none tells all of it."""
        means = {field: self.mean(name) for field, name in _CALLS.items()}
        known = {field: mean for field, mean in means.items() if mean is not None}
        return CallCurve(**known) if len(known) == len(_CALLS) else None

    def default_limit(self) -> int | None:
        """The runtime's own limit, the mean where versions of the front differ."""
        mean = self.mean(metrics.FRONT_DEFAULT_LIMIT)
        return None if mean is None or not 1 <= mean <= COUNT_MAX else round(mean)

    def utilisation(self) -> Utilisation:
        shares = {field: self.mean(name) for field, name in _RATIOS.items()}
        shares |= {
            field: mean * scale for name, (field, scale) in _GPU.items() if (mean := self.mean(name)) is not None
        }
        used, free = self.mean(metrics.DCGM_MEMORY_USED), self.mean(metrics.DCGM_MEMORY_FREE)
        if used is not None and free is not None and used + free > 0:
            shares["gpu_memory"] = used / (used + free)
        return Utilisation(**shares)


@functools.lru_cache(maxsize=1 << 13)
def _key(endpoint: str, version: str) -> Key:
    return names.endpoint_namespace(endpoint), version


def version_of(labels: Mapping[str, str]) -> Key:
    """The version that a front's labels tell of."""
    return _key(labels.get(metrics.ENDPOINT_METRIC_LABEL, ""), labels.get(metrics.VERSION_METRIC_LABEL, ""))
