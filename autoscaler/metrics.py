"""Metrics: the load of every version, from Prometheus or straight from the balancers and pods.

Sums over pods are not monotone: a pod that goes takes its counters along. So increases are summed, series by series,
into totals that only grow; a series that restarts contributes what it has counted since.
"""

import functools
import logging
import math
from collections.abc import Collection, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any, Protocol

import requests
import urllib3
from prometheus_api_client.exceptions import PrometheusApiClientException
from prometheus_api_client.prometheus_connect import PrometheusConnect

from headrace.autoscaler import telemetry
from headrace.autoscaler.engine import LoadCounters, Utilisation
from headrace.autoscaler.exposition import Sample, from_query, parse
from headrace.contract import metrics, names
from headrace.machinery.api_server import Key

log = logging.getLogger(__name__)

SCRAPE_SECONDS = 0.8
"""Longest wait for one source: less than the period, so that a dead pod delays nobody."""
COUNT_MAX = 1e18
"""No counter of requests or seconds grows so far. One that says so is handed on for the engine to judge, and is kept
out of the totals, which it would spoil for good."""
MISSES_BEFORE_GONE = 3
"""Scrapes in a row that a balancer may miss before its share of the load is given up for lost."""

_FRONT_COUNTERS = {
    metrics.FRONT_ARRIVED: "front_arrived",
    metrics.FRONT_COMPLETED: "completed",
    metrics.FRONT_EXECUTING_SECONDS: "executing_seconds",
    metrics.FRONT_QUEUED_SECONDS: "queued_seconds",
}
_SUMMED = (metrics.FRONT_EXECUTING, metrics.FRONT_QUEUED)
_AVERAGED = (metrics.FRONT_CPU_RATIO, metrics.FRONT_MEMORY_RATIO, metrics.FRONT_IO_WAIT_RATIO)
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
_LIMIT = "limit"
"""Label under which Prometheus gives the value that it counted."""
FRONT_NAMES = frozenset({*_FRONT_COUNTERS, *_SUMMED, *_AVERAGED, metrics.FRONT_CONCURRENCY_LIMIT})
ENVOY_NAMES = frozenset(_ENVOY_COUNTERS)
GPU_NAMES = frozenset({*_GPU, metrics.DCGM_MEMORY_USED, metrics.DCGM_MEMORY_FREE})


@dataclass(frozen=True, kw_only=True)
class Targets:
    """What to read: ready pods of each version, and the balancers. Names to addresses."""

    pods: Mapping[Key, Mapping[str, str]]
    balancers: Mapping[str, str]


@dataclass(frozen=True, kw_only=True)
class Reading:
    """Load of one version."""

    taken_at: float
    load: LoadCounters | None
    utilisation: Utilisation = field(default_factory=Utilisation)
    limits: frozenset[int] = frozenset()
    """Admission limits in force: one, when all pods have the same."""


class Source(Protocol):
    """Where readings come from."""

    def read(self, targets: Targets, now: float) -> dict[Key, Reading]:
        """One reading for each version of the targets; `load` is None where nothing is known."""


class Totals:
    """Per-version totals out of per-series counters."""

    def __init__(self) -> None:
        self._last: dict[tuple[str, str, Key], float] = {}
        self._sums: dict[tuple[Key, str], float] = {}
        self._begun: set[tuple[Key, str]] = set()
        self._balancers: dict[str, int] = {}  # reads in a row that missed it

    def read(self, samples: Iterable[Sample], targets: Targets, *, taken_at: Mapping[Key, float]) -> dict[Key, Reading]:
        """Takes one set of samples in and gives each version's reading."""
        found: dict[Key, _Found] = {key: _Found() for key in targets.pods}
        by_pod = {(key[0], pod): key for key, pods in targets.pods.items() for pod in pods}
        heard: set[str] = set()
        for sample in samples:
            if sample.name in _ENVOY_COUNTERS:
                heard.add(sample.instance)
                endpoint, _, version = sample.labels.get(metrics.ENVOY_CLUSTER_LABEL, "").rpartition("/")
                self._count(found, _key(endpoint, version), sample, _ENVOY_COUNTERS)
            elif sample.name in FRONT_NAMES:
                key = _version(sample)
                if sample.name in _FRONT_COUNTERS:
                    self._count(found, key, sample, _FRONT_COUNTERS)
                elif key in found:
                    found[key].gauge(sample)
            elif sample.name in GPU_NAMES:
                namespace = sample.labels.get("exported_namespace", sample.labels.get("namespace", ""))
                owner = by_pod.get((namespace, sample.labels.get("exported_pod", sample.labels.get("pod", ""))))
                if owner is not None:
                    found[owner].gauge(sample)
        self._begun |= {(key, family) for key, item in found.items() for family in item.families}
        silent = self._silent(heard, set(targets.balancers.values()))
        return {
            key: self._reading(key, item, expected=bool(targets.pods[key]), silent=silent, taken_at=taken_at.get(key))
            for key, item in found.items()
        }

    def _count(self, found: dict[Key, "_Found"], key: Key, sample: Sample, counters: Mapping[str, str]) -> None:
        item = found.get(key)
        if item is None:
            return
        counter, value = counters[sample.name], sample.value
        family = "envoy" if sample.name in _ENVOY_COUNTERS else "front"
        item.families.add(family)
        item.front_heard = item.front_heard or family == "front"
        if not 0 <= value <= COUNT_MAX:  # NaN is neither
            item.broken[counter] = value
            return
        series = (sample.instance, sample.name, key)
        last = self._last.get(series)
        self._last[series] = value
        if last is None:
            # The first look finds counters with a past; a series that appears later has counted from zero.
            grown = value if (key, family) in self._begun else 0.0
        else:
            grown = value - last if value >= last else value
        self._sums[key, counter] = self._sums.get((key, counter), 0.0) + grown

    def _silent(self, heard: set[str], expected: set[str]) -> bool:
        """Whether a balancer that was heard before is missing, for no longer than a hiccup."""
        for instance in heard:
            self._balancers[instance] = 0
        missing = False
        for instance in list(self._balancers):
            if instance in heard:
                continue
            self._balancers[instance] += 1
            if self._balancers[instance] > MISSES_BEFORE_GONE or (expected and instance not in expected):
                del self._balancers[instance]
            else:
                missing = True
        return missing

    def _reading(self, key: Key, item: "_Found", *, expected: bool, silent: bool, taken_at: float | None) -> Reading:
        load = None
        if taken_at is not None and not silent and (item.front_heard or not expected):
            load = LoadCounters(
                arrived=self._arrived(key, item),
                **{name: item.broken.get(name, self._sums.get((key, name), 0.0)) for name in _COUNTED},
                queued=item.sum(metrics.FRONT_QUEUED),
                executing=item.sum(metrics.FRONT_EXECUTING),
            )
        return Reading(
            taken_at=taken_at if taken_at is not None else 0.0,
            load=load,
            utilisation=item.utilisation(),
            limits=frozenset(item.limits),
        )

    def _arrived(self, key: Key, item: "_Found") -> float:
        """What the balancers sent and could not send, less second attempts; without a balancer, what fronts saw."""
        if (key, "envoy") not in self._begun:
            return item.broken.get("front_arrived", self._sums.get((key, "front_arrived"), 0.0))
        sent, retried, unserved = (
            item.broken.get(name, self._sums.get((key, name), 0.0)) for name in ("sent", "retried", "unserved")
        )
        return sent - retried + unserved

    def forget(self, key: Key) -> None:
        """Drops a version."""
        self._last = {series: value for series, value in self._last.items() if series[2] != key}
        self._sums = {name: value for name, value in self._sums.items() if name[0] != key}
        self._begun = {begun for begun in self._begun if begun[0] != key}


_COUNTED = ("completed", "executing_seconds", "queued_seconds")


class _Found:
    """Samples of one version in one read."""

    def __init__(self) -> None:
        self.front_heard = False
        self.families: set[str] = set()
        self.broken: dict[str, float] = {}
        self.gauges: dict[str, list[float]] = {}
        self.limits: set[int] = set()

    def gauge(self, sample: Sample) -> None:
        """Notes a gauge."""
        if sample.name == metrics.FRONT_CONCURRENCY_LIMIT:
            if math.isfinite(sample.value) and sample.value >= 0:
                self.limits.add(int(sample.value))
            return
        self.gauges.setdefault(sample.name, []).append(sample.value)

    def sum(self, name: str) -> float:
        """Sum of a gauge over the pods."""
        return math.fsum(self.gauges.get(name, ())) if all(map(math.isfinite, self.gauges.get(name, ()))) else math.nan

    def mean(self, name: str) -> float | None:
        """Mean of a gauge over the pods that gave a usable value; None when none did."""
        values = [value for value in self.gauges.get(name, ()) if math.isfinite(value) and value >= 0]
        return math.fsum(values) / len(values) if values else None

    def utilisation(self) -> Utilisation:
        """Means over the pods."""
        gpu = {field: mean * scale for name, (field, scale) in _GPU.items() if (mean := self.mean(name)) is not None}
        used, free = self.mean(metrics.DCGM_MEMORY_USED), self.mean(metrics.DCGM_MEMORY_FREE)
        if used is not None and free is not None and used + free > 0:
            gpu["gpu_memory"] = used / (used + free)
        return Utilisation(
            cpu=self.mean(metrics.FRONT_CPU_RATIO),
            memory=self.mean(metrics.FRONT_MEMORY_RATIO),
            io_wait=self.mean(metrics.FRONT_IO_WAIT_RATIO),
            **gpu,
        )


class DirectSource:
    """Reads the balancers' and the pods' own expositions."""

    def __init__(
        self, *, pods_port: int = names.FRONT_ADMIN_PORT, balancers_port: int = names.ENVOY_STATS_PORT
    ) -> None:
        self._ports = (pods_port, balancers_port)
        self._totals = Totals()
        self._http = urllib3.PoolManager(num_pools=512, maxsize=1, retries=False)
        self._threads = ThreadPoolExecutor(max_workers=32, thread_name_prefix="scrape")

    def read(self, targets: Targets, now: float) -> dict[Key, Reading]:
        jobs = [
            self._threads.submit(self._scrape, address, self._ports[0], metrics.METRICS_PATH, FRONT_NAMES, "pod")
            for pods in targets.pods.values()
            for address in pods.values()
        ]
        jobs += [
            self._threads.submit(
                self._scrape, address, self._ports[1], metrics.ENVOY_STATS_PATH, ENVOY_NAMES, "balancer"
            )
            for address in targets.balancers.values()
        ]
        samples = [sample for job in jobs for sample in job.result()]
        return self._totals.read(samples, targets, taken_at=dict.fromkeys(targets.pods, now))

    def _scrape(self, address: str, port: int, path: str, wanted: frozenset[str], source: str) -> list[Sample]:
        try:
            response = self._http.request("GET", f"http://{bracketed(address)}:{port}{path}", timeout=SCRAPE_SECONDS)
        except urllib3.exceptions.HTTPError as error:
            telemetry.scrape_failures.labels(source).inc()
            log.debug("scrape of %s failed: %s", address, error)
            return []
        if response.status != 200:
            telemetry.scrape_failures.labels(source).inc()
            return []
        return list(parse(response.data.decode(errors="replace"), instance=address, wanted=wanted))


class PrometheusSource:
    """Asks Prometheus, which scrapes each second; six instant queries serve all versions.

    It sums, averages and counts what has no history: more than half of ten thousand pods' series need not be read here.
    """

    def __init__(self, url: str) -> None:
        # The client's own retries wait for seconds between attempts; the next tick is the better retry.
        self._prometheus = PrometheusConnect(url=url, retry=urllib3.Retry(total=0, raise_on_status=False))
        self._totals = Totals()

    def read(self, targets: Targets, now: float) -> dict[Key, Reading]:
        by = f"{metrics.ENDPOINT_METRIC_LABEL}, {metrics.VERSION_METRIC_LABEL}"
        each = ENVOY_NAMES | GPU_NAMES | frozenset(_FRONT_COUNTERS)
        queries = (
            _named(each),
            f"sum by (__name__, {by}) ({_named(_SUMMED)})",
            f"avg by (__name__, {by}) ({_named(_AVERAGED)} >= 0)",
        )
        try:
            samples = [sample for query in queries for sample in from_query(self._query(query))]
            limits = f'count_values by ({by}) ("{_LIMIT}", {metrics.FRONT_CONCURRENCY_LIMIT})'
            samples += [
                count._replace(name=metrics.FRONT_CONCURRENCY_LIMIT, value=float(count.labels[_LIMIT]))
                for count in from_query(self._query(limits))
            ]
            times = from_query(self._query(f"max by ({by}) (timestamp({metrics.FRONT_ARRIVED}))"))
            newest = from_query(self._query(f"max(timestamp({metrics.ENVOY_REQUESTS}))"))
            taken_at = {_version(time): time.value for time in times}
            # A version without a pod is seen by the balancers alone.
            balancer = [time.value for time in newest]
            for key in targets.pods:
                if key not in taken_at and balancer:
                    taken_at[key] = balancer[0]
        except (requests.RequestException, PrometheusApiClientException, ValueError, TypeError, KeyError) as error:
            telemetry.scrape_failures.labels("prometheus").inc()
            log.warning("Prometheus cannot be read, present counts are held: %.300s", error)
            return {}
        return self._totals.read(samples, targets, taken_at=taken_at)

    def _query(self, query: str) -> list[dict[str, Any]]:
        result: list[dict[str, Any]] = self._prometheus.custom_query(query, timeout=3)
        return result


@functools.lru_cache(maxsize=1 << 13)
def _key(endpoint: str, version: str) -> Key:
    return names.endpoint_namespace(endpoint), version


def _version(sample: Sample) -> Key:
    """The version that a front's sample tells of."""
    labels = sample.labels
    return _key(labels.get(metrics.ENDPOINT_METRIC_LABEL, ""), labels.get(metrics.VERSION_METRIC_LABEL, ""))


def _named(wanted: Collection[str]) -> str:
    """Selects all series of these names."""
    return f'{{__name__=~"{"|".join(sorted(wanted))}"}}'


def bracketed(address: str) -> str:
    """An address as it stands in a URL."""
    return f"[{address}]" if ":" in address else address
